"""Only the shards that are wrong are embedded again, and only the same bytes replace them."""

import dataclasses
import shutil
import sys

import pytest

from lit_precompute.commands import data
from lit_precompute.pipelines.embed import embedding_again
from lit_precompute.pipelines.embed.embedding_again import embed_again
from lit_precompute.pipelines.embed.job import JobError
from lit_precompute.pipelines.embed.launch import Launch
from lit_precompute.schemas import DatasetError, Environment, Manifest
from lit_precompute.schemas.checking.verification import verify
from lit_precompute.schemas.sharing.copying import copy_dataset
from lit_precompute.schemas.sharing.part import Part
from lit_precompute.schemas.sharing.wrong_files import find_wrong_files
from lit_precompute.schemas.storage import open_folder
from tests.pipelines.embed.making import tiny_options
from tests.schemas.making import files_of, write
from tests.towers.tiny_tower import write_weights


@pytest.fixture(scope="module")
def embedded(tmp_path_factory):
    """A dataset that a job has made, with two views and int8, and its options."""
    options = dataclasses.replace(tiny_options(tmp_path_factory.mktemp("job")), views=2, vector_type="int8")
    Launch(options).run()
    return options


@pytest.fixture
def dataset(embedded, tmp_path):
    """A copy of it, to be damaged, and its weights."""
    copy_dataset(embedded.output, tmp_path / "d")
    return tmp_path / "d", embedded.tower.weights


def wrong_files(path):
    return list(find_wrong_files(open_folder(str(path)), Manifest.read(path), 2))


def _damage(path):
    """Damages three files of two shards, of 45 rows in 6; returns their names."""
    names = sorted(file for file in files_of(path) if "part-00001" in file or "part-00004" in file)
    chosen = [name for name in names if name.startswith(("embeddings/", "embeddings-view2", "captions"))][:4]
    (path / chosen[0]).unlink()
    for name in chosen[1:]:
        content = bytearray((path / name).read_bytes())
        content[50] ^= 1
        (path / name).write_bytes(content)
    return chosen


def test_the_bytes_are_those_of_the_manifest(dataset):
    path, weights = dataset
    files = files_of(path)
    names = _damage(path)
    wrong = wrong_files(path)
    assert sorted(file.name for file in wrong) == sorted(names)
    shown = []
    assert embed_again(str(path), wrong, weights=weights, report=lambda *done: shown.append(done)) == {}
    assert shown == [(0, 2), (1, 2), (2, 2)]
    assert files_of(path) == files
    assert verify(path) == []
    assert sorted(each.name for each in path.iterdir() if each.is_dir()) == sorted(
        {name.partition("/")[0] for name in files if "/" in name}
    )


def test_from_the_command_line(dataset, monkeypatch, capsys):
    path, weights = dataset
    files = files_of(path)
    _damage(path)
    monkeypatch.setattr(sys, "argv", ["lit-data", "repair", str(path), "--embed", "--weights", weights])
    with pytest.raises(SystemExit) as caught:
        data.main()
    said, progress = capsys.readouterr()
    assert caught.value.code == 0
    assert "2/2 shards embedded again" in progress
    assert "d: 4 files mended" in said
    assert files_of(path) == files


def test_bytes_that_differ_are_named_with_what_differs(dataset, monkeypatch):
    path, weights = dataset
    (path / "embeddings/part-00001.arrow").unlink()
    monkeypatch.setattr(
        embedding_again, "transfer", lambda *given: (_ for _ in ()).throw(DatasetError("SHA-256 must be ..."))
    )
    environment = Environment(device="NVIDIA H100", libraries={"jax": "9"})
    put = embedding_again._put

    def put_elsewhere(scratch, output, manifest, wrong, _):
        return put(scratch, output, manifest, wrong, environment)

    monkeypatch.setattr(embedding_again, "_put", put_elsewhere)
    (words,) = embed_again(str(path), wrong_files(path), weights=weights).values()
    assert (
        "d/embeddings/part-00001.arrow: embedded again, shard 1 has other bytes: device is 'cpu' in the dataset"
        in words
    )
    assert "'NVIDIA H100' here" in words
    assert not (path / "embeddings/part-00001.arrow").exists()


def test_another_tower_is_refused(dataset, tmp_path):
    path, _ = dataset
    (path / "embeddings/part-00001.arrow").unlink()
    other = write_weights(tmp_path / "other.npz", seed=1)
    with pytest.raises(JobError, match=r"the tower here is another one: weights_sha256 is .* give its --weights"):
        embed_again(str(path), wrong_files(path), weights=other)


def test_a_source_that_was_moved_is_given_and_one_that_changed_is_refused(dataset, embedded, tmp_path):
    path, weights = dataset
    files = files_of(path)
    moved = tmp_path / "moved"
    shutil.copytree(tmp_path.parent / embedded.source.path.rpartition("/")[0], moved)
    (path / "embeddings/part-00001.arrow").unlink()
    assert embed_again(str(path), wrong_files(path), weights=weights, source=str(moved / "captions.tsv")) == {}
    assert files_of(path) == files
    (path / "embeddings/part-00001.arrow").unlink()
    table = moved / "captions.tsv"
    table.write_text(table.read_text().replace("text of 001", "words of 001"))
    with pytest.raises(JobError, match=r"its source is not at .*captions.tsv as it was when it was embedded; give it"):
        embed_again(str(path), wrong_files(path), weights=weights, source=str(table))


def test_what_no_job_has_made_is_refused(dataset, tmp_path):
    path, _ = dataset
    write(tmp_path / "written")
    with pytest.raises(JobError, match="--embed needs a dataset of 'lit-embed run', got None"):
        embed_again(str(tmp_path / "written"), [])
    copy_dataset(path, tmp_path / "part", Part(max_rows=9))
    with pytest.raises(JobError, match="is a part of another dataset"):
        embed_again(str(tmp_path / "part"), [])
