"""Groups of units: what waits for what when failures are limited."""

from hypothesis import given
from hypothesis import strategies as st

from lit_precompute.pipelines.embed.planning.groups import MAX_GROUPS, Group, group_units


def test_without_a_limit_all_units_are_one_group():
    assert list(group_units([0, 1, 2, 5, 6, 9], is_limited=False)) == [Group(0, 0, 3), Group(0, 5, 7), Group(0, 9, 10)]


def test_with_a_limit_groups_double():
    groups = list(group_units(range(20), is_limited=True))
    assert groups == [Group(0, 0, 1), Group(1, 1, 2), Group(2, 2, 4), Group(3, 4, 8), Group(4, 8, 16), Group(5, 16, 20)]


@given(st.sets(st.integers(0, 300_000), max_size=50), st.booleans())
def test_every_unit_is_in_one_group(units, is_limited):
    groups = list(group_units(sorted(units), is_limited=is_limited))
    assert [unit for group in groups for unit in range(group.start, group.stop)] == sorted(units)
    assert all(0 <= group.number < MAX_GROUPS for group in groups)
    assert [group.number for group in groups] == sorted(group.number for group in groups)


def test_the_last_group_takes_what_is_left():
    groups = list(group_units(range(10**6), is_limited=True))
    assert groups[-1] == Group(MAX_GROUPS - 1, 2 ** (MAX_GROUPS - 2), 10**6)
