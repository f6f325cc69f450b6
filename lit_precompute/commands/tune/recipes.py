"""`lit-tune recipes`: lists the recipes, shows one beside the published figures, or writes one to a file."""

from __future__ import annotations

import dataclasses
import difflib
import fnmatch
from typing import Annotated, Any

import rich.console
import rich.table
import tyro

from lit_precompute.commands.console import card, print_json
from lit_precompute.commands.tune.recipe_words import commands_of, describe, doubts, published, short_values
from lit_precompute.tune.recipes import SHORT, PaperRecipe, recipe_from, write_recipe
from lit_precompute.tune.recipes.errata import NAMES, followed
from lit_precompute.tune.recipes.table10 import PRINTED, Row

_PAPERS = dict(zip(NAMES, map(followed, PRINTED), strict=True))


@dataclasses.dataclass(frozen=True)
class Recipes:
    """Lists the recipes: the short ones, and one for each row of the paper's Table 10 with its published figures.

    For example:

      lit-tune recipes
      lit-tune recipes 'tab5-*'
      lit-tune recipes show tab5-yfcc-Lu-vit-b32-vit-base-wp
      lit-tune recipes new --from tab5-yfcc-Lu-vit-b32-vit-base-wp mine.toml
    """

    name: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="[PATTERN]")] = ""
    """A pattern with * for a shorter list."""
    json: bool = False
    """Print JSON for programs."""

    def run(self, console: rich.console.Console) -> None:
        """Prints the list.

        Raises:
          ValueError: no recipe matches the pattern.
        """
        names = fnmatch.filter((*SHORT, *_PAPERS), self.name or "*")
        if not names:
            near = difflib.get_close_matches(self.name, ("show", "new", *SHORT, *_PAPERS), n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise ValueError(f"no recipe's name matches {self.name!r}; {hint}`lit-tune recipes` lists all of them")
        short, papers = [name for name in names if name in SHORT], [name for name in names if name in _PAPERS]
        if self.json:
            print_json([describe(name, SHORT[name].purpose) for name in short] + [_described(name) for name in papers])
            return
        if short:
            console.print(card((name, SHORT[name].purpose) for name in short))
        if papers:
            console.print(_table(papers))
            locked = sum(not _PAPERS[name].trains_image_tower for name in papers)
            console.print(f"{len(papers)} rows of the paper's Table 10, of which {locked} can be trained here")
        console.print("lit-tune recipes show NAME shows one with its sources; lit-tune --recipe NAME trains it")


@dataclasses.dataclass(frozen=True)
class Show:
    """Shows a recipe: each value with its source, the published figures, what is known to be wrong, and the commands.

    For example:

      lit-tune recipes show tab5-yfcc-Lu-vit-b32-vit-base-wp
    """

    name: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="NAME")]
    """A recipe's name, or its file."""
    json: bool = False
    """Print JSON for programs."""

    def run(self, console: rich.console.Console) -> None:
        """Prints the recipe.

        Raises:
          OptionsError: there is no such recipe, it trains the image tower, or the file is none of a recipe.
          OSError: the file cannot be read.
        """
        named = recipe_from(self.name)
        if self.json:
            values = named.values if isinstance(named, PaperRecipe) else ()
            errata = named.errata if isinstance(named, PaperRecipe) else ()
            print_json(
                {
                    **describe(named.name, named.purpose, named.row if isinstance(named, PaperRecipe) else None),
                    "source": named.source,
                    "values": [value._asdict() for value in values],
                    "errata": [dataclasses.asdict(erratum) for erratum in errata],
                    "recipe": named.recipe.to_json(),
                    "execution": dataclasses.asdict(named.execution),
                    "commands": commands_of(named),
                }
            )
            return
        table = rich.table.Table(box=None, padding=(0, 2, 0, 0))
        for column in (named.name, "value", "source"):
            table.add_column(column, overflow="fold")
        for value in short_values(named):
            table.add_row(*value)
        console.print(table)
        for line in (*published(named), *doubts(named)):
            console.print(line)
        console.print("\n".join(["", *commands_of(named)]))


@dataclasses.dataclass(frozen=True)
class New:
    """Writes a recipe to a new file, .toml with a comment at each value or .json, to be changed and given as --recipe.

    For example:

      lit-tune recipes new --from tab5-yfcc-Lu-vit-b32-vit-base-wp mine.toml
      lit-tune --recipe mine.toml --dataset embedded --output runs/mine
    """

    file: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="FILE")]
    """The file to write."""
    from_: Annotated[str, tyro.conf.arg(name="from")] = "demo"
    """The recipe to begin with: a name or a file."""

    def run(self, console: rich.console.Console) -> None:
        """Writes the file and says what to do with it.

        Raises:
          OptionsError: there is no such recipe, or the file's name has another ending.
          OSError: there is such a file, or it cannot be written.
        """
        named = recipe_from(self.from_)
        write_recipe(named, self.file)
        console.print(f"{self.file}: the values of {named.name}; train it with lit-tune --recipe {self.file}")


def _described(name: str) -> dict[str, Any]:
    row = _PAPERS[name]
    return describe(name, f"{row.ref}: {row.image} and {row.text} on {row.dataset}", row)


def _table(names: list[str]) -> rich.table.Table:
    table = rich.table.Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("recipe", overflow="fold", min_width=24)
    for column in ("images", "optimizer", "rate", "decay", "ImageNet", "T->I", "I->T", "trained"):
        table.add_column(column, justify="right", no_wrap=True)
    for name in names:
        table.add_row(name, *_cells(_PAPERS[name]))
    return table


def _cells(row: Row) -> tuple[str, ...]:
    figures = (row.imagenet, row.text_to_image, row.image_to_text)
    return (
        f"{row.num_images / 1e6:,.0f} M",
        row.optimizer,
        f"{row.learning_rate:g}",
        f"{row.weight_decay:g}",
        *(f"{figure:.1f}" for figure in figures),
        "both: not here" if row.trains_image_tower else "text",
    )
