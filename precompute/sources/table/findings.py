"""What a look into one table found, as JSON of bounded size, and what all of a source's tables have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lit_precompute.precompute.sources.source import FileLook, SourceError, Survey, source_tables
from lit_precompute.precompute.sources.spec import SourceColumns
from lit_precompute.precompute.sources.table.lines import Lines
from lit_precompute.precompute.sources.table.rows import Layout, no_text
from lit_precompute.precompute.sources.values import listed
from lit_precompute.schemas.wording import counted

_COUNTS = ("lines", "blank", "long_rows", "quoted")


def findings_of(lines: Lines, layout: Layout, columns: SourceColumns, *, has_labels: bool) -> Mapping[str, Any]:
    """Returns what `survey_tables` needs to know of a table whose rows have all been read."""
    found: dict[str, Any] = {
        "lines": lines.number,
        "blank": lines.num_blank,
        "long_rows": lines.num_long_rows,
        "quoted": lines.num_quoted,
        "labels": has_labels,
    }
    if lines.first_names is None:
        return found  # a header declares the columns, and has been checked
    names, first_line = lines.first_names
    sought = layout.sought
    texts = {columns.text, columns.texts, columns.label, *columns.named_columns.values()}
    if texts <= lines.unseen:
        # However empty the rows are, an option was most likely forgotten.
        found["no_texts"] = str(lines.fault(no_text(columns, names), first_line))
    given = {*columns.named_columns.values()} | {
        getattr(columns, field) for field in ("text", "texts", "label", "key") if not columns.is_default(field)
    }
    found["unseen"] = {
        name: f"no row has {name!r}; the first has {listed(names)}; give its name as {sought[name]}"
        for name in sorted(lines.unseen & given)
    }
    return found


def survey_tables(path: str, columns: SourceColumns, looks: Sequence[FileLook], *, gather: bool) -> Survey:
    """Returns what the tables have in common.

    Raises:
      SourceError: there are no rows, no row can have a text or label, or none has what the user named.
    """
    found = [look.findings for look in looks if look.slices]
    if not found:
        tables = "a table needs at least one after its header" if len(looks) == 1 else f"in {len(looks):,} tables"
        raise SourceError(f"{path}: no rows; {tables}")
    if all("no_texts" in each for each in found):
        raise SourceError(found[0]["no_texts"])
    everywhere = set.intersection(*(set(each.get("unseen", ())) for each in found))
    if everywhere:
        raise SourceError(f"{path}: {found[0]['unseen'][min(everywhere)]}")
    sums = {name: sum(look.findings[name] for look in looks) for name in _COUNTS}
    return Survey(
        tables=source_tables(has_labels=any(each["labels"] for each in found), named=tuple(columns.named_columns)),
        extent=_extent(len(looks), sums, gather=gather),
        # Earlier versions took TSV as quoted. The two differ only where a field begins with a quote: then a dataset
        # of such a version must not pass for one of this job.
        options={"quotes": "kept"} if sums["quoted"] else {},
    )


def _extent(num_tables: int, sums: Mapping[str, int], *, gather: bool) -> str:
    """Returns how many lines were read, and what explains that they are not the rows and a header."""
    words = counted(sums["lines"], "line")
    if num_tables > 1:
        words += f" in {num_tables:,} tables"
    if sums["blank"]:
        words += f", {sums['blank']:,} blank"
    if sums["long_rows"]:
        words += f", {counted(sums['long_rows'], 'row')} of several lines"
    return words + (", gathered by key" if gather else "")
