"""The named recipes, as data."""

import types

from lit_precompute.tune.recipes.demo import DEMO
from lit_precompute.tune.recipes.named_recipe import NamedRecipe
from lit_precompute.tune.recipes.papers import CC12M, LIT_BASE

RECIPES: types.MappingProxyType[str, NamedRecipe] = types.MappingProxyType(
    {named.name: named for named in (DEMO, CC12M, LIT_BASE)}
)
