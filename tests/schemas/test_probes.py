"""Probes: which rows they are, and that this depends on the rows alone."""

import base64

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies

from lit_precompute.schemas import DatasetError, Environment, FileInfo, Probe, ShardInfo
from lit_precompute.schemas.probes import ProbeSampler, decode_vector, encode_vector, number_in_dataset, share_of_shard

ENVIRONMENT = Environment(device="cpu", libraries={})
ALL = 10**6  # more than a sampler keeps


def _add(sampler, start, stop):
    sampler.add([f"k{row}" for row in range(start, stop)], np.arange(start, stop)[:, None] * np.ones(3))


@hypothesis.given(
    strategies.lists(strategies.integers(0, 40), max_size=20), strategies.integers(1, 9), strategies.integers(0, 12)
)
@hypothesis.settings(max_examples=200)
def test_rows_are_spread_evenly_however_they_are_split(sizes, most, drawn):
    total = sum(sizes)
    whole, pieces = ProbeSampler(most), ProbeSampler(most)
    _add(whole, 0, total)
    start = 0
    for size in sizes:
        _add(pieces, start, start + size)
        start += size
        assert len(pieces.draw(ALL)) <= 2 * most  # bounded memory
    assert whole.draw(drawn) == pieces.draw(drawn)
    probes = whole.draw(drawn)
    found = [probe.row for probe in probes]
    kept = np.array([probe.row for probe in whole.draw(ALL)])
    assert len(found) == min(drawn, len(kept)) and len(kept) >= min(most, total)
    assert len(set(np.diff(kept))) <= 1 and (total == 0 or (kept[0] == 0 and total - kept[-1] <= 2 * total / most + 1))
    assert found == sorted(set(found))
    assert [probe.key for probe in probes] == [f"k{row}" for row in found]
    for probe in probes:
        np.testing.assert_array_equal(decode_vector(probe, 3), np.full(3, probe.row, np.float32))


@pytest.mark.parametrize("num_shards", [1, 2, 3, 63, 64, 65, 1000])
def test_shards_share_the_datasets_probes(num_shards):
    shares = [share_of_shard(shard, num_shards) for shard in range(num_shards)]
    assert sum(shares) == 64
    assert max(shares) - min(shares) <= 1


def test_numbers_in_the_dataset_begin_where_the_shard_does():
    def shard(number, num_rows):
        file = FileInfo(bytes=1, sha256="0" * 64, num_rows=num_rows, num_blocks=1)
        return ShardInfo(
            shard=number,
            rows_read=num_rows,
            num_rows=num_rows,
            num_failures=0,
            files={"x": file},
            environment=ENVIRONMENT,
        )

    probes = [Probe(row=row, key=str(row), vectors={}) for row in (0, 4)]
    numbered = number_in_dataset([(shard(0, 7), probes), (shard(1, 0), []), (shard(2, 9), probes)])
    assert [probe.row for probe in numbered] == [0, 4, 7, 11]


@pytest.mark.parametrize(
    ("vector", "message"),
    [
        ("!", "the vector is not base64"),
        (encode_vector(np.zeros(2)), "must hold 3 float32, 12 bytes, got 8"),
        (base64.b64encode(b"\xff" * 12).decode(), "must be finite"),
    ],
)
def test_anything_but_a_vector_is_an_error(vector, message):
    with pytest.raises(DatasetError, match=f"probe of row 5: {message}"):
        decode_vector(Probe(row=5, key="k", vectors={"embeddings": vector}), 3)
