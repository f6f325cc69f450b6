"""Where this machine keeps what can be fetched or made again: files of datasets, weights, class embeddings, packages.

Promises: nothing is created here. `LIT_PRECOMPUTE_CACHE` moves all of it.
"""

import os
import pathlib

CACHE_VARIABLE = "LIT_PRECOMPUTE_CACHE"


def named_cache() -> pathlib.Path | None:
    """Returns the folder that the environment names; None if it names none."""
    named = os.environ.get(CACHE_VARIABLE)
    return pathlib.Path(named).expanduser() if named else None


def default_cache() -> pathlib.Path:
    """Returns the folder where the environment names none."""
    return (pathlib.Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "lit-precompute").expanduser()


def folder_in_cache(what: str) -> pathlib.Path:
    """Returns the folder of one kind of files."""
    return (named_cache() or default_cache()) / what
