"""A tower on the devices of this process: one compiled shape, and a share of every batch for each device.

Promises: the function is compiled once, for one batch size; a batch is divided evenly over all local devices, which do
not communicate where one of them holds all parameters; otherwise each holds a share of them, and gathers the others'
when it uses them. Embeddings are the same bits. No device keeps a batch of images once it is embedded.

Batches are not donated: JAX can reuse a donated buffer only for an output of equal size, and no embedding is as large
as its images; a batch is freed because nothing refers to it.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array, Float32, Num

from lit_precompute.precompute.images.preprocessing import normalise
from lit_precompute.precompute.sharded_parameters import apply_gathering, axes_to_cut, do_not_fit
from lit_precompute.towers.tower import ImageTower

_AXIS = "images"


class Embedder:
    """A tower on the devices, compiled for one batch size."""

    def __init__(
        self,
        tower: ImageTower,
        *,
        batch_size: int,
        devices: Sequence[Any] | None = None,
        sharded: bool | None = None,
    ):
        """Puts the parameters on the devices; `tower` is kept with these, and may be forgotten.

        Args:
          tower: the tower.
          batch_size: images of a batch.
          devices: the `jax.Device`s to use; None for all of this process.
          sharded: whether each device holds a share of the parameters only; None: where one does not hold all.

        Raises:
          ValueError: the batch size is below 1.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size must be >= 1, got {batch_size}")
        self.batch_size = batch_size
        self._devices = jax.local_devices() if devices is None else list(devices)
        mesh = jax.sharding.Mesh(np.array(self._devices), (_AXIS,))
        self._shares = NamedSharding(mesh, PartitionSpec(_AXIS))
        self._copies = NamedSharding(mesh, PartitionSpec())
        self._unused: list[np.ndarray] = []
        given = tower.parameters
        if sharded is None:
            sharded = do_not_fit(given, self._devices[0])
        self._axes = axes_to_cut(given, len(self._devices)) if sharded and len(self._devices) > 1 else {}
        self._parameters = {name: jax.device_put(given[name], self._placement(name)) for name in given}
        # Its arrays in the host's memory are nobody's any more when the caller drops the tower.
        self.tower = dataclasses.replace(tower, parameters=self._parameters)

    def _placement(self, name: str) -> NamedSharding:
        if name not in self._axes:
            return self._copies
        return NamedSharding(self._copies.mesh, PartitionSpec(*[None] * self._axes[name], _AXIS))

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

    def memory(self) -> Any:
        """Returns XLA's analysis of what one device needs, in bytes; see `jax.stages.Compiled.memory_analysis`."""
        return self._function.memory_analysis()

    @functools.cached_property
    def _function(self) -> jax.stages.Compiled:
        """The function, compiled ahead of time, so that no other shape is ever compiled."""
        images = jax.ShapeDtypeStruct(self._batch_shape, self.tower.preprocessing.pixel_type, sharding=self._shares)
        each_share = jax.shard_map(
            self._embed,
            mesh=self._shares.mesh,
            in_specs=({name: self._placement(name).spec for name in self._parameters}, self._shares.spec),
            out_specs=self._shares.spec,
            check_vma=False,  # a user's tower may loop over values that differ between devices
        )
        return jax.jit(each_share).lower(self._parameters, images).compile()

    def _embed(self, parameters: dict[str, jax.Array], images: jax.Array) -> jax.Array:
        normal = normalise(self.tower.preprocessing, images)
        if not self._axes:
            return self.tower.apply(parameters, normal).astype(jnp.float32)
        found = apply_gathering(
            self.tower.apply,
            parameters,
            normal,
            axes=self._axes,
            mesh_axis=_AXIS,
            num_devices=len(self._devices),
            platform=self._devices[0].platform,
        )
        return found.astype(jnp.float32)

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
