"""How many bytes and requests reading takes, and how much memory; counted below the source."""

import io
import random
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lit_precompute.precompute.sources.looking import look_into
from lit_precompute.precompute.sources.opening import make_source
from lit_precompute.precompute.sources.spec import SourceColumns, SourceSpec
from tests.precompute.sources.columnar.reading import IMAGE, examples

_ROWS, _GROUPS, _IMAGE_BYTES = 60, 3, 100_000


@pytest.fixture(scope="module")
def table():
    draw = random.Random(0)
    return pa.table(
        {
            "mask": [draw.randbytes(_IMAGE_BYTES) for _ in range(_ROWS)],
            "image": pa.array([{"bytes": draw.randbytes(_IMAGE_BYTES)} for _ in range(_ROWS)], IMAGE),
            "text": [f"caption {number}" for number in range(_ROWS)],
            "key": [f"key {number}" for number in range(_ROWS)],
        }
    )


class _Counted(io.FileIO):
    sizes: list[int]

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(-1 if size is None else size)
        self.sizes.append(len(data))
        return data


def _sizes_of(path, rows: int) -> tuple[list[int], list[int]]:
    """Returns the bytes of each request of looking, and of reading."""
    looking: list[int] = []
    reading: list[int] = []

    def opener(name: str) -> _Counted:
        stream = _Counted(name)
        stream.sizes = sizes
        return stream

    sizes = looking
    columns = SourceColumns(image="image")
    looked = look_into(make_source(SourceSpec(str(path), columns=columns), opener=opener), rows)
    sizes = reading
    assert sum(len(row.read_image()) for row in examples(looked)) == _ROWS * _IMAGE_BYTES
    return looking, reading


def test_parquet_takes_few_requests_and_no_bytes_of_other_columns(table, tmp_path):
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=_ROWS // _GROUPS)
    looking, reading = _sizes_of(tmp_path / "a.parquet", rows=_ROWS)
    assert sum(looking) + sum(reading) < 1.05 * _ROWS * _IMAGE_BYTES
    assert sum(looking) < 1 << 17
    assert len(reading) == 1 + _GROUPS  # the footer, and the neighbouring columns of each row group


def test_arrow_takes_no_bytes_of_other_columns(table, tmp_path):
    with pa.ipc.new_stream(str(tmp_path / "a.arrow"), table.schema) as writer:
        writer.write_table(table, _ROWS // _GROUPS)
    looking, reading = _sizes_of(tmp_path / "a.arrow", rows=_ROWS)
    assert sum(looking) < 1 << 14  # headers and keys
    assert sum(reading) < 1.01 * _ROWS * _IMAGE_BYTES
    assert sum(size > 1000 for size in reading) == _GROUPS


# Prints the megabytes by which reading raises the peak.
_PROGRAM = """
import sys
from tests.memory import peak_bytes
from tests.precompute.sources.columnar.reading import examples, look
from lit_precompute.precompute.sources.spec import SourceColumns
looked = look(sys.argv[1], 100_000, SourceColumns(image="image"))
assert len(looked.looks[0].slices) == 1
before = peak_bytes()
for example in examples(looked):
    example.read_image()
print((peak_bytes() - before) // (1 << 20))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc for the peak")
def test_memory_does_not_grow_with_the_row_group(table, tmp_path):
    """Pages of 1 MB, as most programs write them: 60 and 600 MB of them, of which allocators keep some 70 MB more."""

    def megabytes(copies: int) -> int:
        image = pa.chunked_array([table["image"].chunk(0)] * copies)
        group = pa.table({"image": image, "text": ["a"] * (_ROWS * copies)})
        path = tmp_path / f"{copies}.parquet"
        pq.write_table(group, path, write_batch_size=8, use_dictionary=False, compression="none")
        run = subprocess.run([sys.executable, "-c", _PROGRAM, path], capture_output=True, text=True, check=True)
        return int(run.stdout)

    small, large = megabytes(10), megabytes(100)
    assert large < small + 180, (small, large)
