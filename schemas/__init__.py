"""The embedding dataset on disk: manifest, tables, blocks, reading, writing, checking."""

from lit_precompute.schemas.manifest import Manifest
from lit_precompute.schemas.manifest.environments import current_environment
from lit_precompute.schemas.manifest.parts import (
    Environment,
    FileInfo,
    Note,
    Probe,
    Reference,
    ShardInfo,
    SourceFile,
    SourceInfo,
)
from lit_precompute.schemas.reading.dataset import EmbeddingDataset
from lit_precompute.schemas.reading.row_block import RowBlock
from lit_precompute.schemas.storage import DatasetError
from lit_precompute.schemas.tables import (
    ColumnSchema,
    TableSchema,
    captions_table,
    embeddings_table,
    failures_table,
    labels_table,
)
from lit_precompute.schemas.tower_card import TowerCard
from lit_precompute.schemas.vectors import VectorType
from lit_precompute.schemas.writing.dataset_writer import DatasetWriter
from lit_precompute.schemas.writing.publishing import publish_manifest
from lit_precompute.schemas.writing.shard_writer import ShardWriter

__all__ = [
    "ColumnSchema",
    "DatasetError",
    "DatasetWriter",
    "EmbeddingDataset",
    "Environment",
    "FileInfo",
    "Manifest",
    "Note",
    "Probe",
    "Reference",
    "RowBlock",
    "ShardInfo",
    "ShardWriter",
    "SourceFile",
    "SourceInfo",
    "TableSchema",
    "TowerCard",
    "VectorType",
    "captions_table",
    "current_environment",
    "embeddings_table",
    "failures_table",
    "labels_table",
    "publish_manifest",
]
