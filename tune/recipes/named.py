"""What a recipe with a name is."""

import dataclasses

from lit_precompute.tune.config.execution import Execution
from lit_precompute.tune.config.recipe import Recipe


@dataclasses.dataclass(frozen=True, kw_only=True)
class NamedRecipe:
    """A recipe with the execution settings that suit it.

    Attributes:
      name: what `--recipe` takes.
      purpose: what it is for, in a line.
      source: where its figures come from.
      recipe: what is trained.
      execution: defaults for how it is computed; any machine may choose others.
    """

    name: str
    purpose: str
    source: str
    recipe: Recipe
    execution: Execution = dataclasses.field(default_factory=Execution)

    def __post_init__(self):
        self.execution.check_fits(self.recipe)
