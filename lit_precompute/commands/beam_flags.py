"""Flags that lit-embed does not define go to Beam; those that Beam does not define either are errors."""

import argparse
from collections.abc import Sequence
from typing import NoReturn

from lit_precompute.commands.arguments import stray_words
from lit_precompute.commands.flags import did_you_mean, flag_names
from lit_precompute.pipelines.embed.options import EmbedOptions
from lit_precompute.pipelines.engines.flags import runner_of, without_job_server_flags


class _Parser(argparse.ArgumentParser):
    """Raises on a wrong value instead of printing the usage of all of Beam's flags and exiting."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(f"{message} (an option of Apache Beam)")


def beam_parser() -> argparse.ArgumentParser:
    """Returns a parser of all flags that Beam defines."""
    from apache_beam.options.pipeline_options import PipelineOptions

    parser = _Parser(add_help=False, allow_abbrev=False, conflict_handler="resolve")
    for options in PipelineOptions.__subclasses__():
        if add_arguments := options.__dict__.get("_add_argparse_args"):
            add_arguments.__func__(options, parser)
    return parser


def check_beam_flags(
    flags: Sequence[str], command: str = "lit-embed run", own_flags: Sequence[str] | None = None
) -> None:
    """Raises on flags that Beam does not define, of which Beam itself would only warn, and on wrong values.

    Args:
      flags: those that the command does not define.
      command: the command.
      own_flags: its own flags; None for those of the embedding job.

    Raises:
      ValueError: there are unknown flags, all of which the message lists, or a value is wrong.
    """
    if not flags:
        return  # importing Beam takes seconds
    from lit_precompute.pipelines.engines.runners import with_runner

    known = flag_names(EmbedOptions) if own_flags is None else own_flags
    flags = with_runner(flags)  # makes the flags of its own runner known to Beam
    _, unknown = beam_parser().parse_known_args(list(flags))
    if unknown := without_job_server_flags(unknown, runner=runner_of(flags)):
        raise ValueError(
            stray_words(unknown)
            or f"unknown options {' '.join(unknown)}: neither {command.partition(' ')[0]} nor Apache Beam has them"
            f"{did_you_mean(unknown[0], known) or f'; see {command} --help'}"
        )
