"""Random views of each image: a table each, beside the tower's own embeddings."""

import pathlib

import numpy as np
import pytest

from lit_precompute import load_image_tower
from lit_precompute.precompute.embedder import Embedder
from lit_precompute.precompute.images.decoding import decode
from lit_precompute.precompute.images.preprocessing import prepare
from lit_precompute.schemas import EmbeddingDataset, Manifest
from lit_precompute.schemas.checking.verification import verify
from tests.pipelines.embed.making import BAD, arguments, draw_image, run, write_source
from tests.schemas.making import files_of
from tests.towers.tiny_tower import NAME

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*:FutureWarning"),
]
VIEWS = ("embeddings-view1", "embeddings-view2")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_source(tmp_path_factory.mktemp("source"), 20)


@pytest.fixture(scope="module")
def dataset(source, tmp_path_factory):
    """A dataset with two views, made in threads."""
    output = tmp_path_factory.mktemp("datasets") / "views"
    with pytest.MonkeyPatch.context() as monkeypatch:
        assert run(monkeypatch, *arguments(source, output, views=2, dtype="float32")) == 0
    return output


def _vectors(path, table):
    with EmbeddingDataset.open(path, tables=[table]) as dataset:
        return dataset.keys().to_pylist(), dataset.rows(0, len(dataset)).vectors()


def test_views_are_tables_of_the_same_rows_with_cards_of_their_own(dataset):
    manifest = Manifest.read(dataset)
    assert [table.name for table in manifest.tables][:3] == ["embeddings", *VIEWS]
    assert manifest.job["views"] == 2
    assert len({card.fingerprint for card in manifest.towers.values()}) == 3
    assert len({card.model_identity for card in manifest.towers.values()}) == 1
    augmentations = [card.preprocessing.get("augmentation") for card in manifest.towers.values()]
    assert [each and each["view"] for each in augmentations] == [None, 1, 2]
    assert [len(probe.vectors) for probe in manifest.probes] == [3] * 20
    assert manifest.num_failures == len(BAD)
    assert verify(dataset) == []


def test_each_view_is_the_tower_on_the_view_that_its_key_draws(dataset, source):
    tower = load_image_tower(NAME, str(source.parent / "weights.npz"))
    embedder = Embedder(tower, batch_size=4)
    for view, table in enumerate(("embeddings", *VIEWS)):
        keys, vectors = _vectors(dataset, table)
        preprocessing = tower.preprocessing.of_view(view) if view else tower.preprocessing
        for key, vector in list(zip(keys, vectors, strict=True))[:6]:
            batch = embedder.take_batch()
            batch[:] = prepare(decode(draw_image(int(key[:3]))), preprocessing, key)
            np.testing.assert_allclose(vector, np.asarray(embedder.start(batch))[0], rtol=1e-6, atol=1e-6)


def test_views_leave_the_bytes_of_the_embeddings_and_of_each_other_alone(dataset, source, tmp_path, monkeypatch):
    """However many there are, and whether threads or processes prepare them."""
    assert run(monkeypatch, *arguments(source, tmp_path / "none", dtype="float32")) == 0
    one = arguments(source, tmp_path / "one", views=1, dtype="float32", decode_in="processes")
    assert run(monkeypatch, *one) == 0
    for other in ("none", "one"):
        files = {name: data for name, data in files_of(tmp_path / other).items() if "part-" in name}
        assert len(files) >= 12
        assert files == {name: files_of(dataset)[name] for name in files}
    assert "views" not in Manifest.read(tmp_path / "none").job


def test_another_number_of_views_is_refused_with_both_values(dataset, source, capsys, monkeypatch):
    for views, there in ((1, 2), (0, 2)):
        assert run(monkeypatch, *arguments(source, dataset, views=views, dtype="float32")) == 2
        assert f"--views is {there} there, {views} was requested" in " ".join(capsys.readouterr().err.split())
    assert run(monkeypatch, *arguments(source, dataset, views=2, dtype="float32")) == 0


@pytest.mark.parametrize("views", [-1, 101])
def test_a_number_of_views_out_of_bounds_is_refused(source, tmp_path, capsys, monkeypatch, views):
    assert run(monkeypatch, *arguments(source, tmp_path / "out", views=views)) == 2
    assert f"--views must be from 0 to 100, got {views}" in capsys.readouterr().err


def test_a_stopped_job_with_views_is_resumed(dataset, source, tmp_path, monkeypatch):
    command = arguments(source, tmp_path / "out", views=2, dtype="float32")
    assert run(monkeypatch, *command, "--max-failures", "1") == 1
    assert len(list(pathlib.Path(tmp_path / "out", "_work", "shards").iterdir())) < 4
    assert run(monkeypatch, *command) == 0
    assert files_of(tmp_path / "out") == files_of(dataset)
