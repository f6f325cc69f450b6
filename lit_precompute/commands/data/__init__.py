"""lit-data: inspects, verifies and shares embedding datasets."""

import sys
from collections.abc import Sequence
from typing import Annotated, Any

import tyro

from lit_precompute.commands.arguments import check_rows, expand_homes, refuse_repeated
from lit_precompute.commands.console import DEBUG_HELP, errors_as_messages, make_console, take_debug_flag
from lit_precompute.commands.data.compare import Compare
from lit_precompute.commands.data.copy import Copy
from lit_precompute.commands.data.deduplicate import Deduplicate
from lit_precompute.commands.data.derive import Derive
from lit_precompute.commands.data.export import Export
from lit_precompute.commands.data.flatten import Flatten
from lit_precompute.commands.data.import_ import Import
from lit_precompute.commands.data.info import Info
from lit_precompute.commands.data.list import List
from lit_precompute.commands.data.probe import Probe
from lit_precompute.commands.data.publish import Publish
from lit_precompute.commands.data.repair import Repair
from lit_precompute.commands.data.select import Select
from lit_precompute.commands.data.shuffle import Shuffle
from lit_precompute.commands.data.verify import Verify
from lit_precompute.commands.pipes import quiet_when_pipe_closes
from lit_precompute.commands.stopping import interruptible

_OPTIONS: dict[str, Any] = {
    "prog": "lit-data",
    "description": f"{__doc__}\n\n{DEBUG_HELP}",
    "config": (tyro.conf.OmitSubcommandPrefixes,),
}


@quiet_when_pipe_closes()
def main() -> None:
    """Entry point of `lit-data`; exits with 0, 1 (faults found) or 2 (wrong input)."""
    take_debug_flag(sys.argv)
    expand_homes(sys.argv)
    commands = (
        Annotated[Info, tyro.conf.subcommand("info")]
        | Annotated[Verify, tyro.conf.subcommand("verify")]
        | Annotated[List, tyro.conf.subcommand("list")]
        | Annotated[Compare, tyro.conf.subcommand("compare")]
        | Annotated[Probe, tyro.conf.subcommand("probe")]
        | Annotated[Copy, tyro.conf.subcommand("copy")]
        | Annotated[Repair, tyro.conf.subcommand("repair")]
        | Annotated[Publish, tyro.conf.subcommand("publish")]
        | Annotated[Derive, tyro.conf.subcommand("derive")]
        | Annotated[Flatten, tyro.conf.subcommand("flatten")]
        | Annotated[Select, tyro.conf.subcommand("select")]
        | Annotated[Deduplicate, tyro.conf.subcommand("deduplicate")]
        | Annotated[Shuffle, tyro.conf.subcommand("shuffle")]
        | Annotated[Import, tyro.conf.subcommand("import")]
        | Annotated[Export, tyro.conf.subcommand("export")]
    )
    # Commands that keep something say how to resume themselves.
    with interruptible("run the same command again"), errors_as_messages():
        check_rows(sys.argv)
        if _takes_beam_flags(sys.argv):
            command: Any
            command, flags = tyro.cli(commands, **_OPTIONS, return_unknown_args=True)
            refuse_repeated(sys.argv, flags)
            sys.exit(command.run(make_console(), flags))
        refuse_repeated(sys.argv)
        command = tyro.cli(commands, **_OPTIONS)
        sys.exit(command.run(make_console()))


def _takes_beam_flags(arguments: Sequence[str]) -> bool:
    if arguments[1:2] == ["derive"]:
        return any(argument.partition("=")[0] == "--tokens" for argument in arguments)
    return arguments[1:2] in [["deduplicate"], ["shuffle"]]
