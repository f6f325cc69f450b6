"""`lit-data copy`: copies a dataset, or a part of it, from any store to any store."""

import dataclasses
import shlex
import time
from typing import Annotated

import rich.console
import tyro

from lit_precompute.commands.console import duration, make_console, print_json, writing_to
from lit_precompute.commands.data.written import describe_written, destination_of, num_bytes_of
from lit_precompute.commands.progress import ProgressDisplay
from lit_precompute.commands.stopping import interruptible
from lit_precompute.schemas.sharing.copying import NUM_THREADS, Copied, copy_dataset
from lit_precompute.schemas.sharing.file_tasks import CopyProgress
from lit_precompute.schemas.sharing.part import Part
from lit_precompute.schemas.wording import counted

_WHERE = "a directory, or a URL of a store that can be written to"


@dataclasses.dataclass(frozen=True)
class Copy:
    """Copies a dataset, or a part of it, from any store to any store. Every file is compared with its SHA-256.

    The manifest comes last: until then nothing at the destination is read as a dataset. To finish a copy that was
    stopped, run the same command again. For example:

      lit-data copy cc12m-vit_l16 gs://bucket/cc12m-vit_l16
      lit-data copy gs://bucket/cc12m-vit_l16 --output sample --tables captions --rows 10000
    """

    source: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="DATASET")]
    """The dataset: a directory, or a URL."""
    destination: Annotated[tyro.conf.Positional[str | None], tyro.conf.arg(metavar="[DESTINATION]")] = None
    """A directory, or a URL of a store that can be written to; empty, or with what a copy of the same has left."""
    output: str | None = None
    """The same as DESTINATION, as other commands have it."""
    tables: str | None = None
    """Copy these tables alone, with commas between them; `embeddings` and `failures` always come along."""
    shards: str | None = None
    """Copy these shards alone, such as 0-9,12; they are numbered anew."""
    selection: str | None = None
    """Copy the rows of a selection alone: a path or URL of a file that `lit-data select` has written."""
    rows: int | None = None
    """Copy the first of these rows alone, at most so many."""
    threads: int = NUM_THREADS
    """Files to copy at once."""
    json: bool = False
    """Print JSON for programs."""

    def run(self, console: rich.console.Console) -> int:
        """Copies, and prints what came of it; returns the exit status."""
        destination = destination_of(self.destination, self.output, _WHERE)
        part = Part.parse(tables=self.tables, shards=self.shards, selection=self.selection, rows=self.rows)
        copy(console, self.source, destination, part, num_threads=self.threads, as_json=self.json)
        return 0


def copy(
    console: rich.console.Console, source: str, destination: str, part: Part, *, num_threads: int, as_json: bool
) -> None:
    """Copies, shows the progress, and prints what came of it."""
    started_s = time.monotonic()
    last = CopyProgress()
    messages = make_console(stderr=True)  # standard output has the result alone
    with (
        interruptible("run the same command again to finish the copy"),
        writing_to(destination),
        ProgressDisplay(messages) as display,
    ):

        def report(progress: CopyProgress) -> None:
            nonlocal last
            last = progress
            display.show(describe(progress, time.monotonic() - started_s), progress.num_bytes, progress.all_bytes)

        copied = copy_dataset(source, destination, part, report=report, say=messages.print, num_threads=num_threads)
    if as_json:
        num_bytes = last.num_bytes - last.bytes_before
        written = describe_written(destination, copied.manifest)
        print_json({**written, "was_there": copied.was_there, "num_bytes_copied": num_bytes})
        return
    console.print(describe_result(destination, copied, last, time.monotonic() - started_s))
    console.print(f"next:  lit-data info {shlex.quote(destination)}")


def describe(progress: CopyProgress, seconds: float) -> str:
    """Returns one line with files, bytes, rate and time left."""
    words = f"{progress.num_files:,}/{counted(progress.all_files, 'file')}"
    words += f"  {progress.num_bytes / 1e6:,.1f}/{progress.all_bytes / 1e6:,.1f} MB"
    rate = (progress.num_bytes - progress.bytes_before) / max(seconds, 1e-9)
    if rate:
        left_s = (progress.all_bytes - progress.num_bytes) / rate
        words += f"  {rate / 1e6:,.1f} MB/s  {duration(left_s)} left"
    return words


def describe_result(destination: str, copied: Copied, progress: CopyProgress, seconds: float) -> str:
    """Returns one line with what is at the destination, and what was copied there."""
    manifest = copied.manifest
    size = f"{num_bytes_of(manifest) / 1e6:,.1f} MB"
    rows = f"{counted(manifest.num_rows, 'row')} in {counted(len(manifest.shards), 'shard')}, {size}"
    if copied.was_there:
        return f"{destination}: has this dataset already, with all of its files; {rows}"
    num_bytes = progress.num_bytes - progress.bytes_before
    return f"{destination}: {rows}; {num_bytes / 1e6:,.1f} MB copied in {duration(seconds)}, digest {manifest.digest}"
