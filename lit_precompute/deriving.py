"""Deriving datasets as a function: what `lit-data derive` and `lit-data flatten` do, from Python."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lit_precompute.precompute.deriving.options import DeriveOptions
    from lit_precompute.schemas import Manifest
    from lit_precompute.schemas.sharing.file_tasks import CopyProgress


def derive(
    options: "DeriveOptions", *, report: Callable[[str, int, int | None], None] = lambda what, done, total: None
) -> "Manifest":
    """Writes a dataset that refers to another one's tables and has some of its own, and returns its manifest.

    The same call again after an interruption gives the same bytes; if all is there, nothing is done.

    Args:
      options: what to derive from what.
      report: called often, with what is being done ("reading captions"), how much of it is done, and how much there is
        in all, if that is known.

    Raises:
      ValueError: the base or a file cannot be used, a row breaks a rule, a key repeats, more keys than allowed are
        missing or surplus, or the output belongs to something else.
      OSError: a file cannot be read or written.
    """
    if options.tokens is not None:
        from lit_precompute.pipelines.tokens import tokenise

        return tokenise(options, report=lambda done: report("tokenising", done.done, done.size)).manifest
    from lit_precompute.precompute.deriving.derivation import derive as run

    return run(options, report).manifest


def flatten(
    dataset: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    report: Callable[["CopyProgress"], None] = lambda progress: None,
) -> "Manifest":
    """Copies a derived dataset and all tables that it refers to into one dataset, and returns its manifest.

    The same call again finishes a copy that was stopped. Every file is compared with its SHA-256 on the way.

    Args:
      dataset: the derived dataset: a directory or a URL.
      output: a directory, or a URL of a store that can be written to.
      report: called after each file, with the files and bytes so far.

    Raises:
      DatasetError: the dataset, or one that it refers to, cannot be opened, or a file of it is damaged.
      ClaimError: the output has another dataset, or other files.
    """
    from lit_precompute.schemas.sharing.copying import copy_dataset
    from lit_precompute.schemas.sharing.part import Part

    return copy_dataset(dataset, output, Part(is_flat=True), report=report).manifest
