"""The named recipes, as data."""

from __future__ import annotations

import difflib
import functools
import pathlib
from collections.abc import Iterator, Mapping

from lit_precompute.towers.options import OptionsError
from lit_precompute.tune.recipes.demo import DEMO
from lit_precompute.tune.recipes.errata import NAMES
from lit_precompute.tune.recipes.files import SUFFIXES, read_recipe
from lit_precompute.tune.recipes.named_recipe import NamedRecipe
from lit_precompute.tune.recipes.paper_recipe import check_locked, make_recipe
from lit_precompute.tune.recipes.papers import CC12M, LIT_BASE
from lit_precompute.tune.recipes.table10 import PRINTED

SHORT = {named.name: named for named in (DEMO, CC12M, LIT_BASE)}
"""Recipes of few words, for a start."""


class _Recipes(Mapping[str, NamedRecipe]):
    """Recipes by name; those of the paper's table are made when they are asked for."""

    def __init__(self):
        locked = (name for name, row in zip(NAMES, PRINTED, strict=True) if not row.trains_image_tower)
        self._names = (*SHORT, *locked)

    def __getitem__(self, name: str) -> NamedRecipe:
        if name not in self._names:
            raise KeyError(name)
        return SHORT[name] if name in SHORT else _made(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


_made = functools.cache(make_recipe)
RECIPES: Mapping[str, NamedRecipe] = _Recipes()


def find_recipe(name: str) -> NamedRecipe:
    """Returns the recipe of this name.

    Raises:
      OptionsError: there is no such recipe, or it trains the image tower.
    """
    if name in NAMES:
        check_locked(name)
    if name not in RECIPES:
        near = difflib.get_close_matches(name, RECIPES, n=1, cutoff=0.6)
        hint = f"did you mean {near[0]}? " if near else ""
        raise OptionsError(
            f"--recipe must be {', '.join(SHORT)}, a row of the paper's Table 10 or a file, got {name!r}; {hint}"
            "`lit-tune recipes` lists them"
        )
    return RECIPES[name]


def recipe_from(name: str) -> NamedRecipe:
    """Returns the recipe of this name, or of the file of this name if it ends as files do, or is there.

    Raises:
      OptionsError: there is no such recipe, it trains the image tower, or the file is none of a recipe.
      OSError: the file cannot be read.
    """
    is_file = name.endswith(SUFFIXES) or (name not in RECIPES and pathlib.Path(name).exists())
    return read_recipe(name) if is_file else find_recipe(name)
