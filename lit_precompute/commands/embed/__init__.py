"""lit-embed: runs a locked image tower over a source of images and texts, once, and stores the embeddings."""

import sys
from typing import Annotated

import tyro

from lit_precompute.commands.arguments import expand_homes, refuse_repeated
from lit_precompute.commands.console import (
    DEBUG_HELP,
    errors_as_messages,
    find_modules_here,
    make_console,
    take_debug_flag,
)
from lit_precompute.commands.embed.choose import Choose
from lit_precompute.commands.embed.inspect import Inspect
from lit_precompute.commands.embed.plan import Plan
from lit_precompute.commands.embed.run import Run
from lit_precompute.commands.embed.status import Cancel, Status
from lit_precompute.commands.embed.towers import Towers
from lit_precompute.commands.pipes import quiet_when_pipe_closes
from lit_precompute.commands.stopping import interruptible


@quiet_when_pipe_closes()
def main() -> None:
    """Entry point of `lit-embed`; exits with 0, 1 (the job failed), 2 (wrong input) or 130 (interrupted)."""
    take_debug_flag(sys.argv)
    expand_homes(sys.argv)
    commands = (
        Annotated[Run, tyro.conf.subcommand("run")]
        | Annotated[Plan, tyro.conf.subcommand("plan")]
        | Annotated[Choose, tyro.conf.subcommand("choose")]
        | Annotated[Status, tyro.conf.subcommand("status")]
        | Annotated[Cancel, tyro.conf.subcommand("cancel")]
        | Annotated[Inspect, tyro.conf.subcommand("inspect")]
        | Annotated[Towers, tyro.conf.subcommand("towers")]
    )
    # Commands that keep something say how to resume themselves.
    with interruptible("run the same command again"), errors_as_messages():
        command, beam_flags = tyro.cli(
            commands,
            prog="lit-embed",
            description=f"{__doc__}\n\n{DEBUG_HELP}",
            return_unknown_args=True,
            config=(tyro.conf.OmitSubcommandPrefixes,),
        )
        refuse_repeated(sys.argv, beam_flags)
        find_modules_here()
        command.run(make_console(), beam_flags)
