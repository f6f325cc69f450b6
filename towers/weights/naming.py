"""How files name and lay out a family's parameters, declared once, for reading and for writing.

Promises: reading and writing are inverse to the bit, because both follow one list of `Link`s, which only cut, transpose
and reshape arrays. What a naming leaves out is a stated rule (`dropped`); an array that no link and no rule knows keeps
its name, so that `match_parameters` names it.

Not here: the names themselves, which each family has, and opening files (`reading`).
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

import numpy as np
from jaxtyping import Shaped

from lit_precompute.towers.weights.links import Arrays, Link, Shapes, array_of, parameters_in
from lit_precompute.towers.weights.stored import StoredArray, held

# Where big_vision's files keep the parameters when they hold more than them, outermost first: optimiser state of two
# kinds around them, or two towers.
BIG_VISION_ROOTS = ("params/", "opt/target/", "img/", "image/")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Naming:
    """The names of one kind of file.

    Attributes:
      name: what people call such files; errors show it.
      links: the file's arrays, for one configuration of the family.
      roots: prefixes under which files of this kind keep the parameters, outermost first; each may be absent. Where a
        prefix is present, arrays without it are ignored. One that all arrays of a file share need not be named.
      dropped: regular expressions of whole names (after the roots) that the tower does not use.
      spellings: (regular expression, replacement) for names that some files spell differently from `links`; a name is
        kept where another array already has the replaced one, so that none is lost.
      copies: (a name of `links`, other names of the same array) where the original shares one array between layers:
        the first that a file has stands in for a missing one; those that equal it are ignored, and one that does not
        passes like any other array.
    """

    name: str
    links: Sequence[Link]
    roots: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    spellings: tuple[tuple[str, str], ...] = ()
    copies: tuple[tuple[str, tuple[str, ...]], ...] = ()


_Array = TypeVar("_Array", bound=np.ndarray | StoredArray)


def inside_root(arrays: Mapping[str, _Array], root: str) -> Mapping[str, _Array]:
    """Returns the arrays whose names begin with `root`, without it."""
    return {name.removeprefix(root): array for name, array in arrays.items() if name.startswith(root)}


def read_names(namings: Sequence[Naming], arrays: Arrays, shapes: Shapes) -> dict[str, Shaped[np.ndarray, "..."]]:
    """Returns a file's arrays under our names, by the naming that matches most of them.

    Args:
      namings: the kinds of files that the family knows; none means that files have our names.
      arrays: as read from the file.
      shapes: the parameters' shapes; arrays that do not fit pass unchanged, and `match_parameters` names them.
    """
    return {name: stored.read() for name, stored in find_names(namings, held(arrays), shapes).items()}


def find_names(namings: Sequence[Naming], arrays: Mapping[str, StoredArray], shapes: Shapes) -> dict[str, StoredArray]:
    """Returns what `read_names` does, without reading an array, unless the file has several under names of one."""
    if not namings:
        return dict(arrays)
    best = _best(namings, arrays)
    if not best[2]:
        best = max([best, *(_best(namings, each) for each in _unwrapped(arrays))], key=lambda best: best[2])
    naming, found, _ = best
    links = {row.file: row for row in naming.links}
    dropped = re.compile("|".join(f"(?:{pattern})" for pattern in naming.dropped) or r"(?!)")
    result: dict[str, StoredArray] = {}
    for name, array in found.items():
        if name in links:
            result |= parameters_in(links[name], array, shapes)
        elif not dropped.fullmatch(name):
            result[name] = array
    return result


def write_names(naming: Naming, parameters: Arrays) -> dict[str, Shaped[np.ndarray, "..."]]:
    """Returns the parameters under a naming's names and in its layout; `read_names` reads them back.

    Raises:
      KeyError: the naming has an array of parameters that are missing.
      ValueError: files of this naming cannot represent a value.
    """
    return {row.file: array_of(row, [parameters[name] for name in row.parameters]) for row in naming.links}


def _best(
    namings: Sequence[Naming], arrays: Mapping[str, StoredArray]
) -> tuple[Naming, Mapping[str, StoredArray], int]:
    """Returns the naming that knows most of the arrays, the arrays under its names, and how many it knows."""
    inside = [_once(naming, _respelt(naming, _inside_roots(naming, arrays))) for naming in namings]
    known = [sum(row.file in found for row in naming.links) for naming, found in zip(namings, inside, strict=True)]
    best = known.index(max(known))
    return namings[best], inside[best], known[best]


def _unwrapped(arrays: Mapping[str, StoredArray]) -> Iterator[Mapping[str, StoredArray]]:
    """Yields the arrays without each prefix that all names share: modules around the tower, as torch saves them.

    Those are `module.` of parallel training, `_orig_mod.` of torch.compile, and what a program calls its model.
    """
    while len(wrappers := {name.partition(".")[:2] for name in arrays}) == 1:
        wrapper = "".join(wrappers.pop())
        if not wrapper.endswith("."):
            return
        arrays = inside_root(arrays, wrapper)
        yield arrays


def _inside_roots(naming: Naming, arrays: Mapping[str, StoredArray]) -> Mapping[str, StoredArray]:
    for root in naming.roots:
        if any(name.startswith(root) for name in arrays):
            arrays = inside_root(arrays, root)
    return arrays


def _respelt(naming: Naming, arrays: Mapping[str, StoredArray]) -> Mapping[str, StoredArray]:
    if not naming.spellings:
        return arrays
    result: dict[str, StoredArray] = {}
    for name, array in arrays.items():
        usual = name
        for pattern, replacement in naming.spellings:
            usual = re.sub(pattern, replacement, usual)
        taken = usual != name and (usual in arrays or usual in result)
        result[name if taken else usual] = array
    return result


def _once(naming: Naming, arrays: Mapping[str, StoredArray]) -> Mapping[str, StoredArray]:
    """Returns the arrays with each of `naming.copies` under its one name."""
    result = dict(arrays)
    for name, others in naming.copies:
        found = [other for other in others if other in result]
        if name not in result and found:
            result[name] = result[found[0]]
        for other in found:
            if _are_equal(result[other], result[name]):
                del result[other]
    return result


def _are_equal(one: StoredArray, other: StoredArray) -> bool:
    return one is other or (one.shape == other.shape and np.array_equal(one.read(), other.read()))
