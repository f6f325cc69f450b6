"""Recipes with names, as data: a few short ones, one for each row of the paper's Table 10, and those in files."""

from lit_precompute.tune.recipes.files import read_recipe, write_recipe
from lit_precompute.tune.recipes.named_recipe import NamedRecipe
from lit_precompute.tune.recipes.paper_recipe import PaperRecipe
from lit_precompute.tune.recipes.registry import RECIPES, SHORT, find_recipe, recipe_from

__all__ = [
    "RECIPES",
    "SHORT",
    "NamedRecipe",
    "PaperRecipe",
    "find_recipe",
    "read_recipe",
    "recipe_from",
    "write_recipe",
]
