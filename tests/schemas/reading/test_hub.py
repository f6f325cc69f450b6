"""Datasets in a repository of Hugging Face's hub, at a fake one on loopback."""

import numpy as np
import pytest

from lit_precompute.schemas import DatasetError, EmbeddingDataset
from lit_precompute.schemas.checking.verification import verify
from lit_precompute.schemas.storage import StorageError, list_names, open_folder
from tests.schemas.making import files_of, rows, write
from tests.stores.hub import selected_hub

pytestmark = pytest.mark.usefixtures("own_cache")

BLOCKS = "embeddings/part-00001.arrayrecord"


@pytest.fixture
def hub():
    with selected_hub() as hub:
        yield hub


@pytest.fixture
def files(tmp_path):
    write(tmp_path / "dataset")
    return files_of(tmp_path / "dataset")


def test_rows_come_back_and_only_what_is_read_is_asked_for(hub, files):
    hub.repositories["owner/name"] = files
    keys, vectors, texts, _ = rows(50)
    with EmbeddingDataset.open("hf://datasets/owner/name") as dataset:
        assert dataset.rows(20, 40, ["key", "embedding"])["key"].to_pylist() == keys[20:40]
        assert hub.ranges == [BLOCKS]
        np.testing.assert_array_equal(dataset.rows(0, 50)["embedding"], vectors.astype(np.float16))
        assert dataset.rows(0, 50)["texts"].to_pylist() == texts
    assert not any("/tree/" in asked for asked in hub.asked)
    assert verify("hf://datasets/owner/name") == []


@pytest.mark.parametrize("place", ["@v1.0", "@v1.0/sub/folder", "/sub"])
def test_a_revision_and_a_folder_can_be_named(hub, files, place):
    revision, _, folder = place.removeprefix("@").partition("/")
    content = {f"{folder}/{name}".lstrip("/"): data for name, data in files.items()}
    hub.repositories["owner/name"] = {"other": b""} if revision else content
    hub.branches["owner/name", revision] = content
    with EmbeddingDataset.open(f"hf://datasets/owner/name{place}") as dataset:
        assert dataset.row(33)["key"] == rows(50)[0][33]


@pytest.mark.parametrize(("fault", "times"), [("cut", 1), (503, 2), (429, 1)])
def test_what_passes_is_asked_for_again(hub, files, fault, times):
    hub.repositories["owner/name"] = files
    hub.faults[BLOCKS] = [fault] * times
    with EmbeddingDataset.open("hf://datasets/owner/name") as dataset:
        assert dataset.row(33)["key"] == rows(50)[0][33]
    assert hub.faults[BLOCKS] == []


def test_what_is_wrong_is_said_with_where(hub, files):
    where, hub.token = "hf://datasets/owner/name", "of somebody who may"
    with pytest.raises(
        PermissionError, match="401 Unauthorized; there is no such repository, or it is private"
    ) as error:
        EmbeddingDataset.open(where)
    assert error.value.filename == f"{where}/manifest.json"
    hub.token = None
    hub.repositories["owner/name"] = {"a.txt": b"a"}
    with pytest.raises(DatasetError, match=f"{where}/manifest.json: missing, this is not an embedding dataset"):
        EmbeddingDataset.open(where)
    with pytest.raises(DatasetError, match="missing, this is not"):
        EmbeddingDataset.open(f"{where}@other")
    hub.repositories["owner/name"] = files
    with EmbeddingDataset.open(where) as dataset:
        hub.faults[BLOCKS] = [403]
        with pytest.raises(PermissionError, match="the server says 403"):
            dataset.row(33)
        hub.repositories["owner/name"] = files | {BLOCKS: files[BLOCKS][:-1]}
        with pytest.raises(DatasetError, match=f"{where}/{BLOCKS}: must have"):
            dataset.row(33)
        hub.repositories["owner/name"] = files | {BLOCKS: bytes(len(files[BLOCKS]))}
        with pytest.raises(DatasetError, match=f"{where}/{BLOCKS}: SHA-256 must be"):
            dataset.row(33)


def test_a_changed_repository_is_noticed_when_it_is_opened_again(hub, files, tmp_path):
    hub.repositories["owner/name"] = files
    with EmbeddingDataset.open("hf://datasets/owner/name") as dataset:
        assert dataset.num_rows == 50
    write(tmp_path / "other", 30)
    hub.repositories["owner/name"] = files_of(tmp_path / "other")
    with EmbeddingDataset.open("hf://datasets/owner/name") as dataset:
        assert dataset.num_rows == 30


def test_a_repository_is_listed_and_nothing_is_written_to_it(hub, files):
    hub.repositories["owner/name"] = files
    folder = open_folder("hf://datasets/owner/name")
    assert sorted(folder.find()) == sorted(files)
    assert list_names("hf://datasets/owner/name").folders == ["captions", "embeddings", "failures", "labels"]
    with pytest.raises(StorageError, match="can only be read from"):
        folder.write("a", b"a")
