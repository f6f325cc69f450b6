"""What a process checks before it embeds; other devices than those of the CPU are simulated."""

import subprocess
import sys

import jax
import pytest

from lit_precompute.precompute.device_locks import DeviceError
from lit_precompute.precompute.machine import check_device, take_found_devices


def test_what_is_there_is_taken():
    check_device("auto")
    check_device("cpu", num_devices=2)  # as tests/conftest.py sets


@pytest.mark.parametrize(
    ("device", "num_devices", "message"),
    [
        ("gpu", None, r"--device gpu was asked for, and JAX found only 2 devices of kind cpu; install .*\[cuda\]"),
        ("auto", 8, r"8 devices were asked for \(--num-devices\), and JAX found 2 devices of kind cpu; a CPU is one"),
    ],
)
def test_other_devices_are_refused(device, num_devices, message):
    with pytest.raises(DeviceError, match=message):
        check_device(device, num_devices)


@pytest.mark.parametrize(
    ("num_devices", "message"), [(1, "1 device was .* selects those"), (8, "8 devices .*nvidia-smi")]
)
def test_another_number_of_gpus_is_refused(monkeypatch, num_devices, message):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    with pytest.raises(DeviceError, match=message):
        check_device("gpu", num_devices)


def test_a_cpu_beside_an_accelerator_is_refused_unless_it_is_asked_for(monkeypatch, tmp_path):
    monkeypatch.setattr("lit_precompute.precompute.machine._SIGNS", {"gpu": (str(tmp_path),)})
    monkeypatch.setenv("JAX_PLATFORMS", "")
    with pytest.raises(DeviceError, match=r"this machine has a GPU, but JAX found only .* --device cpu embeds"):
        check_device("auto")
    check_device("cpu")
    take_found_devices()


def test_accelerators_are_taken(monkeypatch, temporary):
    monkeypatch.setattr(jax, "default_backend", lambda: "tpu")
    check_device("auto")
    assert {path.name for path in temporary.iterdir()} == {"lit-embed-tpu-0.lock", "lit-embed-tpu-1.lock"}


def test_a_platform_that_jax_does_not_have_is_one_sentence(monkeypatch):
    """JAX has chosen its devices in this process already, so that another one is asked."""
    monkeypatch.setenv("JAX_PLATFORMS", "cuda")
    code = """if True:
        from lit_precompute.precompute.device_locks import DeviceError
        from lit_precompute.precompute.machine import check_device, take_found_devices
        try:
            check_device("auto")
        except DeviceError as error:
            print(error)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("JAX finds no device with JAX_PLATFORMS=cuda: ")
    assert len(done.stdout.splitlines()) == 1


def test_what_only_counts_starts_no_accelerator(monkeypatch):
    """Here JAX would fail if it looked for the one that it is told to use."""
    monkeypatch.setenv("JAX_PLATFORMS", "cuda")
    code = """if True:
        from lit_precompute.precompute.machine import use_no_accelerator
        use_no_accelerator()
        import jax
        print(jax.devices())
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "cpu" in done.stdout.lower()
