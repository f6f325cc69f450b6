"""lit-data probe: an import whose tower is declared is compared with its images, and becomes a dataset of the tower."""

import json
import sys

import numpy as np
import pytest

from lit_precompute.commands import data
from lit_precompute.schemas import EmbeddingDataset, Manifest
from lit_precompute.schemas.checking.verification import verify
from tests.pipelines.embed.making import arguments, run, write_source
from tests.schemas.making import files_of
from tests.towers.tiny_tower import NAME, write_weights

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*:FutureWarning"),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Images, weights, their dataset, and its vectors in another program's files."""
    place = tmp_path_factory.mktemp("place")
    table = write_source(place / "images", bad=False)
    write_weights(place / "weights.npz")
    with pytest.MonkeyPatch.context() as patch:
        assert run(patch, *arguments(table, place / "embedded", place / "weights.npz")) == 0
    with EmbeddingDataset.open(place / "embedded") as dataset:
        rows = dataset.rows(0, dataset.num_rows)
    np.save(place / "vectors.npy", 3 * rows["embedding"])  # of another length: cosines tell nothing of that
    (place / "keys.txt").write_text("\n".join(rows["key"].to_pylist()) + "\n")
    return place


@pytest.fixture
def command(monkeypatch, capsys):
    """Returns a function that runs lit-data; it returns the status and what was said."""

    def command(*arguments):
        monkeypatch.setattr(sys, "argv", ["lit-data", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "200")
        with pytest.raises(SystemExit) as caught:
            data.main()
        said = capsys.readouterr()
        return caught.value.code, [" ".join(line.split()) for line in (said.err + said.out).splitlines()]

    return command


@pytest.fixture
def imported(place, tmp_path, command):
    """An import, whose tower is declared."""
    options = ("--keys", place / "keys.txt", "--tower", "somebody's", "--output", tmp_path / "imported")
    status, said = command("import", "npy", place / "vectors.npy", *options)
    assert status == 0, said
    assert Manifest.read(tmp_path / "imported").tower.is_declared
    return tmp_path / "imported"


def _probe(place, dataset, *more, weights="weights.npz"):
    source = ("--source", place / "images/captions.tsv", "--batch-size", 4, "--rows", 16)
    return "probe", dataset, *source, "--tower", NAME, "--weights", place / weights, *more


def test_an_import_of_the_tower_becomes_a_verified_dataset(place, imported, tmp_path, command):
    before = files_of(imported)
    status, said = command(*_probe(place, imported, "--output", tmp_path / "verified"))
    assert status == 0, said
    assert f"verdict the embeddings are {NAME}'s: every cosine is at least 0.999" in said
    assert "in the dataset 16 of their keys" in said
    assert files_of(imported) == before
    found, own = Manifest.read(tmp_path / "verified"), Manifest.read(place / "embedded")
    assert found.tower == own.tower
    assert found.table_digest("embeddings") == Manifest.read(imported).table_digest("embeddings")
    record = found.job["derive"]["probed"]
    assert (record["rows"], record["tower"]) == (16, own.tower.fingerprint)
    assert record["least_cosine"] > 0.999999
    assert found.probes == []  # nothing is known of its float32
    assert verify(tmp_path / "verified") == []
    assert command(*_probe(place, imported, "--output", tmp_path / "verified"))[0] == 0  # it was finished before


def test_json(place, imported, tmp_path, command):
    status, said = command(*_probe(place, imported, "--output", tmp_path / "verified", "--json"))
    found = json.loads("".join(said[said.index("{") :]))
    assert (status, found["verdict"], found["tower"]["name"]) == (0, "interchangeable", NAME)
    assert found["written"]["digest"] == Manifest.read(tmp_path / "verified").digest


def test_a_dataset_of_the_job_itself_is_equal_or_nearly(place, command):
    status, said = command(*_probe(place, place / "embedded"))
    assert status == 0, said
    assert said[-1].startswith(f"verdict the embeddings are {NAME}'s")


def test_another_towers_embeddings_are_told(place, imported, tmp_path, command):
    write_weights(place / "other.npz", seed=1)
    more = ("--output", tmp_path / "verified")
    status, said = command(*_probe(place, imported, *more, weights="other.npz"))
    assert status == 1
    assert f"verdict the embeddings are not {NAME}'s as it was run here" in " ".join(said)
    assert not (tmp_path / "verified").exists()


def test_a_place_with_another_dataset_is_refused_before_anything_is_embedded(place, imported, command):
    status, said = command(*_probe(place, imported, "--output", place / "embedded", weights="no such file"))
    assert status == 2
    assert said == [
        f"error: {place}/embedded: contains a finished dataset, and datasets never change; choose another --output"
    ]
    status, said = command(*_probe(place, imported, "--output", place / "keys.txt/v", weights="no such file"))
    assert (status, said) == (2, [f"error: {place}/keys.txt/v: {place}/keys.txt is a file; choose another --output"])


def test_images_that_the_dataset_does_not_have_are_told(place, imported, tmp_path, command):
    other = write_source(tmp_path / "other", 3, bad=False)
    other.write_text(other.read_text().replace(".png\t", ".jpg\t"))
    for path in (tmp_path / "other").glob("*.png"):
        path.rename(path.with_suffix(".jpg"))
    arguments_of = ("--source", other, "--batch-size", 4, "--tower", NAME, "--weights", place / "weights.npz")
    status, said = command("probe", imported, *arguments_of)
    assert status == 1
    assert "no common keys; the dataset's are like " in said[-1]
    assert ".jpg', which differs in ending: give the source that the dataset was made of" in said[-1]


def test_images_that_are_gone_are_an_error(place, imported, tmp_path, command):
    other = write_source(tmp_path / "other", 3, bad=False)
    for path in (tmp_path / "other").glob("*.png"):
        path.unlink()
    arguments_of = ("--source", other, "--batch-size", 4, "--tower", NAME, "--weights", place / "weights.npz")
    status, said = command("probe", imported, *arguments_of)
    assert status == 1
    assert said[-1].startswith("error: ")
