"""lit-embed: runs a locked image tower over images and texts, once, and stores the embeddings."""

import sys
from typing import Annotated

import tyro

from lit_precompute.commands.console import errors_as_messages, make_console
from lit_precompute.commands.embed.run import Run
from lit_precompute.commands.embed.towers import Towers


def main() -> None:
    """Entry point of `lit-embed`; exits with 0, 1 (the job failed), 2 (wrong input) or 130 (interrupted)."""
    commands = Annotated[Run, tyro.conf.subcommand("run")] | Annotated[Towers, tyro.conf.subcommand("towers")]
    command, beam_flags = tyro.cli(
        commands,
        prog="lit-embed",
        description=__doc__,
        return_unknown_args=True,
        config=(tyro.conf.OmitSubcommandPrefixes,),
    )
    sys.path.append("")  # a tower's module may be in the working directory; last, so that it hides nothing installed
    with errors_as_messages():
        command.run(make_console(), beam_flags)
