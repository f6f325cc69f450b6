"""Writes parameters under the names of other projects' files: the inverse of `read_names`, to the bit."""

from collections.abc import Mapping, Sequence

import numpy as np

from lit_precompute.towers.weights.naming import Link, Naming


def write_names(naming: Naming, parameters: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the parameters under a naming's names and in its layout, as `read_names` would read them back.

    Raises:
      KeyError: the naming has an array that is made of parameters that are not there.
      ValueError: files of this naming cannot hold a value.
    """
    return {row.file: _write(row, [parameters[name] for name in row.parameters]) for row in naming.links}


def _write(row: Link, values: Sequence[np.ndarray]) -> np.ndarray:
    parts = [_turned_back(row, value) for value in values]
    if row.joined == "stacked":
        return np.stack(parts)
    return np.concatenate(parts) if len(parts) > 1 else parts[0]


def _turned_back(row: Link, value: np.ndarray) -> np.ndarray:
    axes = row.axes
    if row.missing_rows:
        if value[:, : row.missing_rows].any():
            raise ValueError(f"{row.file}: files of this naming leave out its first rows, which are not zero here")
        return value[:, row.missing_rows :]
    if row.part_shape is not None:
        value = value.reshape([row.part_shape[axis] for axis in axes] if axes else row.part_shape)
    return np.ascontiguousarray(value.transpose(np.argsort(axes)) if axes else value)
