"""Flags that lit-embed does not know go to Beam; those that Beam does not know either are wrong input."""

import argparse
from collections.abc import Sequence


def check_beam_flags(flags: Sequence[str]) -> None:
    """Raises for a flag that Beam does not have; Beam itself would only warn.

    Raises:
      ValueError: unknown flags; all are named.
    """
    if not flags:
        return  # importing Beam takes seconds
    from apache_beam.options.pipeline_options import PipelineOptions

    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, conflict_handler="resolve")
    for options in PipelineOptions.__subclasses__():
        if add_arguments := options.__dict__.get("_add_argparse_args"):
            add_arguments.__func__(options, parser)
    _, unknown = parser.parse_known_args(list(flags))
    if unknown:
        raise ValueError(f"unknown options {' '.join(unknown)}: neither lit-embed nor Apache Beam has them; see --help")
