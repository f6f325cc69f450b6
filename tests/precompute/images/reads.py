"""Reads of encoded images, as sources give them to decoders, made of any function."""

import functools

from lit_precompute.precompute.images.reading import KeyedRead


def _call(function, arguments, max_bytes=None):
    return function(*arguments)


def read_by(function, *arguments):
    """Returns a `ReadImage` that calls the function; it can be sent to a process if the function can."""
    return functools.partial(_call, function, arguments)


def keyed(reads):
    """Yields reads with keys, their numbers, as preparers take them."""
    for number, read in enumerate(reads):
        yield KeyedRead(str(number), read)
