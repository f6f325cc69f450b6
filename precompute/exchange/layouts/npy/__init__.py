"""NumPy's arrays of vectors, and the keys of their rows.

    embeddings.npy         [n, D], float16, float32 or float64
    embeddings-view1.npy   further tables of embeddings, if there are any
    text-embeddings.npy    embeddings of the texts, if there are any
    keys.txt               a key a line; or keys.npy, an array of strings

Where there are several files of each, their names end in a number: embeddings_00000.npy, keys_00000.txt.
"""

from lit_precompute.precompute.exchange.layout import Layout, Reading, Writing
from lit_precompute.precompute.exchange.layouts.npy.source import ImportOptions, NpySource
from lit_precompute.precompute.exchange.layouts.npy.writer import ExportOptions, NpyLayoutWriter

LAYOUT = Layout(
    name="npy",
    reading=Reading(options=ImportOptions, open=NpySource),
    writing=Writing(options=ExportOptions, open=NpyLayoutWriter, rows_per_file=None),
)
