"""`lit-embed inspect`: what a source holds, before anything is embedded."""

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any

import rich.console
import rich.table
import rich.text
import tyro

from lit_precompute.commands.console import card, print_json, refuse_flags
from lit_precompute.commands.flags import flat_flags
from lit_precompute.commands.pages import check_page
from lit_precompute.precompute.sources.inspection import InspectedRow, Inspection, inspect_source
from lit_precompute.precompute.sources.opening import files_in_words
from lit_precompute.precompute.sources.spec import SourceSpec
from lit_precompute.precompute.sources.spec_text import parse_spec
from lit_precompute.schemas.wording import counted, one_line

_MAX_WORDS = 70

if TYPE_CHECKING:
    _Settings = SourceSpec
else:
    _Settings = flat_flags(SourceSpec, prefix="source.", fixed={"path": ""})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Inspect:
    """Shows what a source holds: format, files, fields, an estimate of its rows, the first rows, and what looks wrong.

    Reads listings, the first rows, and the images of the rows that are shown.

    For example:

      lit-embed inspect images/captions.tsv --sheet sheet.html
      lit-embed inspect 'gs://bucket/data-*.tar' --rows 20
    """

    source: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="SOURCE")]
    """The source: a path, a pattern, a folder or a URL, perhaps with a format before it and settings after it."""
    settings: _Settings
    rows: int = 8
    """How many rows to show."""
    sheet: str | None = None
    """Write the rows that are shown, with their images, as one HTML page of this name."""
    json: bool = False
    """Print JSON for programs."""

    def run(self, console: rich.console.Console, unknown_flags: list[str]) -> None:
        """Prints what was found.

        Raises:
          ValueError, OSError: no such source, no row of it can be read, or wrong options.
        """
        refuse_flags("lit-embed inspect", unknown_flags)
        if self.rows < 0:
            raise ValueError(f"--rows must be >= 0, got {self.rows}")
        if self.sheet is not None:
            check_page("--sheet", self.sheet)
        found = inspect_source(parse_spec(self.source, self.settings), num_rows=self.rows)
        if self.sheet is not None:
            from lit_precompute.commands.embed.sheet import write_sheet  # imports Pillow

            write_sheet(found, self.sheet)
        if self.json:
            print_json(to_json(found))
        else:
            _print(found, console)
            if self.sheet is not None:
                console.print(f"{self.sheet}: {counted(len(found.rows), 'row')} with their images")
        if not found.num_sampled:
            raise ValueError(f"{self.source}: no row can be read")


def to_json(found: Inspection) -> dict[str, Any]:
    """Returns what was found, without the images' bytes."""
    content = dataclasses.asdict(found)
    for row in content["rows"]:
        del row["image"]["data"]
    return content


def _print(found: Inspection, console: rich.console.Console) -> None:
    size = "" if found.num_bytes is None else f", {_size(found.num_bytes)}"
    more = ", ..." if found.num_files > len(found.files) else ""
    console.print(
        card(
            [
                ("source", found.path),
                ("format", f"{found.format} ({found.recognised})"),
                ("files", f"{files_in_words(found.format, found.num_files)}{size}: {', '.join(found.files)}{more}"),
                ("rows", _rows_in_words(found)),
            ]
        )
    )
    if found.fields:
        console.print("\nfields of the first row")
        console.print(card([(f"  {_cut(name)}", _cut(value)) for name, value in found.fields.items()]))
    if found.rows:
        console.print("\nfirst rows, as they would be embedded")
        console.print(_table(found.rows))
    console.print("\nnothing looks wrong" if not found.oddities else "\nlook at this")
    for oddity in found.oddities:
        console.print(f"  - {one_line(oddity)}")


def _rows_in_words(found: Inspection) -> str:
    if found.num_rows is None:
        return f"not known ({found.num_sampled:,} read)"
    if found.is_exact:
        return f"{found.num_rows:,}"
    return f"about {found.num_rows:,}, judging by the first {found.num_sampled:,} and the files' sizes"


def _table(rows: tuple[InspectedRow, ...]) -> rich.table.Table:
    """Returns the rows; a column that is empty in all of them is left out."""
    names = list(dict.fromkeys(name for row in rows for name in row.named))
    columns = {
        "key": [row.key for row in rows],
        "image": [row.image.words for row in rows],
        "label": [row.label for row in rows],
        "texts": [" | ".join(row.texts) for row in rows],
        **{name: [" | ".join(row.named.get(name, ())) for row in rows] for name in names},
    }
    shown = {name: values for name, values in columns.items() if any(values)}
    table = rich.table.Table(box=None, padding=(0, 2, 0, 2))
    for name in shown:
        table.add_column(name, overflow="fold")
    for values in zip(*shown.values(), strict=True):
        table.add_row(*(rich.text.Text(_cut(value)) for value in values))
    return table


def _size(num_bytes: int) -> str:
    return f"{num_bytes / 1e6:,.1f} MB" if num_bytes >= 1e5 else f"{num_bytes / 1e3:,.1f} kB"


def _cut(text: str) -> str:
    line = one_line(text)
    return line if len(line) <= _MAX_WORDS else line[: _MAX_WORDS - 3] + "..."
