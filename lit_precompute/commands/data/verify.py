"""`lit-data verify`: checks every file of a dataset."""

import collections
import dataclasses
from typing import Annotated

import rich.console
import tyro

from lit_precompute.commands.console import make_console, print_json
from lit_precompute.commands.progress import ProgressDisplay
from lit_precompute.schemas.checking.verification import find_faults
from lit_precompute.schemas.manifest import Manifest
from lit_precompute.schemas.wording import counted


@dataclasses.dataclass(frozen=True)
class Verify:
    """Checks every file of a dataset: checksums, row counts, alignment, finite values, ledger. Exits with 1 on a fault.

    Files in a store are fetched and checked one by one, as are tables that a derived dataset refers to. Says which
    command mends what is wrong. For example:

      lit-data verify cc12m-vit_l16
      lit-data verify gs://bucket/cc12m-vit_l16
    """

    dataset: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="DATASET")]
    """The dataset: a directory, or a URL."""
    json: bool = False
    """Print JSON for programs."""

    def run(self, console: rich.console.Console) -> int:
        """Prints every fault; returns the exit status."""
        with ProgressDisplay(make_console(stderr=True)) as display:  # standard output has the result alone

            def report(done: int, total: int) -> None:
                display.show(f"{done:,}/{counted(total, 'file')} checked", done, total)

            faults = find_faults(self.dataset, report)
        if self.json:
            print_json({"dataset": self.dataset, "faults": [fault._asdict() for fault in faults]})
            return int(bool(faults))
        for fault in faults:
            console.print(f"fault: {fault.message}")
        if faults:
            console.print(f"{self.dataset}: {counted(len(faults), 'fault')}")
            for remedy, count in collections.Counter(fault.remedy for fault in faults).items():
                console.print(f"for {count:,} of them:  {remedy}")
            return 1
        manifest = Manifest.read(self.dataset)
        others = ", ".join(reference.path for reference in manifest.references)
        console.print(
            f"{self.dataset}: sound; {counted(manifest.num_rows, 'row')} in {counted(len(manifest.shards), 'shard')}"
            + (f", with what it refers to in {others}" if others else "")
        )
        return 0
