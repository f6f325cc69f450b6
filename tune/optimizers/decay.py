"""Which parameters decay: those whose names fit the options' patterns, on both sides; never those of the loss."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Sequence
from typing import Any

import jax

from lit_precompute.tune.optimizers.options import KERNELS, OptimizerOptions, patterns


def make_mask(options: OptimizerOptions) -> Callable[[Any], Any]:
    """Returns a function from parameters to whether each decays.

    It raises ValueError if a pattern fits none of them.
    """

    def mask(parameters: Any) -> Any:
        names = [_name(path) for path, _ in jax.tree_util.tree_leaves_with_path(parameters)]
        # The default is not the user's word: a tower of their own may have no kernel.
        decayed = _checked("decayed", options.decayed, names, may_fit_none=options.decayed == KERNELS)
        spared = _checked("not_decayed", options.not_decayed, names)

        def decays(path: Sequence[Any], _: Any) -> bool:
            name = _name(path)
            return not _is_of_loss(path) and _fits(name, decayed) and not _fits(name, spared)

        return jax.tree_util.tree_map_with_path(decays, parameters)

    return mask


def _checked(field: str, text: str, names: Sequence[str], *, may_fit_none: bool = False) -> list[str]:
    """Returns the patterns of an option."""
    found = patterns(text)
    for pattern in found:
        if not may_fit_none and not any(_fits(name, [pattern]) for name in names):
            some = ", ".join(sorted(names)[:5])
            raise ValueError(
                f"optimizer.{field}: {pattern!r} fits none of the {len(names)} parameters that are trained: {some} ..."
            )
    return found


def _fits(name: str, some: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in some)


def _name(path: Sequence[Any]) -> str:
    """Returns a parameter's name within its side."""
    return "/".join(str(entry.key) for entry in path if isinstance(entry, jax.tree_util.DictKey))


def _is_of_loss(path: Sequence[Any]) -> bool:
    return isinstance(path[0], jax.tree_util.GetAttrKey) and path[0].name == "loss"
