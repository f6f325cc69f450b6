"""Embedding as a function: what `lit-embed run` does, from Python."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # they import JAX
    from lit_precompute.pipelines.embed.options import EmbedOptions
    from lit_precompute.pipelines.embed.reporting.progress import EmbedProgress
    from lit_precompute.schemas import Manifest


def embed(
    options: "EmbedOptions",
    *,
    beam_flags: Sequence[str] = (),
    progress: bool | None = None,
    report: Callable[["EmbedProgress"], None] = lambda progress: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> "Manifest":
    """Embeds a source and returns the dataset's manifest; resumes a job that was stopped.

    Args:
      options: what to embed.
      beam_flags: Beam's pipeline options, such as `--runner=DataflowRunner`; without a runner the job runs in this
        process.
      progress: whether progress is shown: in a notebook below the cell, elsewhere as `lit-embed` does; None: in a
        notebook only.
      report: called about twice a second, from this thread.
      should_stop: called as often; True stops a job in this process after the current batch, and cancels another. So
        does interrupting the call, or a notebook's cell.

    Raises:
      ValueError, OSError: the source, tower, weights, options, Beam's flags or output cannot be used.
      EmbedError: a worker failed, or more rows failed than allowed, or all; finished shards are kept.
      EmbedStopped: `should_stop` returned True.
    """
    from lit_precompute.commands.beam_flags import check_beam_flags
    from lit_precompute.commands.console import make_console
    from lit_precompute.commands.embed.words import describe, describe_job, show_download, show_looks
    from lit_precompute.commands.progress import NotebookDisplay, ProgressDisplay, is_notebook
    from lit_precompute.pipelines.embed.launch import Launch

    check_beam_flags(beam_flags)
    console = make_console()
    if progress is False or (progress is None and not is_notebook()):
        return Launch(options, beam_flags=beam_flags).run(report, should_stop)
    with NotebookDisplay() if is_notebook() else ProgressDisplay(console) as display:
        launch = Launch(
            options,
            beam_flags=beam_flags,
            on_fetch=lambda name, done, total: show_download(display, name, done, total),
            on_look=lambda done, total: show_looks(display, done, total),
            say=console.print,
        )
        if not launch.is_finished:
            console.print(describe_job(launch))

        def show(now: "EmbedProgress") -> None:
            display.show(describe(now), now.num_done, now.num_rows)
            report(now)

        manifest = launch.run(show, should_stop)
    if bottleneck := launch.bottleneck():
        console.print(bottleneck)
    return manifest
