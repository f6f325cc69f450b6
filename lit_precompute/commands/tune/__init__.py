"""lit-tune: trains a text tower on an embedding dataset; subcommands plan, list recipes and towers, export models."""

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
from lit_precompute.commands.tune.flags import REPEATABLE, parse
from lit_precompute.commands.tune.plan import parse_plan, plan
from lit_precompute.commands.tune.recipes import New, Recipes, Show
from lit_precompute.commands.tune.towers import Towers
from lit_precompute.commands.tune.train import train

# Without one of these it trains. Of two that fit, the longer one is meant.
_SUBCOMMANDS = {
    "recipes show": Show,
    "recipes new": New,
    "recipes": Recipes,
    "towers": Towers,
    "export": Export,
}


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
        refuse_repeated(sys.argv, repeatable=REPEATABLE)
        for words, subcommand in _SUBCOMMANDS.items():
            end = 1 + len(words.split())
            if sys.argv[1:end] == words.split():
                tyro.cli(subcommand, prog=f"lit-tune {words}", args=sys.argv[end:]).run(make_console())
                return
        if sys.argv[1:2] == ["plan"]:
            plan(parse_plan(sys.argv[2:]))
            return
        arguments = parse(sys.argv[1:])
        if not arguments.sweep:
            train(arguments)
            return
        # Imported late: JAX takes a second, and --help does not need it.
        from lit_precompute.commands.tune.sweep import sweep

        sweep(arguments)
