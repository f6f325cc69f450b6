"""Checkpoints of a training run, by Orbax: all that a run needs to go on, bit for bit.

Promises: a checkpoint is whole or not seen (Orbax renames it when it is finished); the newest whole one is found
again. Kept are parameters, the optimiser's state and the step; batches are functions of (seed, step) and need nothing.
"""

import logging
import os
import pathlib
from typing import Any

import jax
import orbax.checkpoint as ocp

_KEPT = 2


class Checkpoints:
    """The checkpoints below one directory."""

    def __init__(self, directory: str | os.PathLike[str]):
        """Makes the directory where it is missing; half-written checkpoints of a killed run are removed."""
        logging.getLogger("absl").setLevel(logging.WARNING)  # Orbax tells every step of its own work
        options = ocp.CheckpointManagerOptions(max_to_keep=_KEPT, create=True, cleanup_tmp_directories=True)
        self._manager = ocp.CheckpointManager(pathlib.Path(directory).absolute(), options=options)

    def newest_step(self) -> int | None:
        """Returns the number of steps that the newest whole checkpoint has behind it, or None."""
        return self._manager.latest_step()

    def save(self, step: int, state: Any) -> None:
        """Starts to save the state after `step` steps; training goes on meanwhile."""
        if step != self.newest_step():
            self._manager.save(step, args=ocp.args.StandardSave(state))

    def restore(self, state: Any) -> Any:
        """Returns the newest checkpoint, in the structure, shapes and types of `state`."""
        abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, state)
        return self._manager.restore(self.newest_step(), args=ocp.args.StandardRestore(abstract))

    def close(self) -> None:
        """Waits until what was started is on the disk."""
        self._manager.wait_until_finished()
        self._manager.close()
