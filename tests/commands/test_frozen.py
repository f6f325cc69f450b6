"""From a folder of a text encoder to figures, through the commands: embed texts, train heads, evaluate."""

import json
import subprocess
import sys

import pytest

from lit_precompute.schemas import EmbeddingDataset
from tests.towers.text.tiny_bert import WIDTH, write_bert_folder
from tests.tune.small_runs import ROOT, write_dataset

TABLE = "text-embeddings-encoder"


def run(*arguments, status=0) -> str:
    command = [sys.executable, "-m", "lit_precompute", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == status, done.stderr
    return done.stdout if status == 0 else done.stderr


@pytest.mark.slow
def test_from_an_encoders_folder_to_figures(tmp_path):
    encoder, base = write_bert_folder(tmp_path / "encoder"), write_dataset(tmp_path / "base")
    labels = tmp_path / "labels.tsv"
    with EmbeddingDataset.open(base) as dataset:
        texts = dataset.rows(0, dataset.num_rows)["texts"].to_pylist()
    rows = (f"row{number}\t{row[0].split()[0]}\n" for number, row in enumerate(texts))
    labels.write_text("key\tlabel\n" + "".join(rows))
    said = run(
        "data", "derive", base, "--output", tmp_path / "both", "--text-embeddings-of", encoder, "--text-max-tokens", 8,
        "--labels", labels,
    )  # fmt: skip
    assert f"with labels, {TABLE} of its own" in said
    assert f"lit-tune --dataset {tmp_path / 'both'}" in said
    with EmbeddingDataset.open(tmp_path / "both", tables=[TABLE]) as dataset:
        assert dataset.rows(0, 3)["text_embedding"].shape == (3, WIDTH)
    said = run(
        "tune", "--dataset", tmp_path / "both", "--output", tmp_path / "run", "--setting", "LL",
        "--text-tower.kind", "stored", "--text-tower.table", TABLE, "--text-tower.head.kind", "mlp",
        "--image-side.head-width", 12, "--image-side.head.kind", "residual", "--image-side.head.depth", 1,
        "--batch-size", 32, "--num-steps", 20, "--optimizer.warmup-steps", 2,
    )  # fmt: skip
    assert f"text embeddings of the text tower {encoder} are read from the table '{TABLE}'" in said
    model = ("--model", tmp_path / "run")
    figures = json.loads(run("eval", "retrieval", *model, "--dataset", tmp_path / "both", "--json"))
    assert figures["num_texts"] == 96
    refused = run("eval", "zero-shot", *model, "--dataset", tmp_path / "both", status=2)
    assert f"made them, which was '{encoder}': give its name or folder as --text-tower" in refused
    found = run("eval", "zero-shot", *model, "--dataset", tmp_path / "both", "--text-tower", encoder, "--json")
    assert json.loads(found)["num_classes"] == 20
