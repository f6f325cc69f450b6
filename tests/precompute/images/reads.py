"""Reads of encoded images, as sources give them to decoders, made of any function."""

import functools


def _call(function, arguments, max_bytes=None):
    return function(*arguments)


def read_by(function, *arguments):
    """Returns a `ReadImage` that calls the function; it can be sent to a process if the function can."""
    return functools.partial(_call, function, arguments)
