"""The acceptance test of a job away from the launcher: its worker shares no disk with it.

The worker reads images from a fake S3, weights from a fake GCS, and writes to GCS, on loopback; it has this package and
the user's tower from the wheels that the job stages, and other packages only as far as those wheels require them.
"""

import io
import json
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from lit_precompute.pipelines.engines.staging import staging_flags
from lit_precompute.schemas.storage import open_folder
from tests.isolation.worker import isolated_worker

pytestmark = pytest.mark.slow

HERE = pathlib.Path(__file__).parent
COLOURS = {"black.png": (0, 0, 0), "white.png": (255, 255, 255), "red.png": (255, 0, 0)}
TOWER = "my_towers:test-means"
LAUNCHER = """
import json, sys
import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from lit_precompute.pipelines.engines.staging import staging_flags
import my_towers

given = json.load(sys.stdin)
flags = given["flags"] + staging_flags(given["flags"], tower=given["tower"], urls=given["urls"])
with beam.Pipeline(options=PipelineOptions(flags)) as pipeline:
    units = pipeline | beam.Create(given["images"]) | beam.Reshuffle()
    units | beam.ParDo(my_towers.EmbedUrls(given["weights"], given["output"], given["hidden"]))
"""


@pytest.fixture
def launcher(tmp_path, monkeypatch):
    """The launcher's folder, with the user's module."""
    shutil.copy(HERE / "users/my_towers.py", tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def _upload(folder, name, data):
    assert open_folder(folder).create(name, data)


def _flags(port):
    where = ("--runner=PortableRunner", "--job_endpoint=embed", "--environment_type=EXTERNAL")
    return [*where, f"--environment_config=localhost:{port}"]


def test_a_worker_without_the_launchers_disk_embeds(launcher, gcs_server, s3_server):
    with gcs_server.selected(), s3_server.selected():
        source, output = s3_server.make_bucket(), gcs_server.make_bucket()
        for name, colour in COLOURS.items():
            stream = io.BytesIO()
            Image.new("RGB", (20, 30), colour).save(stream, "PNG")
            _upload(source, name, stream.getvalue())
        stream = io.BytesIO()
        ones = {"params/head/kernel": np.ones((3, 4), np.float32), "params/head/bias": np.ones(4, np.float32)}
        np.savez(stream, **ones)
        _upload(output, "weights.npz", stream.getvalue())
        urls = [source, output]
        wheels = [flag.partition("=")[2] for flag in staging_flags([], tower=TOWER, urls=urls) if ".whl" in flag]
        hidden = [str(HERE.parents[1]), str(launcher), sys.prefix]
        with isolated_worker(wheels) as (port, log):
            given = {
                "flags": _flags(port),
                "tower": TOWER,
                "urls": urls,
                "images": [f"{source}/{name}" for name in COLOURS],
                "weights": f"{output}/weights.npz",
                "output": f"{output}/embedded",
                "hidden": hidden,
            }
            command = [sys.executable, "-c", LAUNCHER]
            ended = subprocess.run(
                command,
                input=json.dumps(given),
                cwd=launcher,
                capture_output=True,
                text=True,
                env=os.environ,
                check=False,
            )
            assert ended.returncode == 0, ended.stderr[-4000:] + log.read_text(errors="replace")[-4000:]
        folder = open_folder(f"{output}/embedded")
        said = {name: json.loads(folder.read(f"{name}.json")) for name in COLOURS}
    assert {name: one["embedding"] for name, one in said.items()} == {
        "black.png": [1.0] * 4,
        "white.png": [4.0] * 4,
        "red.png": [2.0] * 4,
    }
    (one, *_) = said.values()
    root = log.parent
    assert all(one[name].startswith(f"{root}/image/lib/") for name in ("package", "module"))
    assert (one["prefix"], one["cwd"], one["visible"]) == (f"{root}/image", f"{root}/work", [])
