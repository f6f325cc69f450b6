"""What a family of towers is: a configuration, its parameters' shapes, its files' names, and a function.

Promises: the registry needs nothing else of a family, so that a new one is one module and one registry entry. A
family is pure: parameters are a flat dict of named arrays, and `apply` can be jitted, sharded and differentiated.

Not here: which towers exist (`registry`), and reading bytes (`weights`).
"""

from __future__ import annotations

import dataclasses
import functools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Shaped

from lit_precompute.towers.contract import Shapes, Tower
from lit_precompute.towers.fingerprint import canonical_json
from lit_precompute.towers.initialisation import initialise
from lit_precompute.towers.options import ComputeType
from lit_precompute.towers.preprocessing import Preprocessing
from lit_precompute.towers.weights.links import Arrays
from lit_precompute.towers.weights.naming import Naming

# By canonical name.
Parameters = Mapping[str, Float[Array, "..."]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class TowerConfig:
    """What every family's configuration has; each family adds its own fields.

    Attributes:
      resolution: side of the square images in pixels.
      pooling: what the embedding is; each family names its choices.
      compute_type: type of the activations; outputs are always float32.
    """

    resolution: int
    pooling: str
    compute_type: ComputeType = "float32"

    def __post_init__(self):
        if self.resolution < 1:
            raise ValueError(f"tower: resolution must be >= 1, got {self.resolution}")
        if self.compute_type not in ("float32", "bfloat16"):
            raise ValueError(f"tower: compute_type must be 'float32' or 'bfloat16', got {self.compute_type!r}")

    @property
    def output_width(self) -> int:
        raise NotImplementedError

    def to_json(self) -> dict[str, Any]:
        """Returns the fields as plain JSON; it is part of the fingerprint."""
        return json.loads(canonical_json(dataclasses.asdict(self)))


Config = TypeVar("Config", bound=TowerConfig)


def _unchanged(_: Any, parameters: Arrays) -> dict[str, Shaped[np.ndarray, "..."]]:
    return {}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Family(Generic[Config]):
    """One architecture.

    Attributes:
      name: as the tower's card shows it.
      poolings: the values that `TowerConfig.pooling` may have.
      parameter_shapes: the parameters by canonical name.
      namings: the kinds of files that are read and written; none means that files have the canonical names.
      adapt: decides what only the file shows (whether it has a class token), from the arrays under canonical names.
      fit: returns the parameters that another resolution changes, from the arrays under canonical names, and None for
        those that are left out; the weights' hash is of those of the file. `adapt` and `fit` should look up no more
        arrays than they need: it reads them.
      apply: from the parameters and images in the tower's value range to embeddings of the configuration's width.
      initialise: (shapes of some parameters, random key) -> these for training from a random start.
      in_compute_type: whether `apply` uses a parameter for nothing but as a factor of matrix products in the compute
        type. It is kept in that type then, which takes half the memory for bfloat16 and changes no bit.
      is_statistic: whether a parameter is a statistic of training, which published counts leave out.
    """

    name: str
    poolings: tuple[str, ...]
    parameter_shapes: Callable[[Config], Shapes]
    apply: Callable[[Config, Parameters, Float32[Array, "n h w 3"]], Float32[Array, "n width"]]
    namings: Callable[[Config], Sequence[Naming]] = lambda config: ()
    adapt: Callable[[Config, Arrays], Config] = lambda config, arrays: config
    fit: Callable[[Config, Arrays], Mapping[str, Shaped[np.ndarray, "..."] | None]] = _unchanged
    initialise: Callable[[Shapes, jax.Array], dict[str, Float32[Array, "..."]]] = initialise
    in_compute_type: Callable[[str], bool] = lambda name: False
    is_statistic: Callable[[str], bool] = lambda name: False

    def kept_type(self, config: Config, name: str) -> np.dtype:
        """Returns the type in which a tower of this configuration keeps a parameter."""
        return jnp.dtype(config.compute_type if self.in_compute_type(name) else "float32")

    def tower(self, config: Config) -> Tower:
        """Returns the tower of a configuration over float32 images [n, h, w, 3], without parameters."""
        shapes = self.parameter_shapes(config)
        return Tower(
            output_width=config.output_width,
            parameter_shapes=shapes,
            apply=functools.partial(_apply, self, config),
            initialise=functools.partial(self.initialise, shapes),
            namings=self.namings(config),
        )


def _apply(
    family: Family[Any],
    config: TowerConfig,
    parameters: Mapping[str, Float[Array | np.ndarray, "..."]],
    images: Float32[Array | np.ndarray, "n h w 3"],
) -> Float32[Array, "n {config.output_width}"]:
    # Accelerators would round float32 products' inputs to fewer bits, so that embeddings would depend on the machine.
    with jax.default_matmul_precision("highest" if config.compute_type == "float32" else "default"):
        arrays = {name: jnp.asarray(value) for name, value in parameters.items()}
        return family.apply(config, arrays, jnp.asarray(images))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
    """A tower that has a name.

    Attributes:
      family: its architecture.
      config: its sizes, at the resolution that it was published for.
      preprocessing: as it was published.
      weights: where its weights are published (`hf://`, `gs://`, `https://`); "" for a bare architecture.
      weights_sha256: of that file: 64 hexadecimal digits, or the first 8 or more where its publisher says no more (as
        the names of torch's files do); "" if unknown.
      accuracy: what its authors report, in words with the protocol; "" where nothing comparable is published.
    """

    family: Family[Any]
    config: TowerConfig
    preprocessing: Preprocessing
    weights: str = ""
    weights_sha256: str = ""
    accuracy: str = ""

    def __post_init__(self):
        if self.weights_sha256 and not re.fullmatch(r"[0-9a-f]{8,64}", self.weights_sha256):
            raise ValueError(f"tower: weights_sha256 must be 8 to 64 hexadecimal digits, got {self.weights_sha256!r}")
