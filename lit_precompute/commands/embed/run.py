"""`lit-embed run`: runs the embedding job, shows its progress and reports the result."""

import contextlib
import dataclasses
import logging
import os
import shlex
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import rich.console

from lit_precompute.commands.beam_flags import check_beam_flags
from lit_precompute.commands.console import fail
from lit_precompute.commands.embed.known import refuse_known
from lit_precompute.commands.embed.words import (
    describe,
    describe_job,
    describe_retry,
    say_result,
    show_download,
    show_looks,
)
from lit_precompute.commands.flags import flat_flags
from lit_precompute.commands.progress import ProgressDisplay
from lit_precompute.commands.quiet import silence_libraries
from lit_precompute.commands.stopping import INTERRUPTED, StopRequest, interruptible
from lit_precompute.pipelines.embed.errors import EmbedError
from lit_precompute.pipelines.embed.following import EmbedStopped
from lit_precompute.pipelines.embed.launch import Launch
from lit_precompute.pipelines.embed.options import EmbedOptions
from lit_precompute.pipelines.embed.several_towers import with_each_tower
from lit_precompute.precompute.sources.spec_text import parse_spec
from lit_precompute.schemas.storage import absolute

_HOW_TO_RESUME = "finished shards are kept: run the same command again to resume"

if TYPE_CHECKING:
    _Options = EmbedOptions
else:
    _Options = flat_flags(EmbedOptions, defaults={"tower.name": ""})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """Embeds a source of images and texts. To resume a job that was stopped, run the same command again.

    For example:

      lit-embed run --source images/captions.tsv --tower google/vit-base-patch16-224 --output embedded

    Other flags go to Apache Beam, for example --runner=DataflowRunner. Without --runner the job runs in this process.
    """

    options: _Options
    towers: str | None = None
    """Several towers instead of --tower, in one pass over the images: NAME[@WEIGHTS][+OPTION=VALUE],... (options:
    resolution, resize, pooling, compute-type). The dataset of each is a folder of --output, named after the tower."""
    wait: bool = True
    """Wait until the job has ended; --no-wait returns once its engine has accepted it."""
    catalog: str | None = None
    """A folder or URL below which datasets are: if one of them is of this tower and source, it is named, and nothing is
    embedded."""
    embed_again: bool = False
    """With --catalog: embed although there is such a dataset."""

    def run(self, console: rich.console.Console, beam_flags: list[str]) -> None:
        """Embeds; exits with one of the statuses in the docstring of `main` unless the job succeeds.

        Raises:
          ValueError, OSError: wrong input.
        """
        silence_libraries()
        with interruptible(_HOW_TO_RESUME):
            check_beam_flags(beam_flags)
            options, *others = of_each_tower(self.options, self.towers)
            if self.embed_again and self.catalog is None:
                raise ValueError("--embed-again: only with --catalog")
            if self.catalog is not None:
                refuse_known(self.catalog, [options, *others], console, goes_on=self.embed_again)
            with ProgressDisplay(console) as display:
                launch = Launch(
                    options,
                    others=others,
                    beam_flags=beam_flags,
                    on_fetch=lambda name, done, total: show_download(display, name, done, total),
                    on_look=lambda done, total: show_looks(display, done, total),
                    say=console.print,
                )
            if launch.is_followed(wait=self.wait):
                _run(launch, console, absolute(self.options.output))
            else:
                _submit(launch, console, absolute(self.options.output))


def of_each_tower(options: EmbedOptions, towers: str | None) -> list[EmbedOptions]:
    """Returns what to embed with each tower: with that of `--tower`, or those of `--towers`.

    Raises:
      ValueError: neither is given, or both, or they are not written as they should be.
    """
    tower = options.tower.name
    options = dataclasses.replace(options, source=parse_spec(options.source.path, options.source))
    if towers is None:
        if not tower:
            raise ValueError("--tower is missing: give a name of `lit-embed towers`, or several as --towers a,b")
        return [options]
    if tower:
        raise ValueError(f"--tower {tower} and --towers {towers}: give one; --towers lists several towers")
    return with_each_tower(options, towers)


def _run(launch: Launch, console: rich.console.Console, output: str) -> None:
    if not launch.is_finished:
        console.print(describe_job(launch))
    started_s = time.monotonic()
    after = "this batch" if launch.embeds_here else "the engine has cancelled the job"
    stop = StopRequest(console, after=after, stop_at_once=lambda: _exit_at_once(launch, output))
    with stop, ProgressDisplay(console) as display:
        try:
            manifests = launch.run_all(
                lambda progress: display.show(describe(progress), progress.num_done, progress.num_rows),
                lambda: quietly(stop()),
            )
        except EmbedStopped as stopped:
            with ending_at_once(stopped.is_hanging):
                fail(f"interrupted; {_HOW_TO_RESUME}", INTERRUPTED)
        except EmbedError as error:
            with ending_at_once(error.is_hanging):
                fail(error, status=1, with_traceback=error.is_bug)
    seconds = time.monotonic() - started_s
    for dataset, manifest in zip(launch.datasets, manifests, strict=True):
        num_embedded = dataset.num_embedded(manifest)
        num_retried = launch.num_retried if dataset is launch.datasets[-1] else 0
        say_result(console, dataset.options.output, manifest, seconds, num_embedded, num_retried)
        if dataset.retry is not None:
            console.print(describe_retry(dataset.retry.outcome(manifest)))
    if bottleneck := launch.bottleneck():
        console.print(bottleneck)


@contextlib.contextmanager
def ending_at_once(is_hanging: bool) -> Iterator[None]:
    """Ends the process where the block exits, if a unit does not end: the interpreter would wait for it."""
    try:
        yield
    except SystemExit as end:
        if is_hanging:
            sys.stderr.flush()
            os._exit(int(end.code or 0))
        raise


def _submit(launch: Launch, console: rich.console.Console, output: str) -> None:
    """Starts a job and returns: its engine does the rest."""
    console.print(describe_job(launch))
    job = launch.start()
    if job.job_id is None:
        console.print(f"{job.runner}: the template is written; a job of it writes to {output}")
        return
    console.print(f"{job.runner}: submitted as {job.job_id}{f', {job.link}' if job.link else ''}")
    quoted = shlex.quote(output)
    console.print(f"next:  lit-embed status {quoted}   |   lit-embed cancel {quoted}")


def quietly(is_stop_requested: bool) -> bool:
    """Silences logging once a stop is requested: runners would log it as an error, with a traceback."""
    if is_stop_requested:
        logging.disable()
    return is_stop_requested


def _exit_at_once(launch: Launch, output: str) -> None:
    """Ends the process, whose runner's threads would keep it alive. Called in the middle of anything."""
    here = "" if launch.embeds_here else f". The job may go on: lit-embed status {output}, lit-embed cancel {output}"
    os.write(sys.stderr.fileno(), f"error: interrupted; {_HOW_TO_RESUME}{here}\n".encode())
    os._exit(INTERRUPTED)
