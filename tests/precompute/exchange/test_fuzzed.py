"""Files with flipped bytes: rows come out, or a message; never a traceback, a crash, or more rows than there are."""

import random
import subprocess
import sys

import pytest

_PROGRAM = """
import pathlib, random, sys
from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.schemas import DatasetError
from tests.precompute.exchange.making import source_of, write_clip_retrieval, write_datacomp, write_dataset
from tests.precompute.exchange.test_exporting import exported

layout, seed, rounds, root = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), pathlib.Path(sys.argv[4])
if layout == "clip-retrieval":
    write_clip_retrieval(root / "in", (10, 7))
elif layout == "datacomp":
    write_datacomp(root / "in", (10, 7))
else:
    write_dataset(root / "dataset", 17)
    exported(layout, root / "dataset", root / "in", rows_per_file=None if layout == "npy" else 10)
files = sorted(path for path in (root / "in").rglob("*") if path.is_file() and not path.name.startswith("_"))
chosen = random.Random(seed)
refused = read = 0
for number in range(rounds):
    path = chosen.choice(files)
    whole = path.read_bytes()
    damaged = bytearray(whole)
    for _ in range(chosen.choice([1, 1, 2, 8])):
        place = chosen.randrange(len(damaged)) if chosen.random() < 0.5 else chosen.randrange(min(200, len(damaged)))
        damaged[place] = chosen.choice([damaged[place] ^ (1 << chosen.randrange(8)), 0, 255])
    if chosen.random() < 0.1:
        damaged = damaged[: chosen.randrange(len(damaged))]
    path.write_bytes(damaged)
    try:
        source = source_of(layout, root / "in", 100)
        plan = source.plan()
        for unit in plan.units:
            num_rows = 0
            for rows in source.read(unit):
                num_rows += len(rows.keys)
                assert all(len(values) == len(rows.keys) for values in rows.vectors.values())
                assert all(isinstance(key, str) and key for key in rows.keys)
            assert unit.stop is None or num_rows == unit.stop - unit.start, (path, number)
            assert num_rows <= 10 or layout in ("npy",), (path, number)
        read += 1
    except (SourceError, DatasetError):
        refused += 1
    path.write_bytes(whole)
print(read, refused)
"""


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["clip-retrieval", "datacomp", "tfrecord", "parquet", "huggingface", "npy"])
def test_flipped_bytes_are_refused_or_read(tmp_path, layout):
    seed = random.Random(layout).randrange(1000)
    command = [sys.executable, "-c", _PROGRAM, layout, str(seed), "150", str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-2000:]
    read, refused = map(int, result.stdout.split())
    assert read + refused == 150
    assert refused > 10
