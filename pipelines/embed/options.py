"""Options of the embedding job, composed of those of its parts; they travel to workers with the graph."""

import dataclasses
from typing import Any

from lit_precompute.pipelines.embed.failure_limit import FailureLimit
from lit_precompute.precompute.options import DecodingOptions, check_count
from lit_precompute.precompute.sources.source import SourceColumns
from lit_precompute.precompute.sources.webdataset.tar_samples import SampleName
from lit_precompute.schemas import VectorType
from lit_precompute.schemas.vectors import VECTOR_TYPES
from lit_precompute.towers.options import ImageTowerOptions


@dataclasses.dataclass(frozen=True, kw_only=True)
class EmbedOptions:
    """A source, an image tower, an output, and how to embed.

    Attributes:
      source: A .csv, .tsv or .jsonl table next to its images, a .tar file, or a pattern like data-{0000..0012}.tar.
      tower: The image tower.
      output: Directory of the dataset; a job that was begun there is resumed.
      batch_size: Images per batch, over all devices; by default a short trial chooses, and the job keeps its choice.
      rows_per_shard: Rows per shard: the unit of work, retry and resume.
      vector_type: Type that embeddings are stored in; int8 has a scale per row. docs/format.md compares them.
      decoding: How images are read and decoded.
      max_failures: Exit with status 1 if more rows fail: a count (100) or a share (0.5%); by default never.
      source_format: Format of the source if its name does not tell: tsv, quoted-tsv, semicolon-csv, webdataset ...
      columns: Names of the source's columns.
      sample_name: Where the names in tars are cut into a sample's name and a suffix; last-dot if names contain dots.
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
    sample_name: SampleName = "first-dot"

    def __post_init__(self):
        check_count("--batch-size", self.batch_size)
        check_count("--rows-per-shard", self.rows_per_shard)
        if self.vector_type not in VECTOR_TYPES:
            raise ValueError(f"--dtype must be one of {', '.join(VECTOR_TYPES)}, got {self.vector_type!r}")
        if not self.output:
            raise ValueError("--output must name a directory, got ''")
        FailureLimit.parse(self.max_failures, num_rows=0)

    def recorded(self) -> dict[str, Any]:
        """Returns the options that a job records, as far as they are given: the batch size may be chosen later."""
        given = {"rows_per_shard": self.rows_per_shard, "vector_type": self.vector_type}
        return given if self.batch_size is None else {**given, "batch_size": self.batch_size}
