"""The plan of a job: its units, and what is stored of it."""

import collections
import dataclasses

import pytest

from lit_precompute.pipelines.embed.planning.plan import CONTENT, Plan, make_plan
from lit_precompute.precompute.sources.looking import look_into
from lit_precompute.precompute.sources.planning import join_slices
from lit_precompute.precompute.sources.source import FileSlice, SourceError
from tests.pipelines.embed.fake_source import FakeSource


def _source(*counts, repeat=()):
    keys = {f"part-{number}": [f"{number}/{row}" for row in range(count)] for number, count in enumerate(counts)}
    for path, key in repeat:
        keys[path].append(key)
    return FakeSource(keys)


def _plan(source, rows_per_unit, limit=None, limit_seed=None, rows_per_slice=None):
    looked = look_into(source, rows_per_slice or rows_per_unit)
    limits = {"limit": limit, "limit_seed": limit_seed}
    return make_plan(source, looked.files, looked.looks, looked.survey, rows_per_unit=rows_per_unit, **limits)


def test_small_files_are_joined_and_large_ones_are_cut():
    plan = _plan(_source(3, 2, 4, 11, 1), 5)
    shapes = [[(part.path[-1], part.start, part.stop) for part in unit.files] for unit in plan.units]
    assert shapes == [
        [("0", 0, 3), ("1", 0, 2)],
        [("2", 0, 4)],
        [("3", 0, 5)],
        [("3", 5, 10)],
        [("3", 10, 11), ("4", 0, 1)],
    ]
    assert [(unit.number, unit.first_row, unit.num_rows) for unit in plan.units] == [
        (0, 0, 5),
        (1, 5, 4),
        (2, 9, 5),
        (3, 14, 5),
        (4, 19, 2),
    ]
    assert plan.num_rows == 21


def test_a_slice_of_unknown_length_is_a_unit_of_its_own():
    known = FileSlice(path="a", start=0, stop=9, num_rows=2)
    unknown = FileSlice(path="b", start=0, stop=9, num_rows=None)
    units = list(join_slices([known, known, unknown, known], 10))
    assert [[part.path for part in unit.files] for unit in units] == [["a", "a"], ["b"], ["a"]]
    assert [(unit.first_row, unit.num_rows) for unit in units] == [(0, 4), (4, None), (None, 2)]


@pytest.mark.parametrize("limit", [None, 7])
def test_what_is_stored_is_read_again(limit):
    plan = _plan(_source(3, 2, 4), 3, limit)
    again = Plan.from_bytes(plan.describe(), plan.to_bytes())
    assert again == plan
    assert list(again.units) == list(plan.units)
    assert again.to_bytes() == plan.to_bytes()


def test_a_limit_cuts_the_last_unit():
    plan = _plan(_source(3, 5), 3, limit=5)
    assert [(unit.num_rows, unit.max_rows) for unit in plan.units] == [(3, None), (2, 2)]
    assert plan.num_rows == 5
    assert _plan(_source(3, 5), 3, limit=6).num_rows == 6
    assert _plan(_source(3, 5), 3, limit=100).num_rows == 8


def test_the_content_is_that_of_keys_and_not_of_paths():
    one, other = _source(3, 4), _source(3, 4)
    renamed = FakeSource({f"elsewhere/{path}": keys for path, keys in other.keys_of.items()})
    changed = FakeSource({path: [f"{key}!" for key in keys] for path, keys in other.keys_of.items()})
    assert _plan(one, 5).source.options[CONTENT] == _plan(renamed, 5).source.options[CONTENT]
    assert _plan(one, 5).source.options[CONTENT] != _plan(changed, 5).source.options[CONTENT]


def test_a_key_that_repeats_in_another_file_is_an_error():
    with pytest.raises(SourceError, match="part-1: keys must be unique, '0/2' was first seen at part-0; rename one"):
        _plan(_source(3, 4, repeat=[("part-1", "0/2")]), 5)


def test_a_unit_is_parsed_alone():
    units = _plan(_source(3, 2, 4), 3).units
    broken = dataclasses.replace(units, lines=("not JSON", *units.lines[1:]))
    assert broken[1] == units[1]


def _slices(plan):
    return [(part.path, part.start, part.stop) for unit in plan.units for part in unit.files]


def test_drawn_slices_are_spread_over_the_source_and_follow_its_order():
    source = _source(*[40] * 25)
    plan = _plan(source, 64, 200, 0, rows_per_slice=8)
    assert plan.num_rows == 200 and len(plan.units) == 4
    assert all(unit.num_rows <= 64 and unit.first_row is None for unit in plan.units)
    order = [(path, start) for path in source.keys_of for start in range(0, 40, 8)]
    places = [order.index((path, start)) for path, start, _ in _slices(plan)]
    assert places == sorted({*places}) and len(places) == 25
    assert len({path for path, _, _ in _slices(plan)}) > 10  # of 25 files, and not the first five
    assert _slices(_plan(source, 64, 200, 0, rows_per_slice=8)) == _slices(plan)
    assert _slices(_plan(source, 64, 200, 1, rows_per_slice=8)) != _slices(plan)


def test_each_slice_is_drawn_as_often_as_any_other():
    """A slice of 50 is drawn by 1 in 5 of 400 seeds: 80 times, with a standard deviation of 8."""
    source = _source(*[10] * 10)
    counts = collections.Counter(part for seed in range(400) for part in _slices(_plan(source, 20, 20, seed, 2)))
    assert len(counts) == 50
    assert all(80 - 40 < count < 80 + 40 for count in counts.values())


@pytest.mark.parametrize("limit", [60, 61, 1000])
def test_a_source_that_is_smaller_than_the_sample_is_drawn_whole(limit):
    plan = _plan(_source(20, 40), 16, limit, 3, rows_per_slice=7)
    assert plan.num_rows == 60


def test_a_sample_ends_with_the_rows_that_are_asked_for():
    assert _plan(_source(20, 40), 16, 25, 3, rows_per_slice=7).num_rows == 25
