"""The example of a user's own pipeline, run as it is written."""

import os
import pathlib
import re
import shlex
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from lit_precompute.commands.beam_flags import check_beam_flags
from lit_precompute.pipelines.engines.dataflow import dataflow_flags

pytestmark = pytest.mark.slow
ROOT = pathlib.Path(__file__).parents[2]
COLOURS = {"red": (250, 10, 10), "rust": (240, 20, 14), "green": (10, 250, 10), "blue": (10, 10, 250)}


@pytest.fixture
def images(tmp_path):
    """A table of coloured squares, two of them alike, with an image that is missing; and a tower of mean colours."""
    for name, colour in COLOURS.items():
        Image.new("RGB", (20, 30), colour).save(tmp_path / f"{name}.png")
    rows = ["path\ttext", *(f"{name}.png\tall {name}" for name in COLOURS), "none.png\tnothing"]
    (tmp_path / "captions.tsv").write_text("\n".join(rows) + "\n")
    kernel = {"params/head/kernel": np.eye(3, 4, dtype=np.float32), "params/head/bias": np.zeros(4, np.float32)}
    np.savez(tmp_path / "weights.npz", **kernel)
    return tmp_path


def test_images_that_look_alike_are_found(images):
    command = [sys.executable, str(ROOT / "examples/near_duplicates.py"), "--table", "captions.tsv"]
    command += ["--tower", "my_towers:test-means", "--weights", "weights.npz", "--output", "found"]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "tests/isolation/users")}
    ended = subprocess.run(
        [*command, "--runner=FnApiRunner"], cwd=images, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    (path,) = (images / "found").glob("embeddings-*.parquet")
    found = dict(zip(*pq.read_table(path).to_pydict().values(), strict=True))
    assert found.keys() == {f"{name}.png" for name in COLOURS}
    scaled = {f"{name}.png": np.array([*colour, 0]) / 127.5 - [1, 1, 1, 0] for name, colour in COLOURS.items()}
    for key, vector in scaled.items():
        np.testing.assert_allclose(found[key], vector, atol=1e-6)
    red, rust = scaled["red.png"], scaled["rust.png"]
    cosine = red @ rust / np.linalg.norm(red) / np.linalg.norm(rust)
    (path,) = (images / "found").glob("pairs-*.tsv")
    assert path.read_text() == f"{cosine:.4f}\tred.png\trust.png\n"
    (path,) = (images / "found").glob("failures-*.tsv")
    assert path.read_text() == "none.png\tmissing\n"


def test_the_commands_of_the_page_are_ones_that_the_example_and_dataflow_take():
    page = (ROOT / "docs/python.md").read_text(encoding="utf-8")
    commands = re.findall(r"^    python (examples/(?:.*\\\n)*.*)$", page, re.MULTILINE)
    here, dataflow = (shlex.split(command.replace("\\\n", " ")) for command in commands)
    assert " ".join(here) in (ROOT / "examples/near_duplicates.py").read_text(encoding="utf-8")
    own = {"--table", "--tower", "--output", "--weights"}
    assert {part for part in here if part.startswith("--")} <= own
    flags = dataflow[1 + 2 * len(own) :]
    check_beam_flags(flags)
    places = {name: dataflow[dataflow.index(name) + 1] for name in ("--table", "--output", "--weights")}
    assert dataflow_flags(flags, places=places) == ["--disk_size_gb=50"]  # the other is the page's own
