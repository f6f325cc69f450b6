"""The devices of a process that embeds."""

import subprocess
import sys

import pytest

from lit_precompute.precompute.machine import DeviceError, check_device


def test_a_device_that_is_not_there_is_refused_with_what_to_do():
    check_device("cpu")
    message = r"^--device tpu was asked for, and JAX found only \d devices? of kind cpu; install lit-precompute\[tpu\]"
    with pytest.raises(DeviceError, match=message):
        check_device("tpu")


def test_a_platform_that_jax_does_not_have_is_one_sentence(monkeypatch):
    """JAX has chosen its devices in this process already, so that another one is asked."""
    monkeypatch.setenv("JAX_PLATFORMS", "cuda")
    code = """if True:
        from lit_precompute.precompute.machine import DeviceError, check_device
        try:
            check_device("auto")
        except DeviceError as error:
            print(error)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("JAX finds no device with JAX_PLATFORMS=cuda: ")
    assert len(done.stdout.splitlines()) == 1
