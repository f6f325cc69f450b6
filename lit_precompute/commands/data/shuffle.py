"""`lit-data shuffle`: rewrites a dataset in random order."""

import dataclasses
import shlex
from collections.abc import Sequence
from typing import Annotated

import rich.console
import tyro

from lit_precompute.commands.console import make_console, print_json
from lit_precompute.commands.data.phases import run_phases, shows_progress
from lit_precompute.commands.data.written import describe_written
from lit_precompute.commands.progress import ProgressDisplay
from lit_precompute.pipelines.shuffle import ShuffleOptions, shuffle
from lit_precompute.schemas.wording import counted

_RESUME = "what is finished is kept: run the same command again to resume"


@dataclasses.dataclass(frozen=True)
class Shuffle:
    """Rewrites a dataset in random order: all tables, failures, probes and attachments. The seed alone decides it.

    Needs space for the dataset twice at the output, once of it until the job is done. For example:

      lit-data shuffle cc12m-vit_l16 --output cc12m-shuffled --seed 1

    Other flags go to Apache Beam, for example --runner=DataflowRunner. Without --runner the job runs in this process.
    """

    dataset: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="DATASET")]
    """The dataset: a directory, or a URL."""
    output: str
    """Where the shuffled dataset is written: a directory, or a URL."""
    seed: int = ShuffleOptions.seed
    """Draws the order; the same seed gives the same bytes."""
    rows_per_shard: int = ShuffleOptions.rows_per_shard
    """Rows of each shard but the last; a worker keeps two shards in memory."""
    json: bool = False
    """Print JSON for programs."""

    def run(self, console: rich.console.Console, beam_flags: Sequence[str] = ()) -> int:
        """Prints what was written; returns the exit status.

        Raises:
          ValueError, OSError: wrong input.
        """
        given = {field.name: getattr(self, field.name) for field in dataclasses.fields(ShuffleOptions)}
        options = ShuffleOptions(**given)
        with ProgressDisplay(make_console(stderr=True)) as display:  # standard output has the result alone
            report = shows_progress(display, {"scatter": "rows read", "gather": "rows written"})
            manifest = run_phases(
                self,
                "shuffle",
                beam_flags,
                _RESUME,
                lambda: shuffle(options, beam_flags=beam_flags, report=report),
                output=self.output,
            )
        if self.json:
            print_json({**describe_written(self.output, manifest), "seed": self.seed})
            return 0
        console.print(
            f"{self.output}: {counted(manifest.num_rows, 'row')} in {counted(len(manifest.shards), 'shard')}, in the "
            f"order of seed {self.seed}"
        )
        console.print(f"next:  lit-data verify {shlex.quote(self.output)}")
        return 0
