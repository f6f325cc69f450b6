"""Tables of JSON lines: one object per line, with the columns as keys."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from lit_precompute.precompute.sources.spec import SourceColumns
from lit_precompute.precompute.sources.table.lines import NOT_UTF8, Lines
from lit_precompute.precompute.sources.table.rows import Row, checked_path
from lit_precompute.precompute.sources.values import listed, parse_json, read_key, read_label, read_texts, short

_ONE_A_LINE = "; a .jsonl table has one JSON object a line"


@dataclasses.dataclass(frozen=True, kw_only=True)
class JsonLayout:
    """See `Layout`; `has_images` as of a `TableSource`."""

    columns: SourceColumns
    has_images: bool = True

    @property
    def sought(self) -> dict[str, str]:
        """The keys that some row should have, by the option that names each."""
        fields = ("text", "texts", "label", "key")
        named = {column: f"--named-text {name}=COLUMN" for name, column in self.columns.named_columns.items()}
        return named | {getattr(self.columns, field): f"--{field}-column" for field in fields}

    def rows(self, lines: Lines) -> Iterator[Row]:
        """Yields a row per object; blank lines are skipped."""
        columns, named_columns = self.columns, self.columns.named_columns
        lines.unseen = set(self.sought)
        for values in _objects(lines):
            has_path = self.has_images or columns.key not in values
            if has_path and columns.image not in values:
                field = "image" if self.has_images else "key"
                names = listed(sorted(values))
                raise lines.fault(
                    f"no key {getattr(columns, field)!r}; there are {names}; give its name as --{field}-column"
                )
            lines.unseen.difference_update(values)
            lines.first_names = lines.first_names or (sorted(values), lines.number)
            text, notes = read_texts(values, columns.text)
            texts, more_notes = read_texts(values, columns.texts)
            label, label_notes = read_label(values, columns.label)
            named = {name: read_texts(values, column) for name, column in named_columns.items()}
            path = checked_path(values[columns.image], columns.image, lines.fault) if has_path else ""
            yield Row(
                path=path,
                texts=(*text, *texts),
                label=label,
                key=read_key(values, columns.key, lines.fault) or path,
                notes=(*notes, *more_notes, *label_notes, *(note for _, notes in named.values() for note in notes)),
                named={name: tuple(texts) for name, (texts, _) in named.items()},
            )


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
