"""The recipe of a row of the paper's Table 10: its values with their sources, and the published figures."""

from __future__ import annotations

import dataclasses
from typing import Any

from lit_precompute.towers.options import OptionsError
from lit_precompute.tune.config.execution import Execution
from lit_precompute.tune.config.recipe import Recipe
from lit_precompute.tune.recipes.errata import NAMES, Erratum, errata_of, followed
from lit_precompute.tune.recipes.named_recipe import NamedRecipe
from lit_precompute.tune.recipes.table10 import PRINTED, Row
from lit_precompute.tune.recipes.values import Value, values_of

EXECUTION = Execution(micro_batch_size=1_024, memory_budget_bytes=16 << 30, log_every_steps=50)
# The locked recipe that is closest to each row that trains the image tower: of the same data and towers, and the text
# tower's start.
_CLOSEST = {
    "fig1-clip-UU-vit-b32-bert-base-wp": "fig1-clip-LU-vit-b32-bert-base-wp",
    "fig1-clip-uu-vit-b32-bert-base-wp": "tab5-yfcc-Lu-vit-b32-bert-base-wp",
    "tab2-ours-Uu-vit-b32-vit-base-sp": "tab2-ours-Lu-vit-b32-vit-base-sp",
    "tab2-ours-uu-vit-b32-vit-base-sp": "tab2-ours-Lu-vit-b32-vit-base-sp",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class PaperRecipe(NamedRecipe):
    """The recipe of a row.

    Attributes:
      name: its name for `--recipe`.
      purpose: what it is for, in one line.
      source: where its values come from.
      recipe: what is trained.
      execution: default execution settings; may be overridden on any machine.
      row: the row as it is followed, with the published figures.
      values: all values with their sources.
      errata: what is wrong or in doubt about the row.
    """

    row: Row
    values: tuple[Value, ...]
    errata: tuple[Erratum, ...]

    def source_of(self, path: str) -> str:
        """Returns where the value of a path, or of the part that it belongs to, comes from; "" for neither."""
        sources = {value.path: value.source for value in self.values}
        return sources.get(path) or sources.get(path.partition(".")[0], "")

    def value(self, path: str) -> Any:
        """Returns the value of this path."""
        return next(value.value for value in self.values if value.path == path)


def make_recipe(name: str) -> PaperRecipe:
    """Returns the recipe of a row.

    Raises:
      OptionsError: the row trains the image tower.
    """
    printed = PRINTED[NAMES.index(name)]
    check_locked(name)
    row = followed(printed)
    values = values_of(row)
    return PaperRecipe(
        name=name,
        purpose=f"{printed.ref}: {row.image} and {row.text} on {row.dataset}, ImageNet {row.imagenet}",
        source="arXiv:2111.07991, table 10",
        recipe=_recipe(values),
        execution=EXECUTION,
        row=row,
        values=values,
        errata=errata_of(printed),
    )


def check_locked(name: str) -> None:
    """Raises OptionsError if a row trains the image tower, with the locked recipe that is closest."""
    row = PRINTED[NAMES.index(name)]
    if row.trains_image_tower:
        raise OptionsError(
            f"{name} trains the image tower ({row.setting}), which is locked here: its embeddings are stored once; the "
            f"closest locked recipe is {_CLOSEST[name]}"
        )


def _recipe(values: tuple[Value, ...]) -> Recipe:
    content: dict[str, Any] = {}
    fields = {field.name for field in dataclasses.fields(Recipe)}
    for path, value, _ in values:
        *parents, name = path.split(".")
        if path.partition(".")[0] not in fields:  # how the dataset is embedded
            continue
        part = content
        for parent in parents:
            part = part.setdefault(parent, {})
        part[name] = dict(value) if isinstance(value, dict) else value  # later values change single fields of it
    return Recipe.from_json(content)
