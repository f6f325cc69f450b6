"""`lit-data list`: the datasets below a folder, in any store."""

import dataclasses
from typing import Annotated

import rich.console
import rich.table
import tyro

from lit_precompute.commands.console import make_console, print_json
from lit_precompute.commands.progress import ProgressDisplay
from lit_precompute.schemas.sharing.catalog import COMPLETE, MAX_DEPTH, Entry, Found, Wanted, find_datasets
from lit_precompute.schemas.wording import counted, one_line

_SHOWN_EVERY = 100  # folders: fewer are looked into in a moment


@dataclasses.dataclass(frozen=True)
class List:
    """Lists the datasets below a folder, in any store: towers, rows, tables, bytes, order, complete or not.

    For example:

      lit-data list gs://bucket/embeddings
      lit-data list gs://bucket --tower '*dino*' --json
    """

    prefix: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="PREFIX")]
    """The folder: a path or a URL."""
    tower: str | None = None
    """Only those of this tower: its name, or a pattern with *."""
    source: str | None = None
    """Only those of this source: its path as it was given, or a pattern with *."""
    model_identity: str | None = None
    """Only those that fit models of this identity, or the beginning of one."""
    fingerprint: str | None = None
    """Only those of a tower with this fingerprint, or the beginning of one."""
    depth: int = MAX_DEPTH
    """How deep to look: 1 for the folders in the folder."""
    json: bool = False
    """Print JSON for programs."""

    def run(self, console: rich.console.Console) -> int:
        """Prints the list; returns the exit status."""
        if self.depth < 0:
            raise ValueError(f"--depth must be >= 0, got {self.depth}")
        with ProgressDisplay(make_console(stderr=True)) as display:

            def report(num_folders: int, num_datasets: int) -> None:
                if num_folders % _SHOWN_EVERY == 0:
                    words = f"{counted(num_folders, 'folder')}, {counted(num_datasets, 'dataset')}"
                    display.show(words, num_folders, None)

            found = find_datasets(self.prefix, max_depth=self.depth, report=report)
        wanted = Wanted(
            tower=self.tower,
            source=self.source,
            model_identity=self.model_identity,
            fingerprint=self.fingerprint,
        )
        entries = [entry for entry in found.entries if wanted.fits(entry)]
        if self.json:
            print_json([entry.to_json() for entry in entries])
            return 0
        if entries:
            console.print(_table(entries, found.root))
        console.print(_summary(self.prefix, found, len(entries), self.depth))
        return 0


def _table(entries: list[Entry], root: str) -> rich.table.Table:
    table = rich.table.Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("dataset", overflow="fold", min_width=16)
    for column in ("rows", "MB"):
        table.add_column(column, justify="right", no_wrap=True)
    for column in ("order", "tower", "tables", "source", "state"):
        table.add_column(column, overflow="fold")
    for entry in entries:
        rows = "" if entry.num_rows is None else f"{entry.num_rows:,}"
        size = f"{entry.num_bytes / 1e6:,.1f}" if entry.state == COMPLETE else ""
        state = entry.state if not entry.reason else f"{entry.state}: {entry.reason}"
        towers = ", ".join(dict.fromkeys(entry.towers.values()))
        words = (entry.order, towers, ", ".join(entry.tables), str(entry.source.get("path", "")), state)
        within = entry.path.removeprefix(f"{root}/")
        table.add_row(one_line(within), rows, size, *map(one_line, words))
    return table


def _summary(prefix: str, found: Found, num_listed: int, depth: int) -> str:
    listed = counted(num_listed, "dataset")
    of_all = f" of {len(found.entries):,}" if num_listed < len(found.entries) else ""
    words = f"{prefix}: {listed}{of_all} in {counted(found.num_folders, 'folder')}"
    if found.num_deeper:
        words += f"; {counted(found.num_deeper, 'folder')} deeper than {depth} not looked into: give --depth"
    return words
