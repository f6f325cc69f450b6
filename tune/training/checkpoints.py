"""Checkpoints of a training run, by Orbax: all that a run needs to go on, bit for bit.

Promises: a checkpoint is whole or not seen: Orbax writes it under a temporary name and renames it when it is finished.
The newest two are kept. Saving copies the state and writes it while training goes on. Batches are functions of
(seed, step) and need nothing here.
"""

import os
import pathlib
import sys
from typing import Any, TypeVar

import jax
import orbax.checkpoint as ocp

_KEPT = 2
State = TypeVar("State")


def _hush_abandoned_readers() -> None:
    """Drops what Python prints of the readers that TensorStore's threads still run when one of them has failed.

    They come to an event loop that is closed, dozens of them, at any moment from then on. All else is shown as before.
    """
    shown = sys.unraisablehook
    if getattr(shown, "__name__", "") == "show_others":
        return

    def show_others(unraisable: "sys.UnraisableHookArgs") -> None:
        if str(unraisable.exc_value) != "Event loop is closed" and "_read_array" not in repr(unraisable.object):
            shown(unraisable)

    sys.unraisablehook = show_others


class CheckpointError(ValueError):
    """A checkpoint that cannot be read; says which, why, and what to do."""


class Checkpoints:
    """The checkpoints below one directory."""

    def __init__(self, directory: str | os.PathLike[str]):
        """Makes the directory where it is missing; what a killed run left half-written is removed."""
        options = ocp.CheckpointManagerOptions(max_to_keep=_KEPT, create=True, cleanup_tmp_directories=True)
        self._directory = pathlib.Path(directory).absolute()
        self._manager = ocp.CheckpointManager(self._directory, options=options)

    def newest_step(self) -> int | None:
        """Returns the number of steps that the newest whole checkpoint has behind it, or None."""
        return self._manager.latest_step()

    def save(self, step: int, state: object) -> None:
        """Starts to save the state after `step` steps; the state may be used up as soon as this returns."""
        if step != self.newest_step():
            self._manager.save(step, args=ocp.args.StandardSave(state))

    def restore(self, shapes: State) -> State:
        """Returns the newest checkpoint, in the structure, shapes and types given.

        Raises:
          CheckpointError: it is damaged, or of another structure.
        """
        step = self.newest_step()
        assert step is not None
        device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
        wanted = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=device), shapes)
        _hush_abandoned_readers()
        try:
            restored: Any = self._manager.restore(step, args=ocp.args.StandardRestore(wanted))
        except Exception as error:  # noqa: BLE001 -- Orbax raises no narrower one for damaged files; it is told below
            reason = str(error.__cause__ or error).strip().partition("\n")[0]
        else:
            return restored
        # Raised outside, without its cause: that would hold on to Orbax's other readers, which then fail one by one.
        raise CheckpointError(
            f"{self._directory / str(step)}: cannot be read ({reason[:300]}); remove this folder to go on from the "
            "checkpoint before it"
        )

    def wait(self) -> None:
        """Returns when what was started is on the disk."""
        self._manager.wait_until_finished()

    def close(self) -> None:
        """Waits, and ends the threads."""
        self._manager.wait_until_finished()
        self._manager.close()
