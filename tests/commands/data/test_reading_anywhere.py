"""`lit-data info` and `lit-data verify` on a dataset, wherever it is."""

import contextlib
import json
import sys

import pytest

from lit_precompute.commands import data
from tests.flaky_server import flaky_server
from tests.schemas.making import files_of, write
from tests.stores.hub import selected_hub

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture(params=["https", "hf", "bucket"])
def place(request, tmp_path):
    """The URL of a dataset, and what changes a file of it."""
    if request.param == "bucket":
        url = request.getfixturevalue("gcs_bucket")
        write(f"{url}/d")
        yield f"{url}/d"
        return
    write(tmp_path / "dataset")
    files = {f"d/{name}": content for name, content in files_of(tmp_path / "dataset").items()}
    with contextlib.ExitStack() as servers:
        if request.param == "hf":
            servers.enter_context(selected_hub()).repositories["owner/name"] = files
            yield "hf://datasets/owner/name/d"
        else:
            server = servers.enter_context(flaky_server())
            server.contents = {f"/{name}": content for name, content in files.items()}
            yield f"{server.address}/d"


def _run(capsys, monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["lit-data", *arguments])
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as caught:
        data.main()
    return caught.value.code, capsys.readouterr().out


def test_commands_take_any_store(place, capsys, monkeypatch):
    status, words = _run(capsys, monkeypatch, "info", place)
    assert status == 0
    assert "50 = 52 read - 2 failed" in words
    status, words = _run(capsys, monkeypatch, "info", place, "--json")
    assert json.loads(words)["ledger"]["rows_written"] == 50
    status, words = _run(capsys, monkeypatch, "verify", place)
    assert (status, words.splitlines()[-1]) == (0, f"{place}: sound; 50 rows in 3 shards")
