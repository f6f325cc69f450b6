"""Tables of JSON lines: one object per line, with the columns as keys."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from lit_precompute.precompute.sources.source import SourceColumns
from lit_precompute.precompute.sources.table.lines import NOT_UTF8, Lines
from lit_precompute.precompute.sources.table.rows import Row, checked_path, no_text
from lit_precompute.precompute.sources.values import listed, parse_json, read_key, read_label, read_texts, short

_ONE_A_LINE = "; a .jsonl table has one JSON object a line"


@dataclasses.dataclass(frozen=True, kw_only=True)
class JsonLayout:
    """See `Layout`."""

    columns: SourceColumns

    def skip_header(self, lines: Lines) -> None:
        """Does nothing: JSON lines have no header."""

    def rows(self, lines: Lines) -> Iterator[Row]:
        """Yields a row per object; blank lines are skipped."""
        columns = self.columns
        for values in _objects(lines):
            if columns.image not in values:
                names = listed(sorted(values))
                raise lines.fault(f"no key {columns.image!r}; there are {names}; give its name as --image-column")
            text, notes = read_texts(values, columns.text)
            texts, more_notes = read_texts(values, columns.texts)
            label, label_notes = read_label(values, columns.label)
            yield Row(
                path=checked_path(values[columns.image], columns.image, lines.fault),
                texts=(*text, *texts),
                label=label,
                key=read_key(values, columns.key, lines.fault),
                notes=(*notes, *more_notes, *label_notes),
            )

    def check_names(self, lines: Lines) -> None:
        """See `Layout`. A key counts even if its value is null in every row."""
        columns, first = self.columns, None
        for values in _objects(lines):
            if not values.keys().isdisjoint((columns.text, columns.texts, columns.label)):
                return
            first = first or (sorted(values), lines.number)
        if first:
            raise lines.fault(no_text(columns, first[0]), first[1])


def _objects(lines: Lines) -> Iterator[dict[str, Any]]:
    for line in lines:
        if not line.strip():
            lines.num_blank += 1
            continue
        if "\0" in line:  # JSON escapes it
            raise lines.fault(NOT_UTF8)
        values = parse_json(line, lines.fault, _ONE_A_LINE)
        if not isinstance(values, dict):
            raise lines.fault(f"must be a JSON object, got {short(values)}{_ONE_A_LINE}")
        yield values
