"""`lit-embed run` with a worker that shares no disk with it: source on S3, weights and output on GCS, a user's tower.

What is embedded here and what that worker embeds are the same files.
"""

import io
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from lit_precompute.pipelines.engines.staging import staging_flags
from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.schemas.storage import JOB_REPORT_NAME, open_folder
from tests.isolation.worker import isolated_worker

pytestmark = pytest.mark.slow

HERE = pathlib.Path(__file__).parent
TOWER = "my_towers:test-means"
COLOURS = {"black": (0, 0, 0), "white": (255, 255, 255), "red": (255, 0, 0)}


@pytest.fixture
def launcher(tmp_path, monkeypatch):
    shutil.copy(HERE / "users/my_towers.py", tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def _write_inputs(source, weights):
    """Writes a table with an image that is missing, the images, and the weights."""
    rows = ["path\ttext", *(f"{name}.png\tall {name}" for name in COLOURS), "none.png\tnothing"]
    open_folder(source).write("captions.tsv", ("\n".join(rows) + "\n").encode())
    for name, colour in COLOURS.items():
        stream = io.BytesIO()
        Image.new("RGB", (20, 30), colour).save(stream, "PNG")
        open_folder(source).write(f"{name}.png", stream.getvalue())
    stream = io.BytesIO()
    ones = {"params/head/kernel": np.ones((3, 4), np.float32), "params/head/bias": np.ones(4, np.float32)}
    np.savez(stream, **ones)
    open_folder(weights).write("weights.npz", stream.getvalue())


def _embed(launcher, source, weights, output, *flags):
    command = [pathlib.Path(sys.executable).parent / "lit-embed", "run", "--source", f"{source}/captions.tsv"]
    command += ["--tower", TOWER, "--weights", f"{weights}/weights.npz", "--output", output, "--rows-per-shard", 2]
    command += ["--batch-size", 2, "--dtype", "float32", *flags]
    return subprocess.run(list(map(str, command)), cwd=launcher, capture_output=True, text=True, check=False)


def test_an_isolated_worker_writes_what_this_machine_writes(launcher, gcs_server, s3_server):
    with gcs_server.selected(), s3_server.selected():
        source, store = s3_server.make_bucket(), gcs_server.make_bucket()
        _write_inputs(source, store)
        wheels = [
            flag.partition("=")[2] for flag in staging_flags([], tower=TOWER, urls=[source, store]) if "whl" in flag
        ]
        with isolated_worker(wheels, hidden=[launcher]) as (port, log):
            where = ("--runner=PortableRunner", "--job_endpoint=embed", "--environment_type=EXTERNAL")
            flags = (*where, f"--environment_config=localhost:{port}")
            ended = _embed(launcher, source, store, f"{store}/away", *flags)
            assert ended.returncode == 0, ended.stderr + log.read_text(errors="replace")[-4000:]
        assert _embed(launcher, source, store, f"{store}/here").returncode == 0
        away, here = open_folder(f"{store}/away"), open_folder(f"{store}/here")
        assert sorted(away.find()) == sorted(here.find())
        assert [name for name in away.find() if away.read(name) != here.read(name)] == [JOB_REPORT_NAME]
        with EmbeddingDataset.open(f"{store}/away") as dataset:
            rows = dataset.rows(0, 3, ["key", "embedding"])
        found = dict(zip(rows["key"].to_pylist(), np.asarray(rows["embedding"])[:, 0].tolist(), strict=True))
    # Channels are scaled to [-1, 1]; the tower adds them up, and one.
    assert found == pytest.approx({"black.png": -2.0, "white.png": 4.0, "red.png": 0.0}, abs=1e-6)
