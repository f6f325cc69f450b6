"""Planning: the batch size, and what is tried before a job begins."""

import re

import pytest

from lit_precompute.pipelines.embed.directory.job_directory import JobDirectory
from lit_precompute.pipelines.embed.workers import preparing
from lit_precompute.schemas import EmbeddingDataset
from tests.pipelines.embed.making import arguments, run, write_source

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*:FutureWarning"),
]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_source(tmp_path_factory.mktemp("source"))


def _not_yet(*_, **__):
    raise RuntimeError("not yet")


def test_a_device_that_is_not_there_is_wrong_input_and_leaves_nothing(tmp_path, monkeypatch, source, capsys):
    assert run(monkeypatch, *arguments(source, tmp_path / "out", device="tpu")) == 2
    assert capsys.readouterr().err.startswith("error: --device tpu was asked for, and JAX found only")
    assert not (tmp_path / "out").exists()


def test_a_batch_size_that_is_not_given_is_chosen_once_and_kept(tmp_path, monkeypatch, source, capsys):
    command = arguments(source, tmp_path / "out")
    place = command.index("--batch-size")
    del command[place : place + 2]
    publish = JobDirectory.publish
    monkeypatch.setattr(JobDirectory, "publish", _not_yet)
    assert run(monkeypatch, *command) == 1
    (chosen,) = re.findall(r"batch size (\d+), by trial \(images/s at 16: ", capsys.readouterr().out)
    monkeypatch.setattr(JobDirectory, "publish", publish)

    def probe_again(*_, **__):
        raise AssertionError("the job has a batch size already")

    monkeypatch.setattr(preparing, "probe", probe_again)
    assert run(monkeypatch, *command) == 0  # resumes
    assert run(monkeypatch, *command) == 0  # already finished
    with EmbeddingDataset.open(tmp_path / "out") as dataset:
        assert dataset.manifest.job["batch_size"] == int(chosen)
    assert run(monkeypatch, *command, "--batch-size", str(int(chosen) + 1)) == 2
    assert f"--batch-size is {chosen} there" in capsys.readouterr().err
