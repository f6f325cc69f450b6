"""The first samples of a tar, read without the headers of the others."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

from lit_precompute.precompute.sources.peeking import Peek, first_rows
from lit_precompute.precompute.sources.source import FileLook, Source, SourceError


def peek_tar(source: Source, look: Callable[[], FileLook], max_rows: int, fields: Mapping[str, str]) -> Peek:
    """Returns the beginning of a tar; see `Peekable.peek`. Its rows are estimated from where the first ones end.

    Args:
      source: reads the samples.
      look: looks at the tar's first samples.
      max_rows: rows to read, at most.
      fields: the suffixes of the first sample's members.
    """
    try:
        looked = look()
        peek = first_rows(source, looked, max_rows)
    except SourceError as error:
        return Peek(fields=fields, fault=str(error))
    if peek.is_exact and not looked.findings["is_whole"]:
        assert looked.num_bytes is not None
        num_rows = round((peek.num_rows or 0) * looked.num_bytes / looked.slices[-1].stop)
        peek = dataclasses.replace(peek, num_rows=num_rows, is_exact=False)
    return dataclasses.replace(peek, fields=fields)
