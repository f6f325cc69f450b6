"""`lit-data select`: writes a selection, a file that names some of a dataset's rows."""

import dataclasses
import pathlib
import posixpath
import time
from typing import Annotated, Any

import rich.console
import tyro

from lit_precompute.commands.console import card, duration, make_console, print_json
from lit_precompute.commands.data.selections import describe_selection, share_in_words
from lit_precompute.commands.progress import ProgressDisplay
from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.schemas.claims import refuse_unwritable
from lit_precompute.schemas.sharing.selected_rows import example_rows
from lit_precompute.schemas.sharing.selecting.finding import Found
from lit_precompute.schemas.sharing.selecting.options import Criteria
from lit_precompute.schemas.sharing.selection import SUFFIX
from lit_precompute.schemas.storage import DatasetError, absolute, is_url, open_folder
from lit_precompute.schemas.tables import EMBEDDINGS
from lit_precompute.schemas.wording import counted, one_line
from lit_precompute.selecting import find

_NUM_EXAMPLES = 5


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Criteria(Criteria):
    """What to select rows by; a range of rows is called so, because `--rows` of other commands is a number of rows."""

    rows: Annotated[tuple[int, int] | None, tyro.conf.arg(aliases=("--range",), metavar="FIRST END")] = None
    """Rows from a first number on and before a second one: 0 1000 are the first thousand."""


@dataclasses.dataclass(frozen=True)
class Select:
    r"""Selects rows and writes a small file that names them, for lit-tune, lit-eval and lit-data.

    All criteria that are given must hold. Similarity is computed last, of rows that satisfy the others. Nothing is
    written, and the status is 1, if no row is selected.

    For example:

      lit-data select cc12m-vit_l16 --output cats.selection --pattern '(?i)\bcats?\b' --max-words 20
      lit-data select cc12m-vit_l16 --output best.selection --model runs/first/model --best-share 0.3
      lit-data select cc12m-vit_l16 --output rest.selection --none-of cats.selection best.selection
    """

    dataset: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="DATASET")]
    """The dataset: a directory, or a URL."""
    output: str
    """The selection to write: a path or URL that ends in .selection; one that is there is replaced."""
    criteria: Annotated[_Criteria, tyro.conf.arg(name="")] = dataclasses.field(default_factory=_Criteria)
    """What to select rows by."""
    table: str = EMBEDDINGS
    """The table of embeddings that --model is about, such as embeddings-b32."""
    json: bool = False
    """Print JSON for programs."""

    def run(self, console: rich.console.Console) -> int:
        """Prints what was selected; returns the exit status."""
        if not self.output.endswith(SUFFIX):
            raise DatasetError(f"--output {self.output}: a selection's name must end in {SUFFIX}")
        folder, _ = posixpath.split(absolute(self.output, what="selection", writing=True))
        refuse_unwritable(open_folder(folder), "choose another --output")  # before a long search, not after it
        with EmbeddingDataset.open(self.dataset, embeddings=self.table) as dataset:
            started_s = time.monotonic()
            # Standard output has the result alone.
            with ProgressDisplay(make_console(stderr=True)) as display:
                found = find(dataset, self.criteria, _progress(display, started_s))
            seconds = time.monotonic() - started_s
            is_empty = not found.selection.num_selected
            if not is_empty:
                found.selection.save(self.output)
            examples = example_rows(dataset, found.selection, _NUM_EXAMPLES)
        if self.json:
            print_json(_describe(self.output, found, examples))
        else:
            _print(console, self.output, found, examples, seconds)
        return int(is_empty)


def _progress(display: ProgressDisplay, started_s: float) -> Any:
    """Returns a function that shows how many rows are done, the rate and the time left."""

    def report(done: int, total: int) -> None:
        rate = done / max(time.monotonic() - started_s, 1e-9)
        left = f"  {duration((total - done) / rate)} left" if done < total else ""
        display.show(f"{done:,}/{counted(total, 'row')}  {rate:,.0f} rows/s{left}", done, total)

    return report


def _describe(output: str, found: Found, examples: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "selection": output if found.selection.num_selected else None,
        **describe_selection(found.selection),
        "num_left": dict(found.num_left),
        "notes": list(found.notes),
        "examples": examples,
    }


def _print(
    console: rich.console.Console, output: str, found: Found, examples: list[dict[str, Any]], seconds: float
) -> None:
    total = found.selection.dataset.num_rows
    lines = [("rows", f"{total:,} looked at in {duration(seconds)}, {total / max(seconds, 1e-9):,.0f} rows/s")]
    lines += [(f"after {name}", f"{left:,} left") for name, left in found.num_left.items()]
    lines.append(("selected", share_in_words(found.selection)))
    lines += [("example", _example(row)) for row in examples]
    console.print(card(lines))
    for note in found.notes:
        console.print(one_line(f"note: {note}"))
    console.print(output if examples else f"no row satisfies all criteria; nothing was written{_older(output)}")


def _older(output: str) -> str:
    """Returns what to say of a selection that an earlier command has left at a path of this machine."""
    return f"; {output} is of an earlier command" if not is_url(output) and pathlib.Path(output).exists() else ""


def _example(row: dict[str, Any]) -> str:
    label = [f"label {row['label']}"] if row.get("label") else []
    return "; ".join([f"row {row['row']:,}, {row['key']}", *label, *row.get("texts", [])[:1]])[:200]
