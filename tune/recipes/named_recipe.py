"""The record of a named recipe."""

import dataclasses

from lit_precompute.tune.config.execution import Execution
from lit_precompute.tune.config.recipe import Recipe


@dataclasses.dataclass(frozen=True, kw_only=True)
class NamedRecipe:
    """A recipe with the execution settings that suit it.

    Attributes:
      name: its name for `--recipe`.
      purpose: what it is for, in one line.
      source: where its values come from.
      recipe: what is trained.
      execution: default execution settings; may be overridden on any machine.
    """

    name: str
    purpose: str
    source: str
    recipe: Recipe
    execution: Execution = dataclasses.field(default_factory=Execution)

    def source_of(self, path: str) -> str:
        """Returns where the value of a path, such as `optimizer.learning_rate`, comes from; "" where nothing says."""
        del path
        return ""

    def __post_init__(self):
        self.execution.check_fits(self.recipe)
