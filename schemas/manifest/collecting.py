"""Shards on their way into the list of shards."""

from collections.abc import Iterable, Sequence

import numpy as np

from lit_precompute.schemas.manifest.parts import Environment, Note, ShardInfo
from lit_precompute.schemas.manifest.shard_list import NO_FILE, FileColumns, Ints, ShardList
from lit_precompute.schemas.storage import DatasetError
from lit_precompute.schemas.tables import TableSchema

_NUM_COUNTS = 5  # number, rows read, rows, failures, environment


def collect_shards(
    shards: Iterable[ShardInfo], *, tables: Sequence[TableSchema], block_rows: int, where: str = ""
) -> ShardList:
    """Returns the list of shards that are given in any order.

    Raises:
      DatasetError: shards are missing or repeat, a file is missing or of no table, or counts do not add up.
    """
    return _Collected(tables, block_rows, where).collect(shards)


class _Collected:
    """Shards on their way into columns."""

    def __init__(self, tables: Sequence[TableSchema], block_rows: int, where: str):
        self._tables, self._block_rows = tables, block_rows
        self._where = f"{where}: " if where else ""
        self._names = [table.name for table in tables]

    def collect(self, shards: Iterable[ShardInfo]) -> ShardList:
        rows: list[tuple[int, ...]] = []
        hashes: list[bytes] = []
        environments: dict[str, tuple[int, Environment]] = {}
        notes = dict[int, Sequence[Note]]()
        for info in shards:
            self._check(info)
            number, _ = environments.setdefault(
                info.environment.model_dump_json(), (len(environments), info.environment)
            )
            if info.notes:
                notes[info.shard] = info.notes
            files = [info.files.get(name) for name in self._names]
            sizes = (file.bytes if file else 0 for file in files)
            rows.append((info.shard, info.rows_read, info.num_rows, info.num_failures, number, *sizes))
            hashes.append(b"".join(bytes.fromhex(file.sha256) if file else NO_FILE for file in files))
        table = np.array(rows, np.int64).reshape(len(rows), _NUM_COUNTS + len(self._names))
        order = np.argsort(table[:, 0], kind="stable")
        table = table[order]
        self._check_numbers(table[:, 0])
        digests = np.frombuffer(b"".join(hashes), np.uint8).reshape(len(rows), len(self._names), 32)[order]
        numbers, used = _in_order_of_use(table[:, 4])
        known = [environment for _, environment in environments.values()]
        return ShardList(
            rows_read=table[:, 1],
            num_rows=table[:, 2],
            num_failures=table[:, 3],
            environment=numbers,
            environments=[known[number] for number in used],
            files={
                name: FileColumns(table[:, _NUM_COUNTS + at], digests[:, at]) for at, name in enumerate(self._names)
            },
            aligned={each.name: each.aligned for each in self._tables},
            block_rows=self._block_rows,
            notes=notes,
        )

    def _check(self, info: ShardInfo) -> None:
        """Raises DatasetError unless a shard has the files that it should have, with as many rows as it should."""
        where = f"{self._where}shard {info.shard}"
        if unknown := set(info.files) - set(self._names):
            raise DatasetError(f"{where}.files: must be of the tables {self._names}, got {min(unknown)!r}")
        for table in self._tables:
            num_rows = info.num_rows if table.aligned else info.num_failures
            num_blocks = -(-num_rows // self._block_rows)
            file = info.files.get(table.name)
            if file is None and num_rows:
                raise DatasetError(f"{where}.files: table '{table.name}' is missing")
            if file is not None and (file.num_rows, file.num_blocks) != (num_rows, num_blocks):
                raise DatasetError(
                    f"{where}.files.{table.name}: must have {num_rows} rows in {num_blocks} blocks, "
                    f"got {file.num_rows} in {file.num_blocks}"
                )

    def _check_numbers(self, numbers: Ints) -> None:
        wrong = np.flatnonzero(numbers != np.arange(len(numbers)))
        if len(wrong):
            place = int(wrong[0])
            what = "is missing" if numbers[place] > place else "occurs more than once"
            number = place if numbers[place] > place else numbers[place]
            raise DatasetError(f"{self._where}shard {number} {what}: shards must be numbered from 0, each once")


def _in_order_of_use(numbers: Ints) -> tuple[Ints, list[int]]:
    """Returns the numbers counted anew in the order in which they first occur, and the old ones in that order."""
    known, firsts, places = np.unique(numbers, return_index=True, return_inverse=True)
    order = np.argsort(firsts)
    return np.argsort(order)[places].astype(np.int64), [int(known[place]) for place in order]
