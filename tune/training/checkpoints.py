"""Checkpoints of a training run, by Orbax: everything needed to resume it, bit for bit.

Promises: a checkpoint is complete or absent: Orbax writes it under a temporary name and renames it when it is complete.
The newest two are kept. Saving copies the state and writes it while training continues. Batches are functions of
(seed, step) and need no state here.
"""

import os
import pathlib
import sys
import warnings
from typing import Any, TypeVar

import jax
import orbax.checkpoint as ocp

_KEPT = 2
State = TypeVar("State")


def _hush_abandoned_tasks() -> None:
    """Silences the errors of TensorStore's other readers and writers after one of them has failed.

    Dozens of them meet a closed event loop, or never begin, at any time afterwards. Everything else is shown as before.
    """
    warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
    shown = sys.unraisablehook
    if getattr(shown, "__name__", "") == "show_others":
        return

    def show_others(unraisable: "sys.UnraisableHookArgs") -> None:
        if str(unraisable.exc_value) != "Event loop is closed" and "_read_array" not in repr(unraisable.object):
            shown(unraisable)

    sys.unraisablehook = show_others


class CheckpointError(ValueError):
    """A checkpoint that cannot be read; the message says which, why, and what to do."""


class Checkpoints:
    """The checkpoints in one directory."""

    def __init__(self, directory: str | os.PathLike[str]):
        """Creates the directory if it is missing; removes the incomplete checkpoints of a killed run."""
        _hush_abandoned_tasks()
        options = ocp.CheckpointManagerOptions(max_to_keep=_KEPT, create=True, cleanup_tmp_directories=True)
        self._directory = pathlib.Path(directory).absolute()
        self._manager = ocp.CheckpointManager(self._directory, options=options)

    def newest_step(self) -> int | None:
        """Returns the step of the newest complete checkpoint, or None."""
        return self._manager.latest_step()

    def save(self, step: int, state: object) -> None:
        """Starts to save the state after `step` steps; the state may be consumed as soon as this returns."""
        if step != self.newest_step():
            self._manager.save(step, args=ocp.args.StandardSave(state))

    def restore(self, shapes: State) -> State:
        """Returns the newest checkpoint, with this structure and these shapes and types.

        Raises:
          CheckpointError: it is damaged, or has another structure.
        """
        step = self.newest_step()
        assert step is not None
        device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
        wanted = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=device), shapes)
        try:
            restored: Any = self._manager.restore(step, args=ocp.args.StandardRestore(wanted))
        except Exception as error:  # noqa: BLE001 -- Orbax has no narrower one for damaged files; reported below
            reason = str(error.__cause__ or error).strip().partition("\n")[0]
        else:
            return restored
        # Raised outside and without its cause, which would keep Orbax's other readers alive, to fail one by one.
        raise CheckpointError(
            f"{self._directory / str(step)}: cannot be read ({reason[:300]}); remove this folder to resume from the "
            "checkpoint before it"
        )

    def wait(self) -> None:
        """Waits until all saves are on disk."""
        self._manager.wait_until_finished()

    def close(self) -> None:
        """Waits for all saves and ends the threads."""
        self._manager.wait_until_finished()
        self._manager.close()
