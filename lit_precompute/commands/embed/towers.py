"""`lit-embed towers`: lists the registered image towers, or shows the card of one."""

import dataclasses
import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated

import rich.console
import rich.table
import tyro

from lit_precompute.commands.console import make_console, refuse_flags
from lit_precompute.commands.progress import ProgressDisplay
from lit_precompute.commands.tower_lists import is_pattern, new_table, publisher, show
from lit_precompute.towers.options import ComputeType, ImageTowerOptions

if TYPE_CHECKING:
    from lit_precompute.towers.catalogue import Description, Speed


@dataclasses.dataclass(frozen=True)
class Towers:
    """Lists the registered image towers, or shows the card of one.

    For example:

      lit-embed towers
      lit-embed towers '*dino*'
      lit-embed towers google/vit-base-patch16-224
      lit-embed towers 'facebook/dinov2-*' --measure
    """

    name: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="[NAME]")] = ""
    """A tower's name, or `module:name` of your own tower, for its card; a pattern with * for a shorter list."""
    flops: bool = False
    """Count the operations for one image in a list, too, a second or so for each tower; a card always has them."""
    measure: bool = False
    """Time the tower on this machine's devices, in batches of the size that a job would choose: up to a minute or two
    for each tower. No weights are needed. Decoding is not timed; `lit-embed plan --sample` does that."""
    compute_type: ComputeType = "float32"
    """Type of the activations that --measure times."""
    json: bool = False
    """Print JSON for programs."""

    def run(self, console: rich.console.Console, unknown_flags: list[str]) -> None:
        """Prints the list or the card.

        Raises:
          ValueError: no tower has this name or matches the pattern, --compute-type is given without --measure, there
            are unknown flags, or the tower to be measured does not fit the memory (in a list, its line says so).
          DeviceError: JAX finds no devices to measure on, or another process of this machine embeds on them.
        """
        refuse_flags("lit-embed towers", unknown_flags)
        if self.compute_type != "float32" and not self.measure:
            raise ValueError(f"--compute-type {self.compute_type} is for --measure, which is missing")
        with_flops = self.flops or not is_pattern(self.name)
        with ProgressDisplay(make_console(stderr=True)) as display:
            # Imported late: JAX takes a second, and --help does not need it.
            from lit_precompute.towers.registry import tower_names

            show(
                console,
                self.name,
                as_json=self.json,
                command="lit-embed towers",
                names=tower_names(),
                describe=self._describing(with_flops=with_flops),
                rows=lambda found: _rows(found, with_flops=with_flops, with_speed=self.measure),
                details=_details,
                report=self._reporting(display),
            )

    def _describing(self, *, with_flops: bool) -> Callable[[str], "Description"]:
        """Returns what describes the tower of a name, with as much as is asked for."""
        from lit_precompute.precompute.machine import take_found_devices, use_no_accelerator
        from lit_precompute.towers.catalogue import describe
        from lit_precompute.towers.cost import count_flops
        from lit_precompute.towers.registry import find_tower

        if self.measure:
            take_found_devices()
        else:
            use_no_accelerator()
        counted: dict[str, int] = {}  # by network, of which there are fewer than names

        def described(name: str) -> "Description":
            entry = find_tower(name)
            found = describe(name, entry)
            if with_flops:
                network = json.dumps([found.family, found.architecture])
                if network not in counted:
                    counted[network] = count_flops(entry.family, entry.config)
                found = dataclasses.replace(found, flops=counted[network])
            return dataclasses.replace(found, speed=self._measure(name)) if self.measure else found

        return described

    def _measure(self, name: str) -> "Speed | None":
        """Returns a tower's speed; None for one in a list that does not fit the memory."""
        from lit_precompute.precompute.batch_size import DoesNotFitError
        from lit_precompute.precompute.tower_speed import measure

        try:
            return measure(ImageTowerOptions(name=name, compute_type=self.compute_type))
        except DoesNotFitError:
            if is_pattern(self.name):
                return None
            raise

    def _reporting(self, display: ProgressDisplay) -> Callable[[str, int, int], None]:
        """Returns what tells how far a list is that takes long."""
        doing = "measuring" if self.measure else "counting the operations of"

        def report(name: str, done: int, total: int) -> None:
            if self.measure or self.flops:
                display.show(f"{doing} {name}, {done + 1} of {total}", done, total)

        return report


def _rows(descriptions: Sequence["Description"], *, with_flops: bool, with_speed: bool) -> rich.table.Table:
    more = ("GFLOPs",) * with_flops + ("images/s",) * with_speed
    numbers = ("numbers", "parameters", "pixels", *more)
    table = new_table(*numbers, "published accuracy", "weights from", right=numbers)
    # By family, bare architectures before published models.
    for one in sorted(descriptions, key=lambda one: (one.family, bool(one.weights), one.num_parameters, one.name)):
        sizes = [f"{one.width:,}", f"{one.num_parameters / 1e6:,.1f} M", str(one.resolution)]
        if one.flops is not None:
            sizes.append(f"{one.flops / 1e9:,.1f}")
        if with_speed:
            sizes.append(f"{one.speed.images_per_second:,.1f}" if one.speed else "does not fit")
        table.add_row(one.name, *sizes, one.accuracy, publisher(one.weights))
    return table


def _in_billions(number: float) -> str:
    """Returns a number with two digits at least that say something."""
    return f"{number / 1e9:,.2f}" if number >= 1e9 else f"{number / 1e9:.2g}"


def _details(one: "Description") -> dict[str, str]:
    default, *others = [f"{pooling} ({width:,})" for pooling, width in one.embedding.items()]
    given = "" if one.weights else " --weights FILE"
    assert one.flops is not None
    return {
        "tower": one.name,
        "family": one.family,
        "embedding": f"{default}; --pooling also takes {', '.join(others)}" if others else default,
        "parameters": f"{one.num_parameters:,}",
        "FLOPs": f"{_in_billions(one.flops)} billion for an image; a multiply-add is two",
        "speed": _in_words(one.speed) if one.speed else "--measure times it on this machine",
        "images": f"{one.resolution} x {one.resolution} pixels: {one.images}",
        "accuracy": one.accuracy or "nothing comparable is published",
        "weights": one.weights or "a file of this architecture: --weights FILE",
        "SHA-256": one.weights_sha256 or "not published",
        "architecture": ", ".join(f"{field} {value}" for field, value in one.architecture.items()),
        "use": f"lit-embed run --tower {one.name}{given} --source TABLE --output DIR",
    }


def _in_words(speed: "Speed") -> str:
    devices = speed.device if speed.num_devices == 1 else f"{speed.num_devices} x {speed.device}"
    return (
        f"{speed.images_per_second:,.1f} images/s in batches of {speed.batch_size:,} on {devices}, in "
        f"{speed.compute_type}; decoding images is not in it"
    )
