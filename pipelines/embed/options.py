"""Options of the embedding job, composed of those of its parts; they travel to workers with the graph."""

import dataclasses
from typing import Any, get_args

from lit_precompute.pipelines.embed.workers.failure_limit import FailureLimit
from lit_precompute.precompute.machine import Device
from lit_precompute.precompute.options import DecodingOptions, check_count, check_type
from lit_precompute.precompute.sources.spec import SourceSpec
from lit_precompute.schemas import VectorType
from lit_precompute.schemas.vectors import VECTOR_TYPES
from lit_precompute.towers.options import ImageTowerOptions

# A batch of each is on the device and on the host.
_MAX_VIEWS = 100
# Rows that are drawn together: a read of neighbours costs a store and a compressed file little more than one row.
_DRAWN_ROWS = 16


@dataclasses.dataclass(frozen=True, kw_only=True)
class EmbedOptions:
    """A source, an image tower, an output, and how to embed.

    Attributes:
      source: The source of images and texts.
      tower: The image tower.
      output: Directory or URL of the dataset; a job that was begun there is resumed.
      batch_size: Images per batch, over all devices; by default a short trial chooses, and the job keeps its choice.
      rows_per_shard: Rows per shard: the unit of work, retry and resume.
      vector_type: Type that embeddings are stored in; int8 has a scale per row. docs/format.md compares them.
      decoding: How images are read and decoded.
      max_failures: Exit with status 1 if more rows fail: a count (100) or a share (0.5%); by default never.
      views: Random views of each image (crop and flip), each embedded to a table of its own beside `embeddings`.
      limit: Rows to embed, at most, from the first on; by default all.
      limit_seed: With --limit: take the rows in runs of 16 that this seed draws over the whole source, not the first.
      retry_failures: Embed again the shards with rows that failed for reasons that may pass: `missing`, `unreadable`,
        `too-slow`; of a finished dataset, too, which is an unfinished job meanwhile.
      device: What embeds; `auto` takes what there is, but refuses a CPU on a machine with an accelerator.
      num_devices: How many of them each process has to find; by default it takes all there are.
    """

    source: SourceSpec
    tower: ImageTowerOptions
    output: str
    batch_size: int | None = None
    rows_per_shard: int = 4096
    vector_type: VectorType = "float16"
    decoding: DecodingOptions = dataclasses.field(default_factory=DecodingOptions)
    max_failures: str | None = None
    views: int = 0
    limit: int | None = None
    limit_seed: int | None = None
    retry_failures: bool = False
    device: Device = "auto"
    num_devices: int | None = None

    def __post_init__(self):
        check_type(
            "source", self.source, SourceSpec, "SourceSpec('captions.tsv') or parse_source('captions.tsv?text=TITLE')"
        )
        check_type("tower", self.tower, ImageTowerOptions, "ImageTowerOptions(name='google/vit-base-patch16-224')")
        check_type("decoding", self.decoding, DecodingOptions, "DecodingOptions(decode_workers=8)")
        check_count("--batch-size", self.batch_size)
        check_count("--rows-per-shard", self.rows_per_shard)
        check_count("--limit", self.limit)
        if self.limit_seed is not None and (self.limit is None or self.limit_seed < 0):
            raise ValueError(f"--limit-seed must be >= 0, beside --limit, got {self.limit_seed}")
        if not 0 <= self.views <= _MAX_VIEWS:
            raise ValueError(f"--views must be from 0 to {_MAX_VIEWS}, got {self.views}")
        check_count("--num-devices", self.num_devices)
        if self.device not in get_args(Device):
            raise ValueError(f"--device must be one of {', '.join(get_args(Device))}, got {self.device!r}")
        if self.vector_type not in VECTOR_TYPES:
            raise ValueError(f"--dtype must be one of {', '.join(VECTOR_TYPES)}, got {self.vector_type!r}")
        if not self.output:
            raise ValueError("--output must name a directory, got ''")
        FailureLimit.parse(self.max_failures, num_rows=0)

    def on(self, device: Device, num_devices: int | None) -> "EmbedOptions":
        """Returns the options for machines that are asked for with an accelerator, which workers then have to find."""
        given = device if self.device == "auto" else self.device
        return dataclasses.replace(self, device=given, num_devices=self.num_devices or num_devices)

    @property
    def rows_per_slice(self) -> int:
        """Rows of what a file is cut into: a shard's, or fewer where slices are drawn."""
        return self.rows_per_shard if self.limit_seed is None else min(self.rows_per_shard, _DRAWN_ROWS)

    def recorded(self) -> dict[str, Any]:
        """Returns the options that a job records, as far as they are given: the batch size may be chosen later."""
        given = {"rows_per_shard": self.rows_per_shard, "vector_type": self.vector_type, "views": self.views}
        return given if self.batch_size is None else {**given, "batch_size": self.batch_size}
