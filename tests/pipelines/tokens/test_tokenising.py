"""Token tables: the same bytes however the job runs, and what other commands make of such a dataset."""

import dataclasses
import pathlib
import subprocess
import sys
import time

import numpy as np
import pyarrow.parquet as pq
import pytest

from lit_precompute.pipelines.phases.job import PhaseProgress
from lit_precompute.pipelines.shuffle import ShuffleOptions, shuffle
from lit_precompute.pipelines.tokens import tokenise
from lit_precompute.precompute.deriving.derivation import derive
from lit_precompute.precompute.deriving.options import DeriveOptions
from lit_precompute.schemas import DatasetError, EmbeddingDataset, Manifest
from lit_precompute.schemas.checking.verification import verify
from lit_precompute.schemas.claims import ClaimError
from lit_precompute.schemas.sharing.copying import copy_dataset
from lit_precompute.schemas.sharing.hub.twin import write_twin
from lit_precompute.schemas.sharing.part import Part
from lit_precompute.schemas.sharing.selection import Selection
from lit_precompute.schemas.token_tables import TOKENS
from lit_precompute.towers.tokenizers import WordTokenizer
from tests.schemas.making import files_of, rows, write

ROOT = pathlib.Path(__file__).parents[3]
TOKENIZER = WordTokenizer(["text", "12", "21"])

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*:FutureWarning"),
]


@pytest.fixture
def options(tmp_path):
    """Options for a dataset of 50 rows in three shards; a text of row 2 is "text 2.1 ☂": pieces 3, 5 and 2."""
    write(tmp_path / "base", 50)
    TOKENIZER.save(str(tmp_path / "tokenizer"))
    return options_of(tmp_path / "base", tmp_path / "out", tmp_path / "tokenizer")


def options_of(base, output, tokenizer, **changes) -> DeriveOptions:
    return DeriveOptions(base=str(base), output=str(output), tokens=str(tokenizer), **changes)


def tokens_of(path) -> dict[str, list[list[int]]]:
    """Returns the stored tokens of each row by its key."""
    name = next(table.name for table in Manifest.read(path).tables if table.name.startswith("tokens-"))
    with EmbeddingDataset.open(path, tables=[name]) as dataset:
        return {row["key"]: row[TOKENS] for row in dataset.rows(0, dataset.num_rows).to_rows()}


def expected_tokens() -> dict[str, list[list[int]]]:
    keys, _, texts, _ = rows(50)
    return {key: TOKENIZER.to_ids(own) for key, own in zip(keys, texts, strict=True)}


def test_adds_the_tokens_of_all_texts_and_refers_to_the_rest(options, tmp_path):
    manifest = tokenise(options).manifest
    assert tokens_of(tmp_path / "out") == expected_tokens()
    assert tokens_of(tmp_path / "out")["image-0002"][1] == [3, 5, 2]
    own = [table.name for table in manifest.tables if table.reference is None]
    (described,) = manifest.attachments
    assert [f"{name}.json" for name in own] == [described]
    assert verify(tmp_path / "out") == []
    assert not (tmp_path / "out/_work").exists()
    again = tokenise(options, report=lambda progress: pytest.fail("nothing is left to do"))
    assert (again.manifest, again.was_there) == (manifest, True)


def test_the_same_command_after_an_interruption_gives_the_same_bytes(options, tmp_path):
    def interrupt(progress: PhaseProgress):
        if progress.done >= 40:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tokenise(options, report=interrupt)
    assert (tmp_path / "out/_work/tokenise").is_dir()
    assert not (tmp_path / "out/manifest.json").exists()
    seen: list[PhaseProgress] = []
    tokenise(options, report=seen.append)
    assert seen[0].done_before >= 20
    tokenise(dataclasses.replace(options, output=str(tmp_path / "whole")))
    assert files_of(tmp_path / "out") == files_of(tmp_path / "whole")


@pytest.mark.slow
def test_a_killed_job_is_resumed_to_the_same_bytes(tmp_path):
    write(tmp_path / "base", 4_000, block_rows=64)
    TOKENIZER.save(str(tmp_path / "tokenizer"))
    command = [sys.executable, "-m", "lit_precompute", "data", "derive", str(tmp_path / "base")]
    command += ["--tokens", str(tmp_path / "tokenizer"), "--output"]
    killed = subprocess.Popen([*command, str(tmp_path / "killed")], cwd=ROOT)
    until = time.monotonic() + 120
    while len(list(tmp_path.glob("killed/_work/tokenise/*"))) < 20:
        assert killed.poll() is None and time.monotonic() < until
        time.sleep(0.001)
    killed.kill()
    killed.wait()
    assert not (tmp_path / "killed/manifest.json").exists()
    for name in ("killed", "whole"):
        subprocess.run([*command, str(tmp_path / name)], cwd=ROOT, check=True)
    assert files_of(tmp_path / "killed") == files_of(tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["multi_processing", "multi_threading"])
