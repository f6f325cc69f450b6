"""The contract between towers of both sides and a trainer.

Promises: a tower is named parameters in a flat dict, a pure function of them that can be jitted, differentiated and
sharded, an initialiser, and the parameters' names in files. Plain functions (image families) and Flax modules (text
towers) look alike behind it.

Not here: the list of towers (the registries), and reading files (`weights`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, Float32, Key, Shaped

from lit_precompute.towers.weights.links import Arrays
from lit_precompute.towers.weights.matching import match_parameters
from lit_precompute.towers.weights.naming import Naming, read_names, write_names

Shapes = dict[str, tuple[int, ...]]
# By name; of either library, so that arrays read from a file need no conversion.
Parameters = Mapping[str, Float[Array | np.ndarray, "..."]]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Tower:
    """A network from images, texts or stored embeddings to one embedding each, without its parameters.

    Attributes:
      output_width: length of an embedding.
      parameter_shapes: the parameters by name; all are float32.
      apply: from the parameters and the inputs of n examples to their embeddings, not normalised.
      initialise: from a random key to the parameters of a random start.
      namings: the names in each kind of file, the kind that is written first; none: files have the names used here.
      apply_in_training: like `apply`, from one random key per row as well, where training differs: dropout. A row's
        embedding depends on its own key alone, so that a batch may be cut into micro-batches.
    """

    output_width: int
    parameter_shapes: Shapes
    apply: Callable[[Parameters, Any], Float32[Array, "n width"]]
    initialise: Callable[[jax.Array], dict[str, Float32[Array, "..."]]]
    namings: Sequence[Naming] = ()
    apply_in_training: Callable[[Parameters, Any, Key[Array, " n"]], Float32[Array, "n width"]] | None = None

    def read_parameters(self, arrays: Arrays, where: str) -> dict[str, Float32[np.ndarray, "..."]]:
        """Returns a file's arrays as this tower's parameters, float32.

        Raises:
          WeightsError: a parameter is missing, unexpected, of another shape or not finite; `where` names the file.
        """
        renamed = read_names(self.namings, arrays, self.parameter_shapes)
        return match_parameters(renamed, self.parameter_shapes, where)

    def write_parameters(self, parameters: Arrays) -> dict[str, Shaped[np.ndarray, "..."]]:
        """Returns the parameters under the names of the first naming; `read_parameters` reads them back."""
        return write_names(self.namings[0], parameters) if self.namings else dict(parameters)
