"""docs/derive.md: its commands run, on small datasets of the names that it uses."""

import pathlib
import re
import shlex
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lit_precompute.commands import data
from lit_precompute.schemas import DatasetWriter, EmbeddingDataset, captions_table
from lit_precompute.towers.tokenizers import WordTokenizer
from tests.schemas.making import SOURCE, card

PAGE = pathlib.Path(__file__).parents[3] / "docs/derive.md"
COMMANDS = re.findall(r"(?:^    |`)(lit-data (?:derive|flatten) [^`\n]+)", PAGE.read_text(), re.MULTILINE)
KEYS = ["000003.jpg", "000017.jpg"]


def _write(path):
    with DatasetWriter(path, tower=card(), source=SOURCE, tables=[captions_table()]) as writer:
        writer.write(keys=KEYS, embeddings=np.eye(2, 6), columns={"captions": {"texts": [["two cats"], ["a dog"]]}})


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with all datasets and files that the page names."""
    for name in ("cc12m-vit_l16", "cc12m-vit_b32", "cc12m-views", "yfcc", "cc12m", "wit"):
        _write(tmp_path / name)
    lines = "key\ttext\tlanguage\n000017.jpg\tein Hund am Strand\tde\n000003.jpg\tzwei Katzen\tde\n"
    for name in ("german", "texts", "translated", "wit"):
        (tmp_path / f"{name}.tsv").write_text(lines)
    WordTokenizer(["ein", "hund", "am", "strand"]).save(str(tmp_path / "runs/german/tokenizer"))
    pq.write_table(pa.table({"key": KEYS[::-1], "title": ["Rex", "Cats"]}), tmp_path / "yfcc.parquet")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_commands_run(folder, monkeypatch, capsys):
    assert len(COMMANDS) >= 6
    for command in COMMANDS:
        monkeypatch.setattr(sys, "argv", shlex.split(command.replace("gs://team/", "")))
        if "flatten" in command:
            sys.argv[-1] += "-whole"
        with pytest.raises(SystemExit) as end:
            data.main()
        assert end.value.code == 0, f"{command}: {capsys.readouterr().err}"
    with EmbeddingDataset.open("cc12m-german-tokens") as dataset:
        assert dataset.row(dataset.row_of("000017.jpg"))["tokens"] == [[3, 4, 5, 6]]
    texts = {
        "cc12m-german-whole": ["ein Hund am Strand"],
        "yfcc-titles": ["Rex"],
        "cc12m-more": ["a dog", "ein Hund am Strand"],
        "both": ["a dog"],
    }
    for name, expected in texts.items():
        with EmbeddingDataset.open(name) as dataset:
            assert dataset.row(dataset.row_of("000017.jpg"))["texts"] == expected
