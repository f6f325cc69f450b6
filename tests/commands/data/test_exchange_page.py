"""docs/exchange.md: its commands are understood, its Python runs, and its table names every layout."""

import pathlib
import re
import shlex

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lit_precompute.commands.data import main
from lit_precompute.commands.data.export import Export
from lit_precompute.commands.data.import_ import Import
from lit_precompute.precompute.exchange.registry import LAYOUTS
from tests.precompute.exchange.making import vectors

PAGE = (pathlib.Path(__file__).parents[3] / "docs/exchange.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("command", re.findall(r"^    (lit-data .*)$", PAGE, re.MULTILINE))
def test_commands_are_understood(monkeypatch, command):
    ran = []

    def record(self, console):
        ran.append(self)
        return 0

    monkeypatch.setattr(Import, "run", record)
    monkeypatch.setattr(Export, "run", record)
    monkeypatch.setattr("sys.argv", shlex.split(command))
    with pytest.raises(SystemExit) as end:
        main()
    assert (end.value.code, len(ran)) == (0, 1)


def test_the_python_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "parts").mkdir()
    pq.write_table(pa.table({"id": ["a", "b"], "emb": vectors(2).tolist()}), tmp_path / "parts/0.parquet")
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(code, "docs/exchange.md", "exec"), {})
    np.testing.assert_array_equal(np.load("mine-npy/embeddings.npy"), vectors(2))
    assert pathlib.Path("mine-npy/keys.txt").read_text(encoding="utf-8") == "a\nb\n"


def test_the_table_names_every_layout():
    rows = re.findall(r"^\| `([a-z-]+)` \| .* \| (yes|) ?\| ?(yes|) ?\|$", PAGE, re.MULTILINE)
    expected = [
        (name, "yes" if layout.reading else "", "yes" if layout.writing else "") for name, layout in LAYOUTS.items()
    ]
    assert sorted(rows) == sorted(expected)
