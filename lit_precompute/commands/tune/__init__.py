"""lit-tune: trains a text tower on an embedding dataset; its subcommands list towers and export a tuned model."""

import logging
import sys

import tyro

from lit_precompute.commands.arguments import expand_homes, refuse_repeated
from lit_precompute.commands.console import (
    errors_as_messages,
    find_modules_here,
    is_debugging,
    make_console,
    take_debug_flag,
)
from lit_precompute.commands.pipes import quiet_when_pipe_closes
from lit_precompute.commands.stopping import interruptible
from lit_precompute.commands.tune.export import Export
from lit_precompute.commands.tune.flags import parse
from lit_precompute.commands.tune.sweep import sweep, swept_recipes
from lit_precompute.commands.tune.towers import Towers
from lit_precompute.commands.tune.train import train
from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.tune.training.run_directory import tables_read

# Without one of these it trains.
_SUBCOMMANDS = {"towers": Towers, "export": Export}


@quiet_when_pipe_closes()
def main() -> None:
    """Entry point of `lit-tune`; exits with 0, 1 (training failed), 2 (wrong input) or 130 (interrupted)."""
    take_debug_flag(sys.argv)
    expand_homes(sys.argv)
    # Warnings of libraries, without log prefixes.
    logging.basicConfig(format="note: %(message)s", level=logging.WARNING)
    if not is_debugging():  # Orbax's threads log tracebacks of errors that are raised here, too
        for name in ("absl", "asyncio"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
    with interruptible("run the same command again to resume from the last checkpoint"), errors_as_messages():
        find_modules_here()
        refuse_repeated(sys.argv, [argument for argument in sys.argv if argument.partition("=")[0] == "--sweep"])
        if (subcommand := _SUBCOMMANDS.get("".join(sys.argv[1:2]))) is not None:
            name = f"lit-tune {sys.argv[1]}"
            tyro.cli(subcommand, prog=name, args=sys.argv[2:]).run(make_console())
            return
        arguments = parse(sys.argv[1:])
        recipes = swept_recipes(arguments) if arguments.sweep else [arguments.recipe]
        tables = dict.fromkeys(table for recipe in recipes for table in tables_read(recipe))
        with EmbeddingDataset.open(arguments.dataset, tables=[*tables]) as dataset:
            (sweep if arguments.sweep else train)(dataset, arguments)
