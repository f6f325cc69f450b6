"""`lit-embed plan`: what a job will be, before anything is spent."""

import dataclasses
import sys
from typing import TYPE_CHECKING, Any

import rich.console

from lit_precompute.commands.beam_flags import check_beam_flags
from lit_precompute.commands.console import make_console, print_json
from lit_precompute.commands.embed.run import of_each_tower
from lit_precompute.commands.flags import flat_flags
from lit_precompute.commands.progress import ProgressDisplay
from lit_precompute.commands.quiet import silence_libraries
from lit_precompute.pipelines.embed.options import EmbedOptions
from lit_precompute.pipelines.estimates.wanted import Wanted
from lit_precompute.precompute.extra import check_embed_extra

if TYPE_CHECKING:
    from lit_precompute.pipelines.estimates.job import JobEstimate

    _Options = EmbedOptions
    _Wanted = Wanted
else:
    # What is not written to needs no name; --print-prices needs no source.
    _Options = flat_flags(EmbedOptions, defaults={"output": "planned-output", "tower.name": "", "source.path": ""})
    _Wanted = flat_flags(Wanted)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """Shows what a job will be before anything is spent: rows, bytes, hours, machines, money, epochs until it pays.

    Give it the command line of `lit-embed run`. Lists the source and reads the first rows of a few files; nothing is
    written. Without --sample or --rate there are no hours and no dollars.

    For example:

      lit-embed plan --source images/captions.tsv --tower google/vit-base-patch16-224 --sample 256
      lit-embed plan --source 'gs://bucket/cc12m/*.tar' --towers vit_b16,vit_l16 --rate 900,310 --runner=DataflowRunner
        --machine_type=g2-standard-16
        --dataflow_service_options="worker_accelerator=type:nvidia-l4;count:1;install-nvidia-driver" --machines 20
    """

    wanted: _Wanted
    options: _Options
    towers: str | None = None
    """Several towers side by side, instead of --tower: NAME[@WEIGHTS][+OPTION=VALUE],... as for `lit-embed run`."""
    prices: str | None = None
    """A price file of your own; by default the one that is shipped."""
    print_prices: bool = False
    """Print the shipped price file, to be edited, and nothing else."""
    json: bool = False
    """Print JSON for programs."""

    def run(self, console: rich.console.Console, beam_flags: list[str]) -> None:
        """Prints the estimate.

        Raises:
          ValueError, OSError: wrong input.
        """
        if self.print_prices:
            from lit_precompute.pipelines.estimates.prices import SHIPPED

            sys.stdout.write(SHIPPED.read_text(encoding="utf-8"))
            return
        silence_libraries()
        check_embed_extra()
        check_beam_flags(beam_flags)
        estimate = self._estimate(console, beam_flags)
        if self.json:
            print_json(to_json(estimate))
        else:
            from lit_precompute.commands.embed.plan_table import show

            show(estimate, console)

    def _estimate(self, console: rich.console.Console, beam_flags: list[str]) -> "JobEstimate":
        from lit_precompute.pipelines.estimates.job import estimate_job
        from lit_precompute.pipelines.estimates.prices import read_prices

        if not self.options.source.path:
            raise ValueError("--source is missing: give a path, a pattern, a folder or a URL")
        jobs = of_each_tower(self.options, self.towers)
        prices = read_prices(self.prices)
        with ProgressDisplay(make_console(stderr=True) if self.json else console) as display:
            return estimate_job(
                jobs,
                self.wanted,
                prices=prices,
                beam_flags=beam_flags,
                report=lambda name, done, total: display.show(f"timing {name}", done, total, task="timing"),
            )


def to_json(estimate: "JobEstimate") -> dict[str, Any]:
    """Returns the estimate as JSON."""
    return dataclasses.asdict(estimate)
