"""clip-retrieval's layout, in which LAION's embeddings are published."""

from lit_precompute.precompute.exchange.layout import Layout, Reading, Writing
from lit_precompute.precompute.exchange.layouts.clip_retrieval.source import ClipRetrievalSource, ImportOptions
from lit_precompute.precompute.exchange.layouts.clip_retrieval.writer import ClipRetrievalWriter, ExportOptions

LAYOUT = Layout(
    name="clip-retrieval",
    reading=Reading(options=ImportOptions, open=ClipRetrievalSource),
    writing=Writing(options=ExportOptions, open=ClipRetrievalWriter, rows_per_file=1_000_000),
)
