"""`lit-embed status` and `lit-embed cancel`: a job seen, and stopped, from any machine that reaches its output."""

import dataclasses
from typing import TYPE_CHECKING, Annotated

import rich.console
import tyro

from lit_precompute.commands.console import duration, refuse_flags
from lit_precompute.commands.quiet import silence_libraries
from lit_precompute.schemas.wording import counted

if TYPE_CHECKING:  # it imports Beam
    from lit_precompute.pipelines.embed.reporting.status import JobStatus


@dataclasses.dataclass(frozen=True)
class Status:
    """Shows how far an embedding job is: running, stopped, failed or finished.

    For example:

      lit-embed status gs://bucket/cc12m-vit_l16
    """

    output: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="OUTPUT")]
    """The job's --output, or the folder of one of its datasets."""
    json: bool = False
    """Print JSON for programs."""

    def run(self, console: rich.console.Console, unknown_flags: list[str]) -> None:
        """Prints the status.

        Raises:
          ValueError: there is no job, the output cannot be read, or there are unknown flags.
        """
        refuse_flags("lit-embed status", unknown_flags)
        from lit_precompute.pipelines.embed.reporting.status import read_statuses, to_json

        statuses = read_statuses(self.output)
        if self.json:
            console.out(to_json(statuses))
        if statuses[0].state == "none":
            raise ValueError(f"{statuses[0].output}: no job has begun here; check the path")
        if not self.json:
            console.print("\n".join(map(describe, statuses)), highlight=False)


@dataclasses.dataclass(frozen=True)
class Cancel:
    """Stops an embedding job, wherever it runs. Finished shards are kept: its command resumes it.

    For example:

      lit-embed cancel gs://bucket/cc12m-vit_l16
    """

    output: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="OUTPUT")]
    """The job's --output."""

    def run(self, console: rich.console.Console, unknown_flags: list[str]) -> None:
        """Asks the workers to stop, and the engine to cancel the job if it can be asked.

        Raises:
          ValueError: there is no unfinished job, or there are unknown flags.
        """
        refuse_flags("lit-embed cancel", unknown_flags)
        silence_libraries()
        from lit_precompute.pipelines.embed.cancel import cancel

        for line in cancel(self.output):
            console.print(line, highlight=False)


def describe(status: "JobStatus") -> str:
    """Returns a status in words, a line for each matter."""
    units = f"{status.num_done:,} of {counted(status.num_units, 'shard')}"
    lines = [f"{status.output}: {status.state}"]
    if status.num_units:
        lines.append(f"done       {units}, {counted(status.num_rows, 'row')}")
    if status.missing:
        shown = ", ".join(map(str, status.missing))
        more = ", ..." if status.num_units - status.num_done > len(status.missing) else ""
        lines.append(f"missing    {shown}{more}")
    for unit, (count, why) in sorted(status.attempted.items()):
        lines.append(f"attempted  unit {unit}: {counted(count, 'attempt')}{f', {why}' if why else ''}")
    for reason, count in status.failures.items():
        lines.append(f"failed     {count:,} {reason}")
    for launch in status.launches:
        place = " ".join(str(launch[name]) for name in ("runner", "job_id", "link") if launch.get(name))
        lines.append(f"launch     {place or 'unknown'}{f', {began}' if (began := launch.get('began')) else ''}")
    lines += _pace(status)
    if status.bottleneck:
        lines.append(f"note       {status.bottleneck}")
    if status.is_stop_requested:
        lines.append("stopping   workers were asked to stop after their current unit")
    return "\n".join(lines)


def _pace(status: "JobStatus") -> list[str]:
    """Returns how fast a job is or was, and when it was last heard of."""
    lines: list[str] = []
    if status.last_sign_s is not None:
        ago = f"last sign of life {duration(status.last_sign_s)} ago"
        if status.is_running:
            workers = counted(status.num_workers, "worker") if status.num_workers else "no worker yet"
            lines.append(f"running    {workers}, {ago}")
        else:
            lines.append(f"silent     {ago}: it has stopped, unless it is starting or a unit hangs")
    rates = [
        f"{rate:,.1f} rows/s {when}"
        for rate, when in (
            (status.recent_rows_per_second, "in the last 5 minutes" if status.is_running else "in its last 5 minutes"),
            (status.rows_per_second, "" if status.state == "finished" else "since the latest launch"),
        )
        if rate is not None
    ]
    if rates:
        left = f"; {duration(status.seconds_left)} left" if status.seconds_left is not None else ""
        lines.append(f"rate       {', '.join(rates).rstrip()}{left}")
    return lines
