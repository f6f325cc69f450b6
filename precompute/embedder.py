"""A tower on the devices of this process: one compiled shape, each device its share of every batch.

Promises: the function is compiled once, for one batch size; a batch is divided evenly over all local devices, which
never talk to each other; no device keeps a batch of pictures once it is embedded.

Not donated: JAX can hand a donated buffer only to an output of its own size, and no embedding has the size of its
pictures; the batch is freed because nobody holds it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array, Float32, UInt8

from lit_precompute.precompute.images.preprocessing import normalise
from lit_precompute.towers.tower import ImageTower

_AXIS = "pictures"


class Embedder:
    """A tower on the devices, compiled for one batch size."""

    def __init__(self, tower: ImageTower, *, batch_size: int, devices: Sequence[Any] | None = None):
        """Puts the parameters on each of the `jax.Device`s (None: all that this process has).

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

    @property
    def padded_size(self) -> int:
        """Pictures in the compiled shape: the batch size, rounded up to a multiple of the devices."""
        return -(-self.batch_size // len(self._devices)) * len(self._devices)

    @functools.cached_property
    def _function(self) -> Callable[[Any, Any], jax.Array]:
        """The compiled function; ahead of time, so that no other shape can slip in and be compiled, too."""
        size = self.tower.preprocessing.size
        images = jax.ShapeDtypeStruct((self.padded_size, size, size, 3), np.uint8, sharding=self._shares)
        each_share = jax.shard_map(
            self._embed,
            mesh=self._shares.mesh,
            in_specs=(self._copies.spec, self._shares.spec),
            out_specs=self._shares.spec,
            check_vma=False,  # anyone's tower may loop over what differs between devices
        )
        return jax.jit(each_share).lower(self._parameters, images).compile()

    def _embed(self, parameters: dict[str, jax.Array], images: jax.Array) -> jax.Array:
        normal = normalise(self.tower.preprocessing, images)
        return self.tower.apply(parameters, normal).astype(jnp.float32)

    def take_batch(self) -> UInt8[np.ndarray, "padded_size size size 3"]:
        """Returns a batch to be filled; what it holds is left from earlier use."""
        try:
            return self._unused.pop()
        except IndexError:
            size = self.tower.preprocessing.size
            return np.zeros((self.padded_size, size, size, 3), np.uint8)

    def give_back(self, batch: UInt8[np.ndarray, "padded_size size size 3"]) -> None:
        """Takes a batch whose embeddings have come: new memory costs more than the pictures that are written to it."""
        self._unused.append(batch)

    def start(self, batch: UInt8[np.ndarray, "padded_size size size 3"]) -> Float32[Array, "padded_size output_width"]:
        """Starts to embed a batch as `take_batch` gives it, not to be written to before its embeddings are there.

        Returns at once, before the embeddings are computed.
        """
        return self._function(self._parameters, jax.device_put(batch, self._shares))
