"""The folder of a hub repository: the dataset as it is, its Parquet twin, and the card."""

import hashlib

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from lit_precompute.schemas import DatasetError, EmbeddingDataset
from lit_precompute.schemas.checking.verification import verify
from lit_precompute.schemas.sharing.hub import folder as folder_module
from lit_precompute.schemas.sharing.hub.card import CardOptions
from lit_precompute.schemas.sharing.hub.folder import lay_out
from tests.schemas.making import files_of, write

REPOSITORY = "me/small"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    path = tmp_path_factory.mktemp("dataset")
    write(path, 50, vector_type="int8")
    return path


@pytest.fixture(scope="module")
def laid_out(dataset, tmp_path_factory):
    return lay_out(dataset, tmp_path_factory.mktemp("hub") / "folder", REPOSITORY, options=CardOptions(license="mit"))


def test_the_dataset_is_there_as_it_is(dataset, laid_out):
    there = files_of(laid_out.path)
    assert {name: there[name] for name in files_of(dataset)} == files_of(dataset)
    assert verify(laid_out.path) == []
    assert sorted([*laid_out.files, *laid_out.last]) == sorted(there)
    assert laid_out.last[-2:] == ["manifest.json", "README.md"]


def test_the_twin_has_the_rows_of_each_table(dataset, laid_out):
    tables = {name: pq.read_table(laid_out.path / "parquet" / name) for name in ("embeddings", "captions", "labels")}
    with EmbeddingDataset.open(dataset) as opened:
        rows = opened.rows(0, 50)
    for table in tables.values():
        assert table["key"].to_pylist() == rows["key"].to_pylist()
    assert np.array_equal(np.stack(tables["embeddings"]["embedding"].to_pylist()).astype(np.float32), rows.vectors())
    assert tables["embeddings"].column_names == ["key", "embedding"]  # float32: no scales
    assert tables["captions"]["texts"].to_pylist() == rows["texts"].to_pylist()
    failures = pq.read_table(laid_out.path / "parquet/failures")
    assert failures["reason"].to_pylist() == ["truncated", "truncated"]


def test_the_card_names_the_licence_configs_and_identities(laid_out):
    _, metadata, text = (laid_out.path / "README.md").read_text().split("---\n", 2)
    found = yaml.safe_load(metadata)
    assert (found["license"], found["size_categories"], found["pretty_name"]) == ("mit", ["n<1K"], "small")
    assert [config["config_name"] for config in found["configs"]] == ["embeddings", "captions", "labels", "failures"]
    for config in found["configs"]:
        assert list(laid_out.path.glob(config["data_files"]))
    for words in (
        f"`{laid_out.manifest.digest}`",
        f"`{laid_out.manifest.tower.fingerprint}`",
        "52 rows were read = 50 with embeddings + 2 failed",
        'datasets.load_dataset("me/small", "embeddings")',
        'lit.EmbeddingDataset.open("hf://datasets/me/small")',
        "cosine to the tower's float32 0.99",
    ):
        assert words in text


def test_laying_out_again_after_a_kill_gives_the_same_folder(dataset, laid_out, tmp_path, monkeypatch):
    class Killed(BaseException):
        pass

    for stop in (1, 4, 9, 14):

        def report(done, total, stop=stop):
            if done == stop:
                raise Killed

        with pytest.raises(Killed):
            lay_out(dataset, tmp_path / "folder", REPOSITORY, options=CardOptions(license="mit"), report=report)
    lay_out(dataset, tmp_path / "folder", REPOSITORY, options=CardOptions(license="mit"))
    assert files_of(tmp_path / "folder") == files_of(laid_out.path)


def test_without_a_twin_there_are_the_datasets_files_and_a_card(dataset, tmp_path):
    found = lay_out(dataset, tmp_path / "folder", REPOSITORY, has_twin=False)
    assert files_of(found.path).keys() == {*files_of(dataset), "README.md"}
    assert "load_dataset" not in (found.path / "README.md").read_text()


def test_from_a_store(gcs_bucket, dataset, laid_out, tmp_path):
    write(f"{gcs_bucket}/small", 50, vector_type="int8")
    found = lay_out(f"{gcs_bucket}/small", tmp_path / "folder", REPOSITORY, options=CardOptions(license="mit"))
    assert files_of(found.path) == files_of(laid_out.path)


def test_a_damaged_file_is_not_laid_out(tmp_path):
    write(tmp_path / "dataset", 50)
    path = next((tmp_path / "dataset/captions").iterdir())
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(DatasetError, match=rf"{path}: SHA-256 must be .*, got {hashlib.sha256(data).hexdigest()}"):
        lay_out(tmp_path / "dataset", tmp_path / "folder", REPOSITORY)
    assert not (tmp_path / "folder/manifest.json").exists()
    path.unlink()
    with pytest.raises(DatasetError, match=f"{path}: the file is missing"):
        lay_out(tmp_path / "dataset", tmp_path / "folder", REPOSITORY)


def test_a_folder_with_something_else_is_refused(dataset, laid_out, tmp_path):
    (tmp_path / "mine.txt").touch()
    with pytest.raises(FileExistsError, match="give an empty folder"):
        lay_out(dataset, tmp_path, REPOSITORY)
    write(tmp_path / "other", 40)
    with pytest.raises(FileExistsError, match="give an empty folder"):
        lay_out(tmp_path / "other", laid_out.path, REPOSITORY)


@pytest.mark.parametrize(
    ("limit", "most", "words"),
    [("MAX_FILE_BYTES", 1000, "a file of .* bytes, the hub takes at most 1,000"), ("MAX_FILES", 3, "has 3 files")],
)
def test_limits_of_the_hub(dataset, tmp_path, monkeypatch, limit, most, words):
    monkeypatch.setattr(folder_module, limit, most)
    with pytest.raises(DatasetError, match=words):
        lay_out(dataset, tmp_path / "folder", REPOSITORY)
    assert not list(tmp_path.iterdir())


def test_what_nobody_finds_from_the_hub_is_refused(tmp_path):
    with pytest.raises(DatasetError, match=r"refers to \.\./base, which nobody finds from the hub"):
        lay_out("tests/golden/dataset_v3/derived", tmp_path / "folder", REPOSITORY)
    with pytest.raises(DatasetError, match="is of format version 2"):
        lay_out("tests/golden/dataset_v2/int8", tmp_path / "folder", REPOSITORY)
