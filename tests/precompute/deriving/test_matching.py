"""Rows and keys are matched on disk as a dictionary would match them in memory, in however many parts."""

import random

import numpy as np
import pyarrow as pa
import pytest

from lit_precompute.precompute.deriving import spill
from lit_precompute.precompute.deriving.matching import FILE, KEY, NUMBER, DatasetKeys, FileMatcher
from lit_precompute.precompute.deriving.spill import Spill

TEXT = pa.field("text", pa.string(), nullable=False)


def test_rows_come_back_by_part_in_the_order_of_adding(tmp_path):
    kept = Spill(tmp_path / "spill", pa.schema([NUMBER]), num_parts=3, buffer_bytes=100)
    for start in range(0, 100, 7):
        numbers = np.arange(start, min(start + 7, 100))
        kept.add(pa.RecordBatch.from_arrays([pa.array(numbers)], schema=pa.schema([NUMBER])), numbers % 3)
    for part in range(3):
        assert kept.read(part)["number"].to_pylist() == list(range(part, 100, 3))
    kept.remove(1)
    assert len(kept.read(1)) == 0 and len(kept.read(2)) == 33


@pytest.mark.parametrize("num_parts", [1, 2, 17])
@pytest.mark.parametrize("seed", range(5))
def test_matches_a_dictionary(tmp_path, monkeypatch, seed, num_parts):
    monkeypatch.setattr(spill, "_BUFFER_BYTES", 500)
    rng = random.Random(seed)
    shard_rows = [rng.choice([0, 1, 5, 20]) for _ in range(8)]
    num_rows = sum(shard_rows)
    pool = [f"ключ {number}" for number in range(2 * num_rows + 4)]
    rng.shuffle(pool)
    dataset, failed = pool[:num_rows], pool[num_rows : num_rows + 2]
    lines = [(key, f"text {number}") for number, key in enumerate(rng.choices(pool, k=3 * num_rows + 5))]

    keys = DatasetKeys(tmp_path, np.array(shard_rows, np.int64), num_parts)
    matcher = FileMatcher(tmp_path / "file", pa.schema([TEXT]), keys)
    for start in range(0, len(lines), 6):
        some = lines[start : start + 6]
        columns = {
            "key": [key for key, _ in some],
            "file": [0] * len(some),
            "number": list(range(start, start + len(some))),
            "text": [text for _, text in some],
        }
        matcher.add(pa.RecordBatch.from_pydict(columns, schema=pa.schema([KEY, FILE, NUMBER, TEXT])))
    for start in range(0, num_rows, 4):
        keys.add(start, pa.array(dataset[start : start + 4]))
    keys.add_failed(pa.array(failed))

    told = []
    matches = matcher.match(lambda file, number: f"line {number}", gather=True, tell=lambda *each: told.append(each))

    texts: dict[str, list[str]] = {}
    for key, text in lines:
        texts.setdefault(key, []).append(text)
    first = {}
    for number, (key, _) in enumerate(lines):
        first.setdefault(key, number)
    missing = [key for key in dataset if key not in texts]
    surplus = [key for key in texts if key not in dataset and key not in failed]
    assert sorted(told) == sorted(
        [("missing", key, "") for key in missing] + [("surplus", key, f"line {first[key]}") for key in surplus]
    )
    assert matches.counts() == {
        "num_rows": len(lines),
        "num_matched": num_rows - len(missing),
        "num_missing": len(missing),
        "num_surplus": len(surplus),
        "num_failed": len([key for key in failed if key in texts]),
    }
    assert matches.first_missing == missing[:5]
    assert matches.first_surplus == [f"{key} (line {first[key]})" for key in surplus[:5]]

    shards = []
    for number in range(num_parts):
        found: dict[int, list[str]] = {}
        for row in matcher.rows(number).to_pylist():
            found.setdefault(row["row"], []).append(row["text"])
        for shard, first_row, shard_keys in keys.shards(number):
            shards.append(shard)
            assert first_row == sum(shard_rows[:shard])
            assert shard_keys.to_pylist() == dataset[first_row : first_row + shard_rows[shard]]
            for row in range(first_row, first_row + len(shard_keys)):
                assert found.pop(row, []) == texts.get(dataset[row], [])
        assert not found
    assert shards == list(range(8))
