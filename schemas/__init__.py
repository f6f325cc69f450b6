"""The embedding dataset on disk: manifest, tables, blocks, reading, writing, checking."""

from schemas.dataset import EmbeddingDataset
from schemas.dataset_writer import DatasetWriter
from schemas.errors import DatasetError
from schemas.manifest import FileInfo, Manifest, Probe, ShardInfo, SourceFile, SourceInfo, TowerCard
from schemas.publishing import publish_manifest
from schemas.row_block import RowBlock
from schemas.shard_writer import ShardWriter
from schemas.tables import (
    ColumnSchema,
    TableSchema,
    captions_table,
    embeddings_table,
    failures_table,
    labels_table,
)
from schemas.vectors import VectorType

__all__ = [
    "ColumnSchema",
    "DatasetError",
    "DatasetWriter",
    "EmbeddingDataset",
    "FileInfo",
    "Manifest",
    "Probe",
    "RowBlock",
    "ShardInfo",
    "ShardWriter",
    "SourceFile",
    "SourceInfo",
    "TableSchema",
    "TowerCard",
    "VectorType",
    "captions_table",
    "embeddings_table",
    "failures_table",
    "labels_table",
    "publish_manifest",
]
