"""`lit-data copy`: copies a dataset, or a part of it, from any store to any store."""

import dataclasses
import shlex
import time

import rich.console
import tyro

from lit_precompute.commands.console import duration
from lit_precompute.commands.progress import ProgressDisplay
from lit_precompute.commands.stopping import interruptible
from lit_precompute.schemas.sharing.copying import NUM_THREADS, Copied, copy_dataset
from lit_precompute.schemas.sharing.file_tasks import CopyProgress
from lit_precompute.schemas.sharing.part import Part
from lit_precompute.schemas.wording import counted


@dataclasses.dataclass(frozen=True)
class Copy:
    """Copies a dataset, or a part of it, from any store to any store. Every file is compared with its SHA-256.

    The manifest comes last: until then nothing at the destination is read as a dataset. To finish a copy that was
    stopped, run the same command again. For example:

      lit-data copy cc12m-vit_l16 gs://bucket/cc12m-vit_l16
      lit-data copy gs://bucket/cc12m-vit_l16 sample --tables captions --rows 10000
    """

    source: tyro.conf.Positional[str]
    """The dataset: a directory, or a URL."""
    destination: tyro.conf.Positional[str]
    """A directory, or a URL of a store that can be written to; empty, or with what a copy of the same has left."""
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

    def run(self, console: rich.console.Console) -> int:
        """Copies, and prints what came of it; returns the exit status."""
        part = Part.parse(tables=self.tables, shards=self.shards, selection=self.selection, rows=self.rows)
        started_s = time.monotonic()
        last = CopyProgress()
        with interruptible("run the same command again to finish the copy"), ProgressDisplay(console) as display:

            def report(progress: CopyProgress) -> None:
                nonlocal last
                last = progress
                display.show(describe(progress, time.monotonic() - started_s), progress.num_bytes, progress.all_bytes)

            copied = copy_dataset(
                self.source, self.destination, part, report=report, say=console.print, num_threads=self.threads
            )
        console.print(describe_result(self.destination, copied, last, time.monotonic() - started_s))
        console.print(f"next:  lit-data info {shlex.quote(self.destination)}")
        return 0


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
    size = sum(manifest.shards.table_bytes(table.name) for table in manifest.tables)
    rows = f"{counted(manifest.num_rows, 'row')} in {counted(len(manifest.shards), 'shard')}, {size / 1e6:,.1f} MB"
    if copied.was_there:
        return f"{destination}: has this dataset already, with all of its files; {rows}"
    num_bytes = progress.num_bytes - progress.bytes_before
    return f"{destination}: {rows}; {num_bytes / 1e6:,.1f} MB copied in {duration(seconds)}, digest {manifest.digest}"
