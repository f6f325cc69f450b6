"""The machine of a process that embeds: its devices are those that were asked for, and no other process has them."""

import os
import pathlib
from typing import Literal

from lit_precompute.precompute.device_locks import DeviceError, take_devices
from lit_precompute.schemas.wording import counted

Device = Literal["auto", "cpu", "gpu", "tpu"]
# What the drivers of accelerators leave on a machine that has them.
_SIGNS = {"gpu": ("/dev/nvidia0", "/dev/kfd"), "tpu": ("/dev/accel0", "/dev/vfio/0")}


def check_device(device: Device, num_devices: int | None = None) -> None:
    """Checks this process's devices, and takes its accelerators for itself.

    JAX falls back to CPUs without an error if an accelerator's driver or package is missing: a job would take weeks.

    Args:
      device: what was asked for; "auto" takes what there is, but no CPU where an accelerator is.
      num_devices: how many; None takes what there is.

    Raises:
      DeviceError: JAX found other devices, or another process of this machine embeds on them.
    """
    import jax

    found = _backend(device)
    if device not in ("auto", found):
        raise DeviceError(f"--device {device} was asked for, and JAX found only {_in_words()}; {_how_to(device)}")
    if device == "auto" and found == "cpu" and (kind := _sign_of_accelerator()):
        raise DeviceError(
            f"this machine has a {kind.upper()}, but JAX found only {_in_words()}; {_how_to(kind)}; "
            "--device cpu embeds on the CPU all the same"
        )
    if num_devices is not None and num_devices != jax.local_device_count():
        raise DeviceError(
            f"{counted(num_devices, 'device')} {'was' if num_devices == 1 else 'were'} asked for (--num-devices), and "
            f"JAX found {_in_words()}; {_how_to_have(num_devices, found)}"
        )
    if found != "cpu":
        take_devices(found)


def _backend(device: Device) -> str:
    import jax

    try:
        return jax.default_backend()
    except (RuntimeError, AssertionError) as error:  # JAX asserts it where JAX_PLATFORMS=cuda and its plugin is missing
        platforms = os.environ.get("JAX_PLATFORMS", "")
        why = str(error) or _how_to(device if device in _SIGNS else "gpu")
        raise DeviceError(f"JAX finds no device with JAX_PLATFORMS={platforms}: {why}") from error


def take_found_devices() -> None:
    """As `check_device`, but takes whatever JAX finds, a CPU on a machine with an accelerator, too.

    Raises:
      DeviceError: JAX finds none, or another process of this machine embeds on them.
    """
    check_device("cpu" if _backend("auto") == "cpu" else "auto")


def use_no_accelerator() -> None:
    """Keeps JAX on the CPU from here on: what is only counted must not take an accelerator's memory from a job."""
    import jax

    jax.config.update("jax_platforms", "cpu")


def device_kind() -> str:
    """Returns what kind of devices this process has, such as "cpu" or "NVIDIA H100 80GB HBM3"."""
    import jax

    return jax.devices()[0].device_kind


def num_devices() -> int:
    """Returns how many devices this process has."""
    import jax

    return jax.local_device_count()


def _in_words() -> str:
    import jax

    devices = jax.local_devices()
    return f"{counted(len(devices), 'device')} of kind {devices[0].device_kind}"


def _how_to(device: str) -> str:
    extra = {"gpu": "cuda", "tpu": "tpu"}.get(device)
    return f"install lit-precompute[{extra}] and the driver there" if extra else "unset JAX_PLATFORMS"


def _how_to_have(num_devices: int, found: str) -> str:
    import jax

    if found == "cpu":
        return "a CPU is one device, however many cores it has"
    if num_devices < jax.local_device_count():
        return "CUDA_VISIBLE_DEVICES selects those that a process uses"
    return "see whether the driver shows them all (nvidia-smi) and what CUDA_VISIBLE_DEVICES hides"


def _sign_of_accelerator() -> str | None:
    if "cpu" in os.environ.get("JAX_PLATFORMS", "").split(","):
        return None  # someone has asked for it
    places = ((kind, pathlib.Path(path)) for kind, paths in _SIGNS.items() for path in paths)
    return next((kind for kind, path in places if path.exists()), None)
