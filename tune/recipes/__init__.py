"""Recipes with names, as data: one constant each, listed in `registry`."""

from lit_precompute.tune.recipes.named_recipe import NamedRecipe
from lit_precompute.tune.recipes.registry import RECIPES

__all__ = ["RECIPES", "NamedRecipe"]
