"""Hashes of many strings at once."""

import random

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from lit_precompute.schemas.string_hashes import hash_strings

STRINGS = st.text("ab\0\u96ea", max_size=20)


@given(st.lists(STRINGS | st.text(), max_size=30))
def test_a_hash_depends_on_the_string_alone(strings):
    array = pa.array(strings, pa.string())
    hashes = hash_strings(array).tolist()
    assert hashes == [hash_strings(pa.array([string], pa.large_string()))[0] for string in strings]
    assert hash_strings(array.slice(1)).tolist() == hashes[1:]
    assert len({*hashes}) == len({*strings})


def test_no_two_of_many_keys_meet():
    draw = random.Random(0)
    keys = {"".join(draw.choices("abc0/", k=draw.randrange(12))) for _ in range(100_000)}
    assert len(set(hash_strings(pa.array(sorted(keys))).tolist())) == len(keys)
