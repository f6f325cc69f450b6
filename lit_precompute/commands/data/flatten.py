"""`lit-data flatten`: one dataset of a derived one and all that it refers to."""

import dataclasses
import shlex
import time

import rich.console
import tyro

from lit_precompute.commands.data.copy import describe, describe_result
from lit_precompute.commands.progress import ProgressDisplay
from lit_precompute.commands.stopping import interruptible
from lit_precompute.schemas.sharing.copying import NUM_THREADS, copy_dataset
from lit_precompute.schemas.sharing.file_tasks import CopyProgress
from lit_precompute.schemas.sharing.part import Part


@dataclasses.dataclass(frozen=True, kw_only=True)
class Flatten:
    """Copies a derived dataset and the tables that it refers to into one dataset, which refers to nothing.

    Every file is compared with its SHA-256; the manifest comes last. To finish a copy that was stopped, run the same
    command again. For example:

      lit-data flatten cc12m-german --output gs://bucket/cc12m-german
    """

    dataset: tyro.conf.Positional[str]
    """The derived dataset: a directory, or a URL."""
    output: str
    """A directory, or a URL of a store that can be written to."""
    threads: int = NUM_THREADS
    """Files to copy at once."""

    def run(self, console: rich.console.Console) -> int:
        """Copies, and prints what came of it; returns the exit status."""
        started_s = time.monotonic()
        last = CopyProgress()
        with interruptible("run the same command again to finish the copy"), ProgressDisplay(console) as display:

            def report(progress: CopyProgress) -> None:
                nonlocal last
                last = progress
                display.show(describe(progress, time.monotonic() - started_s), progress.num_bytes, progress.all_bytes)

            part = Part(is_flat=True)
            copied = copy_dataset(self.dataset, self.output, part, report=report, num_threads=self.threads)
        console.print(describe_result(self.output, copied, last, time.monotonic() - started_s))
        console.print(f"next:  lit-data info {shlex.quote(self.output)}")
        return 0
