"""Eight accelerators of one machine, simulated by eight devices of the CPU: one process drives all of them."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

from lit_precompute.precompute.device_locks import take
from lit_precompute.schemas import EmbeddingDataset
from tests.pipelines.embed.making import arguments, write_source
from tests.schemas.making import files_of

ROOT = pathlib.Path(__file__).parents[3]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_source(tmp_path_factory.mktemp("source"))


def _start(folder, command, *, num_devices, kind="gpu", **environment):
    """Starts lit-embed on simulated devices, with a temporary folder of its own."""
    (folder / "temporary").mkdir(exist_ok=True)
    here = {
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={num_devices}",
        "PYTHONPATH": str(ROOT),
        "TMPDIR": str(folder / "temporary"),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "tests.pipelines.embed.simulated", kind, *command],
        cwd=folder,
        env=os.environ | here | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _run(*given, **settings):
    """Returns the exit status, what was said, and the devices' shares of each batch."""
    process = _start(*given, **settings)
    said, errors = process.communicate(timeout=300)
    *lines, shares = said.splitlines()
    return process.returncode, "\n".join([*lines, errors]), json.loads(shares)


def _shards(folder):
    """Returns the bytes of the shards' files; the manifest differs in its batch size."""
    return {name: data for name, data in files_of(folder).items() if name != "manifest.json"}


def test_eight_devices_share_each_batch_and_write_what_one_device_writes(tmp_path, source):
    """40 images in shards of 16: the last batches are short, and 20 does not divide by 8. Each device gets 3."""
    made = {}
    for num_devices, batch_size in ((8, 20), (1, 3)):
        command = arguments(
            source, tmp_path / str(num_devices), rows_per_shard=20, batch_size=batch_size, dtype="float32"
        )
        status, said, shares = _run(tmp_path, [*command, "--num-devices", str(num_devices)], num_devices=num_devices)
        assert status == 0, said
        made[num_devices] = shares
    assert made[8] and all(rows == {str(device): 3 for device in range(8)} for rows in made[8])
    assert made[1] and all(rows == {"0": 3} for rows in made[1])
    assert _shards(tmp_path / "8") == _shards(tmp_path / "1")


@pytest.fixture
def four_gpus_taken(tmp_path, monkeypatch):
    """This process has four of eight GPUs until the test ends."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("lit_precompute.precompute.device_locks._held", held := {})
    take("gpu", ["4", "5", "6", "7"])
    yield
    for file in held.values():
        file.close()


@pytest.mark.usefixtures("four_gpus_taken")
def test_a_second_process_is_refused_and_one_with_devices_of_its_own_is_not(tmp_path, source):
    """The other four are embedded on, with a batch size by trial."""
    command = arguments(source, tmp_path / "out")
    place = command.index("--batch-size")
    del command[place : place + 2]
    status, said, shares = _run(tmp_path, command, num_devices=8)
    assert (status, shares) == (2, [])
    assert "error: another process of this machine embeds on one of the GPUs that this one found" in said
    assert "Traceback" not in said and not (tmp_path / "out").exists()
    status, said, shares = _run(tmp_path, command, num_devices=4, CUDA_VISIBLE_DEVICES="0,1,2,3")
    assert status == 0, said
    assert "batch size 256, by trial (images/s at 256: " in said
    assert "a batch of 256 on 4 devices is larger than --rows-per-shard 8" in said
    assert {tuple(rows.values()) for rows in shares} == {(64, 64, 64, 64)}
    with EmbeddingDataset.open(tmp_path / "out") as dataset:
        assert dataset.manifest.job["batch_size"] == 256
