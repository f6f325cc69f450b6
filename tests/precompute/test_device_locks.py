"""Locks on accelerators, between real processes; the GPUs and their driver are simulated."""

import ctypes
import os
import pathlib
import subprocess
import sys

import pytest

from lit_precompute.precompute import device_locks
from lit_precompute.precompute.device_locks import DeviceError, device_names, take

ROOT = pathlib.Path(__file__).parents[2]
HOLD = "import sys, time; from lit_precompute.precompute.device_locks import take; take('gpu', sys.argv[1:])\n"


def _hold(folder, *names):
    """Returns a process that has taken GPUs."""
    holder = subprocess.Popen(
        [sys.executable, "-c", f"{HOLD}print('held', flush=True); time.sleep(600)", *names],
        env=os.environ | {"TMPDIR": str(folder)},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout.readline() == "held\n"
    return holder


def test_a_device_belongs_to_one_process_until_that_one_is_killed(temporary):
    holder = _hold(temporary, "0", "1")
    try:
        with pytest.raises(DeviceError, match=r"another process .* one of the GPUs .*lit-embed-gpu-1\.lock is locked"):
            take("gpu", ["1", "2"])
        take("gpu", ["2", "3"])  # 2 was not kept: all or none
        take("gpu", ["2", "3"])  # this process has them
    finally:
        holder.kill()
        holder.communicate(timeout=60)
    take("gpu", ["0", "1"])


def test_a_lock_of_another_user_that_cannot_be_read_is_an_error_in_words(temporary, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(device_locks, "lock_file", refuse)
    with pytest.raises(DeviceError, match=r"lit-embed-gpu-0\.lock: is another user's, .* set TMPDIR"):
        take("gpu", ["0"])


@pytest.mark.parametrize(
    ("variable", "value", "names"),
    [
        ("CUDA_VISIBLE_DEVICES", "", ["0", "1"]),
        ("CUDA_VISIBLE_DEVICES", "4, 6", ["4", "6"]),
        ("CUDA_VISIBLE_DEVICES", "GPU-8932f937,MIG-1/2", ["GPU-8932f937", "MIG-1-2"]),
        ("ROCR_VISIBLE_DEVICES", "7", ["7", "1"]),
    ],
)
def test_names_without_a_driver_are_those_of_the_environment(monkeypatch, variable, value, names):
    monkeypatch.setattr(ctypes, "CDLL", _no_driver)
    for each in ("CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "TPU_VISIBLE_DEVICES"):
        monkeypatch.delenv(each, raising=False)
    monkeypatch.setenv(variable, value)
    assert device_names([0, 1]) == names


def _no_driver(name):
    raise OSError(f"{name}: cannot open shared object file")


class FakeDriver:
    """CUDA's driver with two GPUs, whose identifiers end with 10 and 11."""

    def __init__(self, status=0):
        self.status = status

    def cuInit(self, flags):  # noqa: N802 -- the driver's names
        return self.status

    def cuDeviceGet(self, device, ordinal):  # noqa: N802
        device._obj.value = 10 + ordinal.value
        return 0

    def cuDeviceGetUuid_v2(self, identifier, device):  # noqa: N802
        identifier._obj[15] = device.value
        return 0


def test_jobs_whose_gpus_are_all_numbered_from_0_have_the_drivers_names(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: FakeDriver())
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    assert device_names([0, 1]) == ["0" * 31 + "a", "0" * 31 + "b"]
    monkeypatch.setattr(ctypes, "CDLL", lambda name: FakeDriver(status=100))  # no GPU
    assert device_names([1]) == ["1"]
