"""What the commands of lit-eval share: their flags, the rows they use, and what they print of a dataset."""

import dataclasses
from typing import Any

import rich.console
import rich.table
import rich.text

from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.schemas.sharing.selected_rows import open_selection
from lit_precompute.schemas.sharing.selection import Selection
from lit_precompute.schemas.tables import EMBEDDINGS
from lit_precompute.tune.evaluation.statistics import Share, percent


@dataclasses.dataclass(frozen=True, kw_only=True)
class Command:
    """Flags of every subcommand."""

    module: tuple[str, ...] = ()
    """Modules to import first, for example one that registers the model's text tower."""
    text_tower: str | None = None
    """Of a model over stored text embeddings: name or folder of the frozen text tower that embeds texts, or
    NAME@WEIGHTS; by default the one that the model names, if it is one of `lit-tune towers`."""
    table: str = EMBEDDINGS
    """The dataset's table of embeddings, such as embeddings-b32: one of the tower that the model was tuned on."""


def selection_of(path: str | None, dataset: EmbeddingDataset) -> Selection | None:
    """Returns the rows of a dataset that `--selection` names; None for all."""
    return None if path is None else open_selection(path, dataset)


def print_shares(console: rich.console.Console, title: str, counts: str, shares: dict[str, dict[str, Share]]) -> None:
    """Prints a table of shares, one per line, each with its confidence interval and chance level."""
    # A title of the table's own would be folded to its width.
    console.print(rich.text.Text(f"{title} ({counts})", style="italic"))
    table = rich.table.Table()
    for name in ("", "", "result", "95 % interval", "chance"):
        table.add_column(name, justify="right" if name else "left")
    for group, by_name in shares.items():
        for place, (name, share) in enumerate(by_name.items()):
            interval = " to ".join(map(percent, share.interval))
            table.add_row("" if place else group, name, percent(share.value), interval, percent(share.chance))
    console.print(table)


def say_caution(console: rich.console.Console, dataset: EmbeddingDataset) -> None:
    """Says what is not known of a dataset's tower."""
    if caution := dataset.tower.caution:
        console.print(caution)


def say_differences(console: rich.console.Console, differences: dict[str, dict[str, Any]]) -> None:
    """Says which preprocessing differs between the dataset and the one that the model was tuned on."""
    if differences:
        words = [
            f"{name} is {values['dataset']!r}, the model's is {values['model']!r}"
            for name, values in differences.items()
        ]
        console.print(f"the dataset's preprocessing differs from the model's: {'; '.join(words)}")
