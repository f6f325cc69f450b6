"""Which of a text tower's parameters are trained, and the factor of each one's learning rate.

A tower's blocks are named `blocks/0/...`, `blocks/1/...`; what follows the last is `final_norm`, `pooling` and `head`;
everything else comes before the first. Layers are counted from there: 0, then one for each block, then what follows.

Source: arXiv:2106.08254, appendix (layer-wise decay); arXiv:2111.07991, section 3 (locked towers).
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping

from lit_precompute.tune.model.options import TrainedOptions

_BLOCK = re.compile(r"blocks/(\d+)/.*")
_HEAD = ("pooling/", "head/")
_AFTER = ("final_norm/", *_HEAD)


def trained_names(options: TrainedOptions, shapes: Mapping[str, tuple[int, ...]]) -> frozenset[str]:
    """Returns the names of the parameters that are trained.

    Raises:
      ValueError: a pattern fits no parameter, or the tower has fewer blocks than `last_layers`.
    """
    trained = set(shapes)
    for pattern in options.patterns():
        found = set(fnmatch.filter(shapes, pattern))
        if not found:
            some = ", ".join(sorted(shapes)[:5])
            raise ValueError(
                f"trained.locked: {pattern!r} fits none of the text tower's {len(shapes)} parameters: {some} ..."
            )
        trained -= found
    if options.last_layers is not None:
        trained &= _last(options.last_layers, shapes)
    return frozenset(trained)


def _last(num_layers: int, shapes: Mapping[str, tuple[int, ...]]) -> set[str]:
    """Returns the names in the last blocks and after them."""
    if num_layers == 0:
        return {name for name in shapes if name.startswith(_HEAD)}
    depth = _depth(shapes)
    if num_layers > depth:
        raise ValueError(f"trained.last_layers must be <= the text tower's {depth} blocks, got {num_layers}")
    return {name for name in shapes if _layer(name, depth) > depth - num_layers}


def rate_factors(options: TrainedOptions, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, float]:
    """Returns by name the factor of a parameter's learning rate; what follows the blocks has 1."""
    depth = _depth(shapes)
    return {name: options.layer_decay ** (depth + 1 - _layer(name, depth)) for name in shapes}


def _depth(shapes: Mapping[str, tuple[int, ...]]) -> int:
    return 1 + max((int(found[1]) for found in map(_BLOCK.fullmatch, shapes) if found), default=-1)


def _layer(name: str, depth: int) -> int:
    if name.startswith(_AFTER):
        return depth + 1
    found = _BLOCK.fullmatch(name)
    return 0 if found is None else int(found[1]) + 1
