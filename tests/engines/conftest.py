"""Tests of real engines run by `make engines`, in an environment of their own; `make test` does not collect them."""

import importlib.util
import os
import pathlib

import pytest

collect_ignore_glob = [] if importlib.util.find_spec("pyspark") else ["test_*.py"]
ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="session", autouse=True)
def towers_of_the_tests(tmp_path_factory):
    """Lets workers, which inherit the environment, import the tests and a tower of a user's own."""
    folder = tmp_path_factory.mktemp("towers")
    (folder / "my_towers.py").write_text("from tests.towers import tiny_tower\ntiny_tower.register_tiny_tower()\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(folder), str(ROOT)]))
        yield


@pytest.fixture(scope="session")
def alone(tmp_path_factory):
    """Returns a source and the dataset that a job in this process makes of it."""
    from tests.engines.jobs import embed
    from tests.pipelines.embed.making import write_source
    from tests.towers.tiny_tower import write_weights

    folder = tmp_path_factory.mktemp("alone")
    table = write_source(folder / "source", 40)
    write_weights(folder / "weights.npz")
    embed(table, folder / "embedded")
    return table, folder / "embedded"
