"""What a worker needs to know of a job; travels with the graph."""

import dataclasses
from typing import Literal

from lit_precompute.precompute.sources.source import SourceColumns
from lit_precompute.schemas import VectorType


@dataclasses.dataclass(frozen=True, kw_only=True)
class TowerOptions:
    """Which tower a worker loads, and how.

    Attributes:
      tower: name of the image tower.
      weights: place of its weights, None for the published ones; each worker looks for them by itself.
      resolution: side of the pictures, None for the published one.
      resize: `published`, or `square` for the whole picture squeezed.
      pooling: which values are the embedding, None for the published ones.
      compute_type: of the tower's activations.
    """

    tower: str
    weights: str | None = None
    resolution: int | None = None
    resize: Literal["published", "square"] = "published"
    pooling: str | None = None
    compute_type: Literal["float32", "bfloat16"] = "float32"


@dataclasses.dataclass(frozen=True, kw_only=True)
class JobOptions:
    """What is asked: the source, the tower, the output and how it is cut.

    Attributes:
      source: path of the source.
      source_format: its format, None to tell it by the path.
      columns: names of its columns.
      tower: the image tower.
      output: directory of the dataset.
      batch_size: pictures on the devices at once; None: as the job began with, else by a probe.
      rows_per_shard: rows of each unit and shard.
      vector_type: type in which vectors are stored.
      decode_in: what reads and decodes; see `precompute.embedding.make_preparer`.
      decode_workers: how many of these; None: as many as the worker has cores.
    """

    source: str
    tower: TowerOptions
    output: str
    source_format: str | None = None
    columns: SourceColumns = dataclasses.field(default_factory=SourceColumns)
    batch_size: int | None = None
    rows_per_shard: int = 4096
    vector_type: VectorType = "float16"
    decode_in: Literal["auto", "threads", "processes"] = "auto"
    decode_workers: int | None = None