def test_two_workers_of_an_engine_give_the_same_bytes(options, tmp_path, monkeypatch, mode):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    tokenise(options)
    flags = ["--runner=FnApiRunner", "--direct_num_workers=2", f"--direct_running_mode={mode}"]
    told: list[PhaseProgress] = []
    tokenise(dataclasses.replace(options, output=str(tmp_path / "engine")), beam_flags=flags, report=told.append)
    assert files_of(tmp_path / "engine") == files_of(tmp_path / "out")
    assert (told[-1].done, told[-1].size) == (50, 50)


def test_base_and_output_may_be_in_a_store(options, tmp_path):
    store = f"memory:/{tmp_path}"
    write(f"{store}/base", 50)
    tokenise(dataclasses.replace(options, base=f"{store}/base", output=f"{store}/out"))
    assert tokens_of(f"{store}/out") == expected_tokens()
    assert verify(f"{store}/out") == []


def test_an_output_belongs_to_one_tokenizer_and_one_base(options, tmp_path):
    tokenise(options)
    with pytest.raises(ClaimError, match=r"belongs to another derivation: --tokens tokens-"):
        tokenise(dataclasses.replace(options, max_pieces=8))
    with pytest.raises(DatasetError, match=r"has the table 'tokens-\w{12}' already; nothing is left to derive"):
        tokenise(dataclasses.replace(options, base=str(tmp_path / "out"), output=str(tmp_path / "more")))
    with pytest.raises(DatasetError, match="is within the dataset"):
        tokenise(dataclasses.replace(options, output=str(tmp_path / "base/out")))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_pieces": 0}, "--max-pieces must be >= 1, got 0"),
        ({"captions": "german.tsv"}, "derive the rest first, and then tokens of that dataset"),
        ({"tokens": None}, "nothing to derive: give .* or --tokens"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        DeriveOptions(**{"base": "base", "output": "out", "tokens": "tokenizer", **changes})


def test_tokens_do_not_outlive_the_texts_that_they_are_of(options, tmp_path):
    tokenise(options)
    lines = ["key\ttext\tlabel", *(f"{key}\ttext 12\t7" for key in rows(50)[0])]
    (tmp_path / "new.tsv").write_text("\n".join(lines))
    captions = str(tmp_path / "new.tsv")
    derived = DeriveOptions(base=str(tmp_path / "out"), output=str(tmp_path / "new"), captions=captions)
    manifest = derive(derived).manifest
    assert not any(table.name.startswith("tokens-") for table in manifest.tables)
    assert not manifest.attachments
    labels = DeriveOptions(base=str(tmp_path / "out"), output=str(tmp_path / "labels"), labels=captions)
    assert list(derive(labels).manifest.attachments) == list(Manifest.read(tmp_path / "out").attachments)


def test_other_commands_keep_the_tokens_of_each_row(options, tmp_path):
    """Flatten, copy, a selection's copy, shuffle, the hub's Parquet."""
    tokenise(options)
    expected = expected_tokens()
    copy_dataset(tmp_path / "out", tmp_path / "flat", Part(is_flat=True))
    copy_dataset(tmp_path / "out", tmp_path / "copied")
    shuffle(ShuffleOptions(dataset=str(tmp_path / "out"), output=str(tmp_path / "shuffled"), rows_per_shard=16))
    for name in ("flat", "copied", "shuffled"):
        assert tokens_of(tmp_path / name) == expected
        assert verify(tmp_path / name) == []
        assert Manifest.read(tmp_path / name).attachments == Manifest.read(tmp_path / "out").attachments
    assert not Manifest.read(tmp_path / "flat").references
    selection = Selection.of_rows(Manifest.read(tmp_path / "flat"), np.array([3, 5, 44]), made_by={})
    copy_dataset(tmp_path / "flat", tmp_path / "selected", Part(selection=selection))
    assert tokens_of(tmp_path / "selected") == {
        key: expected[key] for key in ("image-0003", "image-0005", "image-0044")
    }
    with EmbeddingDataset.open(tmp_path / "flat") as dataset:
        table = next(table for table in dataset.manifest.tables if table.name.startswith("tokens-"))
        write_twin(dataset, table, 0, tmp_path / "0.parquet")
    rows_there = pq.read_table(tmp_path / "0.parquet").to_pylist()
    assert {row["key"]: row[TOKENS] for row in rows_there} == {key: expected[key] for key in list(expected)[:20]}
