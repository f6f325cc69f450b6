"""lit-data derive and flatten as a user sees them, and lit-tune on what they write."""

import dataclasses
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

from lit_precompute.commands import data
from lit_precompute.commands import tune as tune_command
from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.schemas.checking.verification import verify
from lit_precompute.tune.recipes import RECIPES
from tests.schemas.making import files_of, write
from tests.tune.small_runs import EXECUTION, NUM_ROWS, RECIPE, flags, model_bytes, train, write_dataset


def run(monkeypatch, capsys, *arguments, command=data.main, name="lit-data"):
    """Runs a command in this process; returns its exit status, output and errors."""
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
    status = 0
    try:
        command()
    except SystemExit as end:
        status = end.code or 0
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.fixture
def base(tmp_path):
    write(tmp_path / "base")
    keys = [f"image-{row:04d}" for row in range(50)]
    lines = [f"{key}\tle {key}\n" for key in random.Random(0).sample(keys, 50)]
    (tmp_path / "fr.tsv").write_text("".join(["id\ttexte\n", *lines]))
    return tmp_path / "base"


def test_says_what_was_matched_and_what_to_do_next(tmp_path, base, monkeypatch, capsys):
    with (tmp_path / "fr.tsv").open("a") as file:
        file.write("bad-0\tan image that could not be embedded\nother\tof no image\n")
    output = tmp_path / "derived"
    command = ["derive", base, "--output", output, "--captions", tmp_path / "fr.tsv"]
    columns = ["--key-column", "id", "--text-column", "texte"]
    status, _, errors = run(monkeypatch, capsys, *command)
    assert (status, "no column 'key'; there are ['id', 'texte']; give its name as --key-column" in errors) == (2, True)
    status, _, errors = run(monkeypatch, capsys, *command, *columns)
    assert (status, "1 key of 51 are not the dataset's, more than --max-surplus 0: other (" in errors) == (2, True)
    assert not output.exists()
    status, words, _ = run(monkeypatch, capsys, *command, *columns, "--max-surplus", 1)
    assert status == 0
    assert (
        f"captions: 52 rows for 50 images; 1 key not in the dataset (first: other ({tmp_path}/fr.tsv, line 53)); "
        "1 image that could not be embedded\n"
    ) in words
    assert f"{output}: 50 rows, with captions of its own; it refers to ../base\n" in words
    status, words, _ = run(monkeypatch, capsys, *command, *columns, "--max-surplus", 1)
    assert (status, "it was finished before, nothing was left to do" in words) == (0, True)
    status, words, _ = run(monkeypatch, capsys, "verify", output)
    assert words.endswith("sound; 50 rows in 3 shards, with what it refers to in ../base\n")


def test_keys_of_another_scheme_are_shown_beside_the_datasets(tmp_path, base, monkeypatch, capsys):
    (tmp_path / "paths.tsv").write_text("key\ttext\nphotos/image-0007.jpg\tseven\n")
    command = ["derive", base, "--output", tmp_path / "derived", "--captions", tmp_path / "paths.tsv"]
    status, _, errors = run(monkeypatch, capsys, *command)
    assert status == 2
    assert (
        "no key is in both: the dataset's are like 'image-0000', the file's like 'photos/image-0007.jpg', which "
        "differs in folder and ending; "
    ) in errors


def test_flatten_says_what_it_copied(tmp_path, base, monkeypatch, capsys):
    source = f"{tmp_path}/fr.tsv?key=id&text=texte"
    assert run(monkeypatch, capsys, "derive", base, "--output", tmp_path / "fr", "--captions", source)[0] == 0
    status, words, _ = run(monkeypatch, capsys, "flatten", tmp_path / "fr", "--output", tmp_path / "flat")
    assert status == 0 and f"{tmp_path}/flat: 50 rows in 3 shards, " in words
    shutil.rmtree(base)
    assert verify(tmp_path / "flat") == []
    status, _, errors = run(monkeypatch, capsys, "info", tmp_path / "fr")
    assert status == 2 and f"{tmp_path}/fr: refers to the dataset at " in errors


