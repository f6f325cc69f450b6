"""What lit-embed says: progress on a terminal or in a log, the result, and errors in one message."""

import collections
import sys
import threading
import time
from collections.abc import Iterable
from types import TracebackType
from typing import NoReturn

import rich.console
import rich.progress

from lit_precompute.commands.words import counted
from lit_precompute.pipelines.embed.counters import COUNTERS
from lit_precompute.pipelines.embed.job import JobDirectory, ShardMarker
from lit_precompute.schemas import Manifest

_LOOK_EVERY_S = 0.5
_LINE_EVERY_S = 10.0


class ProgressDisplay:
    """Shows rows done, rows per second, time left and failures: a bar on a terminal, else a line now and then."""

    def __init__(self, console: rich.console.Console, directory: JobDirectory, num_rows: int):
        """Counts what finished shards hold already."""
        self._console = console
        self._directory = directory
        self._num_rows = num_rows
        self._before = self._finished_rows()
        self._failed_before = sum(marker.info.num_failures for marker in directory.finished().values())
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="progress", daemon=True)
        self._first_seen: tuple[float, int] | None = None
        columns = (rich.progress.BarColumn(), "{task.description}")
        self._bar = rich.progress.Progress(*columns, console=console, disable=not console.is_terminal)

    def __enter__(self) -> "ProgressDisplay":
        """Starts to show."""
        self._bar.start()
        self._task = self._bar.add_task("starting", total=self._num_rows)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends; nothing more is shown."""
        self._ended.set()
        self._thread.join()
        self._bar.stop()

    def _watch(self) -> None:
        last_line_s = time.monotonic()
        while not self._ended.wait(_LOOK_EVERY_S):
            rows, words = self._look()
            if self._console.is_terminal:
                self._bar.update(self._task, completed=rows, description=words)
            elif time.monotonic() - last_line_s >= _LINE_EVERY_S:
                last_line_s = time.monotonic()
                self._console.print(words)

    def _look(self) -> tuple[int, str]:
        # This process's rows, or the shards that workers elsewhere have finished: whichever says more.
        rows = max(self._before + COUNTERS.num_rows, self._finished_rows() if not COUNTERS.num_rows else 0)
        failures = self._failed_before + COUNTERS.num_failures
        now = time.monotonic()
        if self._first_seen is None and rows > self._before:
            self._first_seen = now, rows
        words = f"{rows:,}/{self._num_rows:,} rows"
        if self._first_seen is not None and now > self._first_seen[0]:
            rate = (rows - self._first_seen[1]) / (now - self._first_seen[0])
            if rate:
                words += f"  {rate:,.0f} rows/s  {(self._num_rows - rows) / rate:,.0f} s left"
        return rows, words + (f"  {failures:,} failed" if failures else "")

    def _finished_rows(self) -> int:
        return sum(marker.info.rows_read for marker in self._directory.finished().values())


class DownloadDisplay:
    """Shows the weights files that are fetched: a bar on a terminal, else a line as each begins."""

    def __init__(self, console: rich.console.Console):
        """Shows nothing until a first file is fetched."""
        self._console = console
        columns = (
            *(rich.progress.TextColumn("{task.description}"), rich.progress.BarColumn()),
            *(rich.progress.DownloadColumn(), rich.progress.TransferSpeedColumn()),
        )
        self._bar = rich.progress.Progress(*columns, console=console, disable=not console.is_terminal)
        self._tasks: dict[str, rich.progress.TaskID] = {}

    def __enter__(self) -> "DownloadDisplay":
        """Starts to show."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends; nothing more is shown."""
        self._bar.stop()

    def show(self, name: str, num_bytes: int, all_bytes: int) -> None:
        """Takes the bytes that are here of a file, and its length (0 where nobody knows)."""
        if name not in self._tasks:
            self._bar.start()
            self._tasks[name] = self._bar.add_task(f"fetching {name}", total=all_bytes or None)
            if not self._console.is_terminal:
                size = f" ({all_bytes / 1e6:,.0f} MB)" if all_bytes else ""
                self._console.print(f"fetching {name}{size}", markup=False)
        self._bar.update(self._tasks[name], completed=num_bytes)


def say_result(
    console: rich.console.Console, output: str, manifest: Manifest, seconds: float, num_embedded: int
) -> None:
    """Prints what was written and what to do next."""
    size = sum(file.bytes for shard in manifest.shards for file in shard.files.values())
    rate = f"{counted(num_embedded, 'row')} in {seconds:.0f} s" if num_embedded else "nothing was left to do"
    console.print(
        f"{output}: {counted(manifest.num_rows, 'row')} of {manifest.tower.output_width} numbers, "
        f"{size / 1e6:,.1f} MB in {counted(len(manifest.shards), 'shard')}; {rate}"
    )
    if manifest.num_failures:
        failed = counted(manifest.num_failures, "row")
        console.print(f"{failed} failed; the table `failures` says which and why (lit-data info)")
    console.print(f"next:  lit-data info {output}   |   lit-tune --dataset {output} --output RUN", markup=False)


def failures_in_words(markers: Iterable[ShardMarker]) -> str:
    """Returns the reasons of failure, the most frequent first, each with its number and first key."""
    counts: collections.Counter[str] = collections.Counter()
    first_keys: dict[str, str] = {}
    for marker in markers:
        for reason, (count, key) in marker.reasons.items():
            counts[reason] += count
            first_keys.setdefault(reason, key)
    return ", ".join(f"{count:,} {reason} (first: {first_keys[reason]})" for reason, count in counts.most_common())


def fail(message: object, status: int = 2) -> NoReturn:
    """Prints one message to standard error and exits."""
    rich.console.Console(stderr=True, soft_wrap=True, highlight=False).print(f"error: {message}", markup=False)
    sys.exit(status)
