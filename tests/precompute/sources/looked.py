"""Sources for tests: looked into in one process, and their rows."""

from typing import Any

from lit_precompute.precompute.sources.files import Finder, Opener
from lit_precompute.precompute.sources.looking import LookedSource, look_into
from lit_precompute.precompute.sources.opening import make_source
from lit_precompute.precompute.sources.source import Example, WorkUnit
from lit_precompute.precompute.sources.spec import SourceSpec
from lit_precompute.schemas.storage import find_described, open_file


def look(
    path: object, *, rows_per_unit: int = 1000, opener: Opener = open_file, find: Finder = find_described, **spec: Any
) -> LookedSource:
    """Returns the source at a path, looked into; `spec` has more fields of a `SourceSpec`."""
    return look_into(make_source(SourceSpec(str(path), **spec), opener=opener, find=find), rows_per_unit)


def rows_of(looked: LookedSource, rows_per_unit: int = 1000) -> list[Example]:
    """Returns all rows, in order."""
    return [row for unit in looked.units(rows_per_unit) for row in read_unit(looked, unit)]


def read_unit(looked: LookedSource, unit: WorkUnit) -> list[Example]:
    """Returns the rows of a unit."""
    return [row for part in unit.files for row in looked.source.read(part, looked.survey.tables)]


def num_rows(looked: LookedSource) -> int:
    """Returns how many rows the looks found."""
    return sum(part.num_rows or 0 for each in looked.looks for part in each.slices)


def has_labels(looked: LookedSource) -> bool:
    """Returns whether any row has a label."""
    return any(table.name == "labels" for table in looked.survey.tables)