@pytest.mark.standard_promotion  # optax's Adam needs it
def test_tuning_pairs_each_row_with_its_new_text(tmp_path, monkeypatch, capsys):
    """The model is that of a dataset which has these texts itself, bit for bit; the base's texts give another one."""
    recipe = dataclasses.replace(RECIPE, num_steps=6)
    right = write_dataset(tmp_path / "right")
    with EmbeddingDataset.open(right) as dataset:
        found = dataset.rows(0, dataset.num_rows, ["key", "texts"]).to_rows()
    texts = [row["texts"] for row in found]
    base = write_dataset(tmp_path / "base", texts=texts[1:] + texts[:1])
    random.Random(0).shuffle(found)
    (tmp_path / "t.tsv").write_text("".join(["key\ttext\n", *(f"{row['key']}\t{row['texts'][0]}\n" for row in found)]))
    assert (
        run(monkeypatch, capsys, "derive", base, "--output", tmp_path / "new", "--captions", tmp_path / "t.tsv")[0] == 0
    )
    options = flags(recipe, EXECUTION, RECIPES["demo"])
    arguments = ["--dataset", tmp_path / "new", "--output", tmp_path / "run", "--recipe", "demo", *options]
    status, _, errors = run(monkeypatch, capsys, *arguments, command=tune_command.main, name="lit-tune")
    assert status == 0, errors
    for path in (right, base):
        train(path, f"{path}-run", recipe)
    assert model_bytes(tmp_path / "run") == model_bytes(f"{right}-run")
    assert model_bytes(tmp_path / "run") != model_bytes(f"{base}-run")


@pytest.mark.slow
def test_killed_at_any_moment_the_same_command_gives_the_same_bytes(tmp_path, base):
    command = [sys.executable, "-m", "lit_precompute", "data", "derive", base]
    command += ["--captions", f"{tmp_path}/fr.tsv?key=id&text=texte", "--output"]
    for output in ("whole", "warm"):  # the second time, all that is imported is in memory
        started_s = time.monotonic()
        subprocess.run([*command, tmp_path / output], check=True, capture_output=True)
        seconds = time.monotonic() - started_s
    num_killed = 0
    for number in range(10):
        process = subprocess.Popen([*command, tmp_path / "killed"], stdout=subprocess.DEVNULL)
        time.sleep(seconds * (0.2 + 0.08 * number))
        process.send_signal(signal.SIGKILL)
        num_killed += process.wait() == -signal.SIGKILL
    assert num_killed
    subprocess.run([*command, tmp_path / "killed"], check=True, capture_output=True)
    assert files_of(tmp_path / "killed") == files_of(tmp_path / "whole")
    assert verify(tmp_path / "killed") == []


@pytest.mark.standard_promotion  # optax's Adam needs it
def test_lit_tune_reads_tokens_and_says_so(tmp_path, monkeypatch, capsys):
    path = write_dataset(tmp_path / "dataset")
    train(path, tmp_path / "plain")
    tokens = ["derive", path, "--output", tmp_path / "tokens", "--tokens", tmp_path / "plain"]
    status, words, errors = run(monkeypatch, capsys, *tokens)
    assert status == 0, errors
    assert f"{tmp_path}/tokens: {NUM_ROWS} rows, with tokens-" in words and "; it refers to ../dataset\n" in words
    assert "nothing was left to do" in run(monkeypatch, capsys, *tokens)[1]
    arguments = ["--dataset", tmp_path / "tokens", "--output", tmp_path / "run", "--recipe", "demo"]
    arguments += flags(RECIPE, EXECUTION, RECIPES["demo"])
    status, words, errors = run(monkeypatch, capsys, *arguments, command=tune_command.main, name="lit-tune")
    assert status == 0, errors
    assert "tokens are read from the table 'tokens-" in words
    assert model_bytes(tmp_path / "run") == model_bytes(tmp_path / "plain")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--tokens", "no/tokenizer"], "no/tokenizer"),
        (["--tokens", "t.model", "--max-piece", "3"], "did you mean --max-pieces?"),
        (["--labels", "l.tsv", "--runner", "DirectRunner"], "--runner"),
        (["--tokens", "t", "--labels", "l.tsv"], "derive the rest first"),
        (["--labels", "l.tsv", "--text-field", "title"], "--text-field is about --text-embeddings-of and --tokens"),
    ],
)
def test_refuses_what_cannot_be_tokenised(tmp_path, base, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(tmp_path)
    status, out, errors = run(monkeypatch, capsys, "derive", base, "--output", tmp_path / "out", *arguments)
    assert status == 2
    assert words in out + errors
    assert not (tmp_path / "out").exists()
