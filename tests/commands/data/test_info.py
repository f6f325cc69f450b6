"""lit-data info: the card of a dataset of version 3, and the same as JSON."""

import json
import sys

import pytest

from lit_precompute.commands import data
from lit_precompute.schemas import Manifest

GOLDEN = "tests/golden/dataset_v3"


def _info(capsys, monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["lit-data", "info", *arguments])
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as caught:
        data.main()
    assert caught.value.code == 0
    return capsys.readouterr().out


def test_shows_towers_attachments_and_what_shards_were_made_with(capsys, monkeypatch):
    lines = [" ".join(line.split()) for line in _info(capsys, monkeypatch, f"{GOLDEN}/base").splitlines()]
    for expected in (
        "tower golden: 3 numbers (average), 12 parameters",
        "tower golden-flip: 2 numbers (average), 12 parameters",
        "receipt exact: float16 holds the tower's float32, on 3 probes",
        "table captions 0.1 MB: key, texts, title, tags",
        "attachment classes.txt 18 bytes",
        "made with 2 environments, so that equal images may differ in their last bits",
        "2 shards NVIDIA H100 80GB HBM3; array-record 0.8.6, jax 0.10.0, numpy 2.4.6, pyarrow 25.0.1",
        "1 shard cpu; array-record 0.8.6, numpy 2.4.6, pyarrow 25.0.1",
    ):
        assert expected in lines
    lines = [" ".join(line.split()) for line in _info(capsys, monkeypatch, f"{GOLDEN}/derived").splitlines()]
    assert "table captions 0.1 MB: key, texts, title, tags; in ../base" in lines
    digest = Manifest.read(f"{GOLDEN}/base").digest
    assert any(line.startswith("refers to ../base for embeddings, ") and line.endswith(digest) for line in lines)
    assert "made with cpu; array-record 0.8.6, numpy 2.4.6, pyarrow 25.0.1" in lines


@pytest.mark.parametrize("name", ["dataset_v1/float16", "dataset_v2/int8", "dataset_v3/base"])
def test_json_has_the_same_of_every_version(capsys, monkeypatch, name):
    found = json.loads(_info(capsys, monkeypatch, f"tests/golden/{name}", "--json"))
    assert found["tower"] == found["towers"]["embeddings"]
    assert found["receipt"] == found["receipts"]["embeddings"]
    assert sum(environment["num_shards"] for environment in found["environments"]) == found["num_shards"]
    assert set(found["bytes"]) == {table["name"] for table in found["tables"]}
    assert found["ledger"]["rows_failed"] == sum(found["failures"].values())
    assert found["source"]["num_files"] in (1, 2)
