"""Bytes as a weights file, read as any other."""

import pathlib
import tempfile

from lit_precompute.towers.weights.reading import read_weights


def parse_weights(data, name="file"):
    """Returns the arrays of a file of these bytes."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / name
        path.write_bytes(data)
        return read_weights(str(path))
