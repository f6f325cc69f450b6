"""Hashes of many strings at once, for finding keys among a billion rows."""

import numpy as np
import pyarrow as pa

from lit_precompute.schemas.random_draws import Draws, mix


def hash_strings(strings: pa.Array) -> Draws:
    """Returns 8 bytes for each string, the same in every process; equal strings have equal hashes.

    Takes 8 bytes of all strings at a time, and those that are shorter drop out.
    """
    wide = pa.types.is_large_string(strings.type)
    _, offsets, data = strings.buffers()
    ends = np.frombuffer(offsets, np.int64 if wide else np.int32)[strings.offset :][: len(strings) + 1].astype(np.int64)
    first, starts, lengths = int(ends[0]), ends[:-1] - ends[0], np.diff(ends)
    hashes = mix(lengths.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15))
    held = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
    # All eight bytes from each place on; those behind a string's end are cleared below.
    padded = np.concatenate([held[first : ends[-1]], np.zeros(8, np.uint8)])
    words = np.ndarray((len(padded) - 7,), "<u8", padded, strides=(1,))
    rows = np.flatnonzero(lengths)
    for begin in range(0, int(lengths.max(initial=0)), 8):
        rows = rows[lengths[rows] > begin]
        unused = np.maximum(8 - (lengths[rows] - begin), 0).astype(np.uint64) * np.uint64(8)
        read = (words[starts[rows] + begin] << unused) >> unused
        hashes[rows] = mix((hashes[rows] ^ read) + np.uint64(0x9E3779B97F4A7C15))
    return hashes
