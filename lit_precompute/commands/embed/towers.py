"""`lit-embed towers`: lists the registered image towers, or shows the card of one."""

import dataclasses
import fnmatch
from typing import TYPE_CHECKING, Annotated

import rich.console
import rich.table
import tyro

from lit_precompute.commands.console import card, print_json, refuse_flags

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

        is_list = not self.name or "*" in self.name
        names = [name for name in tower_names() if fnmatch.fnmatchcase(name, self.name or "*")] if is_list else []
        if is_list and not names:
            raise ValueError(f"no tower's name matches {self.name!r}; `lit-embed towers` lists all of them")
        if is_list:
            descriptions = [describe(name, find_tower(name)) for name in names]
        else:
            descriptions = [describe(self.name, find_tower(self.name))]
        if self.json:
            cards = [dataclasses.asdict(description) for description in descriptions]
            print_json(cards if is_list else cards[0])
        elif is_list:
            _print_list(console, descriptions)
        else:
            console.print(_card(descriptions[0]))


def _print_list(console: rich.console.Console, descriptions: list["Description"]) -> None:
    table = rich.table.Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("tower", overflow="fold", min_width=24)
    for column in ("numbers", "parameters", "pixels"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("published accuracy", min_width=11)
    table.add_column("weights from", overflow="fold", min_width=8)
    # By family, bare architectures before published models.
    for one in sorted(descriptions, key=lambda one: (one.family, bool(one.weights), one.num_parameters, one.name)):
        sizes = (f"{one.width:,}", f"{one.num_parameters / 1e6:,.1f} M", str(one.resolution))
        table.add_row(one.name, *sizes, one.accuracy, _publisher(one.weights))
    console.print(table)
    console.print(f"{len(descriptions)} towers; lit-embed towers NAME shows the card of one")


def _publisher(weights: str) -> str:
    """Returns the publisher of a file, short enough for a table."""
    scheme, _, rest = weights.partition("://")
    host, _, path = rest.partition("/")
    if scheme == "hf":
        return "Hugging Face"
    return f"{host}/{path.partition('/')[0]}" if host.startswith("storage.") else host


def _card(one: "Description") -> rich.table.Table:
    default, *others = [f"{pooling} ({width:,})" for pooling, width in one.embedding.items()]
    given = "" if one.weights else " --weights FILE"
    rows = {
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
    return card(rows.items())
