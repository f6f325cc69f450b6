"""One embedding process for each accelerator of a machine: a lock for each, on files that all processes find.

Promises: of two processes that want the same accelerator, the second is refused, whatever each of them calls it; two
with accelerators of their own (`CUDA_VISIBLE_DEVICES=0,1,2,3` and `4,5,6,7`) run beside each other; a process that
ends, even by a kill, leaves nothing locked. Processes with temporary folders of their own (containers) do not see each
other.

NVIDIA's GPUs are known by the identifiers that their driver gives them: schedulers may number the GPUs of each job
from 0. Others are known by their numbers.
"""

import contextlib
import ctypes
import os
import pathlib
import tempfile
from collections.abc import Sequence
from typing import TextIO

from lit_precompute.schemas.storage import lock_file

_VISIBLE = ("CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "TPU_VISIBLE_DEVICES")
_held: dict[str, TextIO] = {}  # until the process ends


class DeviceError(ValueError):
    """The process cannot use the devices that were asked for."""


def take_devices(kind: str) -> None:
    """Takes this process's accelerators for it, until it ends.

    Args:
      kind: what they are: "gpu" or "tpu".

    Raises:
      DeviceError: another process has taken one of them.
    """
    import jax

    take(kind, device_names([device.local_hardware_id or 0 for device in jax.local_devices()]))


def take(kind: str, names: Sequence[str]) -> None:
    """Takes accelerators by their names, all or none; those that this process has already are left alone.

    Args:
      kind: what they are: "gpu" or "tpu".
      names: theirs.

    Raises:
      DeviceError: another process has taken one of them.
    """
    with contextlib.ExitStack() as taken:
        new: dict[str, TextIO] = {}
        # In one order everywhere: of two processes that start together, one gets all.
        for name in sorted({f"lit-embed-{kind}-{name}.lock" for name in names} - _held.keys()):
            new[name] = taken.enter_context(_lock(kind, pathlib.Path(tempfile.gettempdir()) / name, len(names)))
        taken.pop_all()
    _held.update(new)


def device_names(ordinals: Sequence[int]) -> list[str]:
    """Returns names of accelerators by which every process of this machine knows them.

    Args:
      ordinals: their numbers in this process.
    """
    try:
        driver = ctypes.CDLL("libcuda.so.1")
        return [_identifier(driver, ordinal) for ordinal in ordinals]
    except (OSError, AttributeError):  # no driver of NVIDIA's, or one of before 2021
        listed = next((value for name in _VISIBLE if (value := os.environ.get(name))), "")
        visible = [name.strip().replace("/", "-") for name in listed.split(",") if name.strip()]
        return [visible[ordinal] if ordinal < len(visible) else str(ordinal) for ordinal in ordinals]


def _identifier(driver: ctypes.CDLL, ordinal: int) -> str:
    """Returns the identifier that NVIDIA's driver gives a GPU, or a part of one (MIG)."""
    device, identifier = ctypes.c_int(), (ctypes.c_ubyte * 16)()
    for status in (
        driver.cuInit(0),
        driver.cuDeviceGet(ctypes.byref(device), ctypes.c_int(ordinal)),
        driver.cuDeviceGetUuid_v2(ctypes.byref(identifier), device),
    ):
        if status:
            raise OSError(f"libcuda.so.1: error {status} for GPU {ordinal}")
    return bytes(identifier).hex()


def _lock(kind: str, path: pathlib.Path, num_devices: int) -> TextIO:
    kinds = f"{kind.upper()}s"
    try:
        return lock_file(path)
    except BlockingIOError:
        wanted = f"one of the {kinds} that" if num_devices > 1 else f"the {kind.upper()} that"
        raise DeviceError(
            f"another process of this machine embeds on {wanted} this one found ({path} is locked): one process drives "
            f"all {kinds} of a machine. Wait for its end, or give each job its own: CUDA_VISIBLE_DEVICES=0,1,2,3 for "
            "one, 4,5,6,7 for another. --direct_num_workers has no use here; on Dataflow, give "
            "--experiments=no_use_multiple_sdk_containers"
        ) from None
    except PermissionError as error:
        raise DeviceError(
            f"{path}: is another user's, and cannot be read: remove it, or set TMPDIR to another folder"
        ) from error
