"""The environment of Dataflow's tests, and jobs submitted in it."""

import json
import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parents[3]


@pytest.fixture(scope="session")
def dataflow_bin():
    """The programs of the environment of requirements/dataflow.txt."""
    folder = ROOT / ".venv-dataflow/bin"
    if not folder.exists():
        pytest.fail("Dataflow's environment is missing; `make test` sets it up, as does `make dataflow`", pytrace=False)
    return folder


@pytest.fixture(scope="module")
def submit_all(dataflow_bin, tmp_path_factory):
    """Submits jobs (`submitting`) in one process, in a folder with a module `my_towers`; returns what it printed."""
    folder = tmp_path_factory.mktemp("launcher")
    (folder / "my_towers.py").write_text("import numpy\n")

    def submit_all(cases):
        ended = subprocess.run(
            [dataflow_bin / "python", "-m", "tests.pipelines.engines.submitting"],
            input=json.dumps(cases),
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)

    return submit_all
