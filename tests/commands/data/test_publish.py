"""lit-data publish: a dry run, and a dataset on a hub on loopback that is then read and verified there."""

import os
import subprocess
import sys

import pytest

from lit_precompute.commands import data
from tests.schemas.making import files_of, write
from tests.stores.hub import fake_hub


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    path = tmp_path_factory.mktemp("dataset")
    write(path, 50)
    return path


def _run(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["lit-data", "publish", *map(str, arguments)])
    with pytest.raises(SystemExit) as caught:
        data.main()
    said = capsys.readouterr()
    return caught.value.code, " ".join((said.err + said.out).split())


def test_a_dry_run_lays_out_the_folder(monkeypatch, capsys, dataset, tmp_path):
    folder = tmp_path / "folder"
    arguments = [dataset, "hf://datasets/me/small", "--dry-run", "--folder", folder, "--card.license", "cc-by-4.0"]
    status, said = _run(monkeypatch, capsys, *arguments)
    assert status == 0
    assert f"{folder}: {len(files_of(folder))} files, " in said
    assert said.endswith("MB; nothing was sent")
    assert "license: cc-by-4.0" in (folder / "README.md").read_text()


def test_the_repository_may_be_given_as_output(monkeypatch, capsys, dataset, tmp_path):
    arguments = ["--output", "hf://datasets/me/small", "--dry-run", "--folder", tmp_path / "folder", "--no-twin"]
    assert _run(monkeypatch, capsys, dataset, *arguments)[0] == 0
    assert "me/small" in (tmp_path / "folder/README.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["hf://datasets/me/small", "--dry-run"], "--dry-run needs --folder"),
        (["--dry-run", "--folder", "x"], "--output is missing: hf://datasets/OWNER/NAME"),
        (["gs://bucket/small"], "gs://bucket/small: must be hf://datasets/OWNER/NAME"),
    ],
)
def test_wrong_input(monkeypatch, capsys, dataset, arguments, words):
    status, said = _run(monkeypatch, capsys, dataset, *arguments)
    assert status == 2
    assert words in said


@pytest.mark.slow
def test_a_published_dataset_is_on_the_hub(dataset, tmp_path):
    with fake_hub() as hub:
        environment = os.environ | {
            "HF_ENDPOINT": hub.url,
            "HF_TOKEN": "hf_test",
            "HF_HUB_DISABLE_XET": "1",
            "HF_HOME": str(tmp_path / "home"),
        }
        command = [sys.executable, "-m", "lit_precompute", "data", "publish", str(dataset), "hf://datasets/me/small"]
        run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=900)
        assert run.returncode == 0, run.stderr
        assert run.stderr.splitlines()[-1] == "24/24 files on the hub"
        assert f"all as sent, in commit {hub.head('me/small')}" in run.stdout
        there = hub.repositories["me/small"]
        assert {name: there[name] for name in files_of(dataset)} == files_of(dataset)
