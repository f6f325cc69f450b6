"""A tower on the devices of this process: one compiled shape, and a share of every batch for each device.

Promises: the function is compiled once, for one batch size; a batch is divided evenly over all local devices, which do
not communicate; no device keeps a batch of images once it is embedded.

Batches are not donated: JAX can reuse a donated buffer only for an output of equal size, and no embedding is as large
as its images; a batch is freed because nothing refers to it.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array, Float32, Num

from lit_precompute.precompute.images.preprocessing import normalise
from lit_precompute.towers.tower import ImageTower

_AXIS = "images"


class Embedder:
    """A tower on the devices, compiled for one batch size."""

    def __init__(self, tower: ImageTower, *, batch_size: int, devices: Sequence[Any] | None = None):
        """Puts the parameters on each of the `jax.Device`s (None: all of this process).

        Raises:
          ValueError: the batch size is below 1.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size must be >= 1, got {batch_size}")
        self.tower = tower
        self.batch_size = batch_size
        self._devices = jax.local_devices() if devices is None else list(devices)
        mesh = jax.sharding.Mesh(np.array(self._devices), (_AXIS,))
        self._shares = NamedSharding(mesh, PartitionSpec(_AXIS))
        self._copies = NamedSharding(mesh, PartitionSpec())
        self._unused: list[np.ndarray] = []
        self._parameters = jax.device_put(dict(tower.parameters), self._copies)

    def of_size(self, batch_size: int) -> Embedder:
        """Returns an embedder of the same tower for another batch size; both use the same copy of the parameters."""
        other = copy.copy(self)
        other.__dict__.pop("_function", None)
        other.batch_size, other._unused = batch_size, []
        return other

    @property
    def padded_size(self) -> int:
        """Images in the compiled shape: the batch size, rounded up to a multiple of the number of devices."""
        return -(-self.batch_size // len(self._devices)) * len(self._devices)

    @property
    def _batch_shape(self) -> tuple[int, int, int, int]:
        size = self.tower.preprocessing.size
        return self.padded_size, size, size, 3

    def compile(self) -> None:
        """Compiles the tower, which otherwise happens when the first batch is started."""
        _ = self._function

    @functools.cached_property
    def _function(self) -> Callable[[Any, Any], jax.Array]:
        """The function, compiled ahead of time, so that no other shape is ever compiled."""
        images = jax.ShapeDtypeStruct(self._batch_shape, self.tower.preprocessing.pixel_type, sharding=self._shares)
        each_share = jax.shard_map(
            self._embed,
            mesh=self._shares.mesh,
            in_specs=(self._copies.spec, self._shares.spec),
            out_specs=self._shares.spec,
            check_vma=False,  # a user's tower may loop over values that differ between devices
        )
        return jax.jit(each_share).lower(self._parameters, images).compile()

    def _embed(self, parameters: dict[str, jax.Array], images: jax.Array) -> jax.Array:
        normal = normalise(self.tower.preprocessing, images)
        return self.tower.apply(parameters, normal).astype(jnp.float32)

    def take_batch(self) -> Num[np.ndarray, "padded_size size size 3"]:
        """Returns a batch to be filled, of the preprocessing's pixel type; it holds values from earlier use."""
        try:
            return self._unused.pop()
        except IndexError:
            return np.zeros(self._batch_shape, self.tower.preprocessing.pixel_type)

    def give_back(self, batch: Num[np.ndarray, "padded_size size size 3"]) -> None:
        """Takes back a batch whose embeddings are complete: new memory costs more than writing the images to it."""
        self._unused.append(batch)

    def start(self, batch: Num[np.ndarray, "padded_size size size 3"]) -> Float32[Array, "padded_size output_width"]:
        """Starts to embed a batch of `take_batch`, which must not be written to until its embeddings are complete.

        Returns at once, before the embeddings are computed.
        """
        return self._function(self._parameters, jax.device_put(batch, self._shares))
