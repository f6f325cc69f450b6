"""`lit-embed towers`: lists the registered image towers, or shows the card of one."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import rich.console
import rich.table
import tyro

from lit_precompute.commands.console import refuse_flags
from lit_precompute.commands.tower_lists import new_table, publisher, show

if TYPE_CHECKING:
    from lit_precompute.towers.catalogue import Description


@dataclasses.dataclass(frozen=True)
class Towers:
    """Lists the registered image towers, or shows the card of one.

    For example:

      lit-embed towers
      lit-embed towers '*dino*'
      lit-embed towers google/vit-base-patch16-224
    """

    name: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="[NAME]")] = ""
    """A tower's name, or `module:name` of your own tower, for its card; a pattern with * for a shorter list."""
    json: bool = False
    """Print JSON for programs."""

    def run(self, console: rich.console.Console, unknown_flags: list[str]) -> None:
        """Prints the list or the card.

        Raises:
          ValueError: no tower has this name or matches the pattern, or there are unknown flags.
        """
        refuse_flags("lit-embed towers", unknown_flags)
        # Imported late: JAX takes a second, and --help does not need it.
        from lit_precompute.towers.catalogue import describe
        from lit_precompute.towers.registry import find_tower, tower_names

        show(
            console,
            self.name,
            as_json=self.json,
            command="lit-embed towers",
            names=tower_names(),
            describe=lambda name: describe(name, find_tower(name)),
            rows=_rows,
            details=_details,
        )


def _rows(descriptions: Sequence["Description"]) -> rich.table.Table:
    numbers = ("numbers", "parameters", "pixels")
    table = new_table(*numbers, "published accuracy", "weights from", right=numbers)
    # By family, bare architectures before published models.
    for one in sorted(descriptions, key=lambda one: (one.family, bool(one.weights), one.num_parameters, one.name)):
        sizes = (f"{one.width:,}", f"{one.num_parameters / 1e6:,.1f} M", str(one.resolution))
        table.add_row(one.name, *sizes, one.accuracy, publisher(one.weights))
    return table


def _details(one: "Description") -> dict[str, str]:
    default, *others = [f"{pooling} ({width:,})" for pooling, width in one.embedding.items()]
    given = "" if one.weights else " --weights FILE"
    return {
        "tower": one.name,
        "family": one.family,
        "embedding": f"{default}; --pooling also takes {', '.join(others)}" if others else default,
        "parameters": f"{one.num_parameters:,}",
        "images": f"{one.resolution} x {one.resolution} pixels: {one.images}",
        "accuracy": one.accuracy or "nothing comparable is published",
        "weights": one.weights or "a file of this architecture: --weights FILE",
        "SHA-256": one.weights_sha256 or "not published",
        "architecture": ", ".join(f"{field} {value}" for field, value in one.architecture.items()),
        "use": f"lit-embed run --tower {one.name}{given} --source TABLE --output DIR",
    }
