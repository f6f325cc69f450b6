"""Datasets on a web server, which lists nothing."""

import re

import numpy as np
import pytest

from lit_precompute.schemas import DatasetError, EmbeddingDataset
from lit_precompute.schemas.checking.verification import verify
from tests.flaky_server import flaky_server
from tests.schemas.making import files_of, rows, write

pytestmark = pytest.mark.usefixtures("own_cache")

BLOCKS = "embeddings/part-00001.arrayrecord"


@pytest.fixture
def server(tmp_path):
    write(tmp_path / "dataset")
    with flaky_server() as server:
        server.contents = {f"/d/{name}": data for name, data in files_of(tmp_path / "dataset").items()}
        yield server


@pytest.mark.parametrize("parts", [True, False])
def test_nothing_is_listed_and_only_what_is_read_is_asked_for(server, parts):
    server.parts = parts
    keys, vectors, texts, _ = rows(50)
    with EmbeddingDataset.open(f"{server.address}/d") as dataset:
        assert dataset.rows(20, 40, ["key", "embedding"])["key"].to_pylist() == keys[20:40]
        asked = {path for _, path, _ in server.asked}
        assert {path for path in asked if "part-" in path} == {f"/d/{BLOCKS}"}
        np.testing.assert_array_equal(dataset.rows(0, 50)["embedding"], vectors.astype(np.float16))
        assert dataset.rows(0, 50)["texts"].to_pylist() == texts
        assert dataset.failures().num_rows == 2
    assert verify(f"{server.address}/d") == []
    assert {path for _, path, _ in server.asked} <= set(server.contents)


@pytest.mark.parametrize("faults", [["cut"], [503, 503], ["close"], ["short"]])
def test_what_passes_is_asked_for_again(server, faults):
    with EmbeddingDataset.open(f"{server.address}/d") as dataset:
        server.faults[f"/d/{BLOCKS}"] = list(faults)
        assert dataset.row(33)["key"] == rows(50)[0][33]
        assert server.faults[f"/d/{BLOCKS}"] == []


def test_what_is_wrong_is_said_with_where(server):
    where = f"{server.address}/d"
    path, content = f"/d/{BLOCKS}", server.contents[f"/d/{BLOCKS}"]
    with EmbeddingDataset.open(where) as dataset:
        server.faults[path] = [403]
        with pytest.raises(PermissionError, match="the server says 403") as refused:
            dataset.row(33)
        assert refused.value.filename == f"{where}/{BLOCKS}"
        for changed, words in [
            (None, "the file is missing; fetch it again"),
            (
                content[:-1],
                f"must have {len(content)} bytes, got {len(content) - 1}; the file was truncated or changed",
            ),
            (content + b"more", f"must have {len(content)} bytes, got {len(content) + 4}"),
            (bytes(len(content)), "SHA-256 must be"),
        ]:
            server.contents[path] = changed
            with pytest.raises(DatasetError, match=re.escape(f"{where}/{BLOCKS}: {words}")):
                dataset.row(33)
        server.contents[path] = content
        assert dataset.row(33)["key"] == rows(50)[0][33]
    del server.contents["/d/manifest.json"]
    with pytest.raises(DatasetError, match=f"{where}/manifest.json: missing, this is not an embedding dataset"):
        EmbeddingDataset.open(where)
