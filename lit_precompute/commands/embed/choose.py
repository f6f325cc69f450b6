"""`lit-embed choose`: which tower to lock, before a whole job is paid for."""

import dataclasses
import logging
import os
import sys
from typing import TYPE_CHECKING

import rich.console

from lit_precompute.choosing.options import ChooseOptions
from lit_precompute.commands.beam_flags import check_beam_flags
from lit_precompute.commands.console import fail, make_console, print_json
from lit_precompute.commands.embed.run import ending_at_once, quietly
from lit_precompute.commands.embed.words import describe, show_download, show_looks
from lit_precompute.commands.flags import flat_flags
from lit_precompute.commands.progress import ProgressDisplay
from lit_precompute.commands.quiet import silence_libraries
from lit_precompute.commands.stopping import INTERRUPTED, StopRequest, interruptible
from lit_precompute.pipelines.embed.errors import EmbedError
from lit_precompute.pipelines.embed.following import EmbedStopped
from lit_precompute.precompute.extra import check_embed_extra
from lit_precompute.precompute.sources.spec_text import parse_spec

if TYPE_CHECKING:
    from lit_precompute.choosing.choosing import ChooseProgress
    from lit_precompute.choosing.result import TowerChoice

    _Options = ChooseOptions
else:
    _Options = flat_flags(ChooseOptions)

_HOW_TO_RESUME = "what is done is kept: run the same command again to resume"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Choose:
    """Compares image towers on a sample of a source: speed, cost of a million rows, and retrieval on held-out rows.

    The sample is embedded here, with each tower. On each tower's embeddings a small text tower is tuned in the same way
    on the same rows, several times, and finds images and texts of the same held-out rows. Intervals (95 %) are of other
    held-out rows and other trainings.

    For example:

      lit-embed choose --source images/captions.tsv --towers facebook/dinov2-base,google/siglip-base-patch16-224
      lit-embed choose --source 'gs://bucket/cc12m/000*.tar' --towers vit_b16@b.npz,vit_l16@l.npz --rows 5000
        --machine_type=n2-standard-16 --rate 40,13
      lit-embed choose --source t.tsv --towers vit_b16@b.npz,vit_b16@b.npz+resolution=384 --text-tower MiniLM-FOLDER

    Other flags go to Apache Beam, as those of the whole job will: they name the machine that is priced.
    """

    options: _Options
    rate: str = ""
    """Images per second of such a machine, for costs: one number, or one a tower, as 900,310; by default as here."""
    prices: str | None = None
    """A price file of your own, as for `lit-embed plan`; by default the one that is shipped."""
    json: bool = False
    """Print JSON for programs."""

    def run(self, console: rich.console.Console, beam_flags: list[str]) -> None:
        """Compares, and prints the table; exits with one of the statuses in the docstring of `main` if it cannot.

        Raises:
          ValueError, OSError: wrong input.
        """
        silence_libraries()
        with interruptible(_HOW_TO_RESUME):
            check_embed_extra()
            check_beam_flags(beam_flags)
            # Of a few thousand captions the words are few: that is no news, and once a tower too many.
            logging.getLogger("lit_precompute.towers.tokenizers").setLevel(logging.ERROR)
            choice = self._choose(make_console(stderr=True) if self.json else console, beam_flags)
        if self.json:
            print_json(choice.to_json())
        else:
            from lit_precompute.commands.embed.choose_table import show

            show(choice, console)

    def _choose(self, console: rich.console.Console, beam_flags: list[str]) -> "TowerChoice":
        from lit_precompute.choosing.choosing import choose_tower
        from lit_precompute.tune.training.failures import TrainingError
        from lit_precompute.tune.training.progress import TrainingStopped

        options = dataclasses.replace(self.options, source=parse_spec(self.options.source.path, self.options.source))
        stop = StopRequest(console, after="this batch or step", stop_at_once=_exit_at_once)
        with stop, ProgressDisplay(console) as display:
            try:
                return choose_tower(
                    options,
                    beam_flags=beam_flags,
                    prices=self.prices,
                    rates=self.rate,
                    report=lambda progress: _show(display, progress),
                    should_stop=lambda: quietly(stop()),
                    on_fetch=lambda name, done, total: show_download(display, name, done, total),
                    on_look=lambda done, total: show_looks(display, done, total),
                    say=console.print,
                )
            except EmbedStopped as stopped:
                with ending_at_once(stopped.is_hanging):
                    fail(f"interrupted; {_HOW_TO_RESUME}", INTERRUPTED)
            except TrainingStopped:
                fail(f"interrupted; {_HOW_TO_RESUME}", INTERRUPTED)
            except EmbedError as error:
                with ending_at_once(error.is_hanging):
                    fail(error, status=1, with_traceback=error.is_bug)
            except TrainingError as error:
                fail(error, status=1)


def _show(display: ProgressDisplay, now: "ChooseProgress") -> None:
    """Shows what is being done, in a line of its own for each tower and task."""
    words, task = f"{now.number}/{now.num_towers} {now.tower}: {now.doing}", f"{now.number}"
    if now.embedding is not None:
        done, total = now.embedding.num_done, now.embedding.num_rows
        display.show(f"{words}  {describe(now.embedding)}", done, total, task=f"embedding {task}")
    elif now.tuning is not None:
        run = now.tuning
        done = run.number - 1 + run.training.step / run.training.num_steps
        training = f"training {run.number}/{run.num_runs}, step {run.training.step:,}/{run.training.num_steps:,}"
        figures = f"loss {run.training.metrics['loss']:.4f}  {run.training.metrics['pairs_per_second']:,.0f} pairs/s"
        display.show(f"{words}  {training}  {figures}", done, run.num_runs, task=f"tuning {task}")
    else:
        display.show(words, 0, None, task=task)


def _exit_at_once() -> None:
    """Ends the process, whose runner's threads would keep it alive. Called in the middle of anything."""
    os.write(sys.stderr.fileno(), f"error: interrupted; {_HOW_TO_RESUME}\n".encode())
    os._exit(INTERRUPTED)
