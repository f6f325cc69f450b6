"""What the embedding job is asked to do; the options of its parts are composed here. Travels with the graph."""

import dataclasses

from lit_precompute.precompute.options import DecodingOptions
from lit_precompute.precompute.sources.source import SourceColumns
from lit_precompute.schemas import VectorType
from lit_precompute.towers.options import ImageTowerOptions


@dataclasses.dataclass(frozen=True, kw_only=True)
class EmbedOptions:
    """A source, an image tower, an output, and how the work is done.

    Attributes:
      source: A .csv, .tsv or .jsonl table beside the images, a .tar file, or a pattern like data-{0000..0012}.tar.
      tower: The image tower.
      output: Directory of the dataset.
      batch_size: Images on the devices at once; by default a short trial chooses, and the job keeps to it.
      rows_per_shard: Rows of each shard: the grain of work, of retry and of resume.
      vector_type: Type in which embeddings are stored; int8 with a scale for each. docs/format.md says what each costs.
      decoding: What reads and decodes.
      max_failures: Stop with status 1 when more rows fail: a count (100) or a share (0.5%).
      source_format: Format of the source, where its name does not tell.
      columns: What the source's columns are called.
    """

    source: str
    tower: ImageTowerOptions
    output: str
    batch_size: int | None = None
    rows_per_shard: int = 4096
    vector_type: VectorType = "float16"
    decoding: DecodingOptions = dataclasses.field(default_factory=DecodingOptions)
    max_failures: str | None = None
    source_format: str | None = None
    columns: SourceColumns = dataclasses.field(default_factory=SourceColumns)
