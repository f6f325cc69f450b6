"""Keys that only reading tells, of compressed tars and records: compared across units before the dataset is published.

    results -> DealHashes -> (dataset and bucket, hashes) -> FindRepeats -> Publish

Promises: 8 bytes a key pass through shuffles; keys of equal hashes are compared themselves. Sources whose keys are
known from looking are checked before anything is embedded, and cost nothing here.
"""

from collections.abc import Iterator, Mapping, Sequence

import apache_beam as beam
import numpy as np

from lit_precompute.pipelines.embed.directory.job_directory import JobDirectory
from lit_precompute.pipelines.embed.directory.markers import ShardMarker
from lit_precompute.pipelines.embed.directory.results import Result
from lit_precompute.pipelines.embed.errors import located
from lit_precompute.pipelines.embed.launch_options import LaunchOptions
from lit_precompute.precompute.sources.planning import check_repeats, hash_keys
from lit_precompute.schemas import TableSchema, failures_table
from lit_precompute.schemas.reading.table_reader import read_shard_table
from lit_precompute.schemas.storage import WORK_FOLDER, Folder
from lit_precompute.schemas.tables import FAILURES, KEY

_FOLDER = f"{WORK_FOLDER}/keys"
_NUM_BUCKETS = 256


def store_hashes(folder: Folder, unit: int, keys: Sequence[str]) -> None:
    """Stores the hashes of a unit's keys; its marker, which comes after, says that they are there."""
    folder.write(f"{_FOLDER}/{unit:05d}", hash_keys(keys))


class DealHashes(beam.DoFn):
    """Takes results; yields ((dataset, bucket), ((dataset, unit), hashes)) of the shards whose hashes were stored."""

    def __init__(self, launch: LaunchOptions):
        """Takes the launch."""
        self._launch = launch

    def process(self, element: bytes) -> Iterator[tuple[tuple[int, int], tuple[tuple[int, int], bytes]]]:
        """Deals the hashes of one shard."""
        result = Result.from_bytes(element)
        if result.marker is None or not result.marker.has_hashes:
            return
        shard = result.dataset, result.marker.info.shard
        output = self._launch.datasets[result.dataset].output
        with located("comparing keys", output):
            hashes = np.frombuffer(JobDirectory(output).folder.read(f"{_FOLDER}/{shard[1]:05d}"), np.uint64)
        buckets = hashes % np.uint64(_NUM_BUCKETS)
        for bucket in np.unique(buckets):
            yield (result.dataset, int(bucket)), (shard, hashes[buckets == bucket].tobytes())


def check_shards(
    folder: Folder,
    tables: Sequence[TableSchema],
    markers: Mapping[int, ShardMarker],
    repeats: Mapping[bytes, Sequence[int]],
    what_to_do: str,
) -> None:
    """Compares the keys of shards that have equal hashes.

    Args:
      folder: the output.
      tables: the source's tables.
      markers: the finished shards by number.
      repeats: the shards of each hash that occurs more than once.
      what_to_do: the end of the message.

    Raises:
      SourceError: a key repeats.
    """
    units = sorted({unit for those in repeats.values() for unit in those})
    keys = (pair for unit in units for pair in _keys(folder, tables, markers[unit]))
    check_repeats(keys, frozenset(repeats), what_to_do)


def _keys(folder: Folder, tables: Sequence[TableSchema], marker: ShardMarker) -> Iterator[tuple[str, str]]:
    """Yields (key, its place) of the rows of a shard, the failed ones too."""
    aligned = next(table for table in tables if table.aligned)
    for table in (aligned, failures_table()):
        info = marker.info.files.get(table.name)
        if info is not None:
            place = f"shard {marker.info.shard}" + (" (a failure)" if table.name == FAILURES else "")
            rows = read_shard_table(folder, table, marker.info)
            yield from ((key, place) for key in rows.column(KEY).to_pylist())
