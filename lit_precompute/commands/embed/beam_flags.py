"""Flags that lit-embed does not define go to Beam; those that Beam does not define either are errors."""

import argparse
from collections.abc import Sequence


def check_beam_flags(flags: Sequence[str]) -> None:
    """Raises on flags that Beam does not define; Beam itself would only warn.

    Raises:
      ValueError: there are unknown flags; the message lists all of them.
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
        raise ValueError(
            f"unknown options {' '.join(unknown)}: neither lit-embed nor Apache Beam has them; see lit-embed run --help"
        )
