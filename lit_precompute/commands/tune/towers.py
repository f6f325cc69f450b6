"""`lit-tune towers`: lists the text towers that have names, or shows the card of one."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import rich.console
import rich.table
import tyro

from lit_precompute.commands.tower_lists import new_table, publisher, show
from lit_precompute.towers.text.registry import resolve_text_tower, text_towers

if TYPE_CHECKING:
    from lit_precompute.towers.text.catalogue import Description


@dataclasses.dataclass(frozen=True)
class Towers:
    """Lists the text towers that have names, or shows the card of one.

    For example:

      lit-tune towers
      lit-tune towers '*siglip2*'
      lit-tune towers google/siglip-base-patch16-224
    """

    name: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="[NAME]")] = ""
    """A tower's name, or a folder or Hugging Face repository with a config.json, for its card; a pattern with * for a
    shorter list."""
    json: bool = False
    """Print JSON for programs."""

    def run(self, console: rich.console.Console) -> None:
        """Prints the list or the card.

        Raises:
          ValueError: no tower has this name or matches the pattern.
        """
        # Imported late: JAX takes a second, and --help does not need it.
        from lit_precompute.towers.text.catalogue import describe

        def described(name: str) -> "Description":
            name, entry = resolve_text_tower(name)
            if entry is None:
                raise ValueError(f"{name}: a file of weights does not say what it is; give a folder with a config.json")
            return describe(name, entry)

        show(
            console,
            self.name,
            as_json=self.json,
            command="lit-tune towers",
            names=sorted(text_towers()),
            describe=described,
            rows=_rows,
            details=_details,
        )


def _rows(descriptions: Sequence["Description"]) -> rich.table.Table:
    numbers = ("numbers", "blocks", "parameters", "tokens")
    table = new_table("family", *numbers, "tokenizer", "weights from", right=numbers)
    # By family, bare architectures before published models.
    for one in sorted(descriptions, key=lambda one: (one.family, bool(one.weights), one.num_parameters, one.name)):
        size = f"{one.num_parameters / 1e6:,.1f} M"
        table.add_row(
            one.name,
            one.family,
            *(f"{one.width:,}", str(one.depth), size, _tokens(one)),
            one.tokenizer,
            publisher(one.weights),
        )
    return table


def _tokens(one: "Description") -> str:
    return "any" if one.max_tokens is None else f"{one.max_tokens:,}"


def _details(one: "Description") -> dict[str, str]:
    tokenizer = one.tokenizer_path or "trained on the captions"
    start = f"--text-tower.weights {one.name}"
    return {
        "tower": one.name,
        "family": one.family,
        "embedding": f"{one.width:,} numbers before the head; pooling {one.pooling}",
        "blocks": f"{one.depth:,}",
        "parameters": f"{one.num_parameters:,} without the head",
        "tokens": f"{one.usual_tokens} unless --text.max-tokens says otherwise"
        + ("" if one.max_tokens is None else f", {one.max_tokens:,} at most"),
        "tokenizer": f"{one.tokenizer}: {tokenizer}",
        "weights": one.weights or "none: it starts at random",
        **({"note": one.note} if one.note else {}),
        "options": ", ".join(f"{field} {value}" for field, value in one.options.items()),
        "use": f"lit-tune {start} --dataset DIR --output DIR",
    }
