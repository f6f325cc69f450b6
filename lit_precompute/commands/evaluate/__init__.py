"""lit-eval: evaluates a tuned model on an embedding dataset, in figures and on pages."""

import sys
from typing import Annotated

import tyro

from lit_precompute.commands.arguments import expand_homes, refuse_repeated
from lit_precompute.commands.console import (
    DEBUG_HELP,
    errors_as_messages,
    import_modules,
    make_console,
    take_debug_flag,
)
from lit_precompute.commands.evaluate.retrieval import Retrieval
from lit_precompute.commands.evaluate.show import Show
from lit_precompute.commands.evaluate.zero_shot import ZeroShot
from lit_precompute.commands.pipes import quiet_when_pipe_closes
from lit_precompute.commands.stopping import interruptible


@quiet_when_pipe_closes()
def main() -> None:
    """Entry point of `lit-eval`; exits with 0, 1 (a full disk), 2 (wrong input) or 130 (interrupted)."""
    take_debug_flag(sys.argv)
    expand_homes(sys.argv)
    commands = (
        Annotated[ZeroShot, tyro.conf.subcommand("zero-shot")]
        | Annotated[Retrieval, tyro.conf.subcommand("retrieval")]
        | Annotated[Show, tyro.conf.subcommand("show")]
    )
    with errors_as_messages():
        refuse_repeated(sys.argv)
    command = tyro.cli(
        commands, prog="lit-eval", description=f"{__doc__}\n\n{DEBUG_HELP}", config=(tyro.conf.OmitSubcommandPrefixes,)
    )
    with interruptible("run the same command again"), errors_as_messages():
        import_modules(command.module)
        command.run(make_console())
