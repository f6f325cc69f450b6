"""The public commands end to end on a few dozen emoji: what a user types, and what comes out."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from demo import data
from lit_precompute.towers.loading import find_file
from lit_precompute.towers.weights.reading import read_weights

COMMANDS = pathlib.Path(sys.executable).parent


def _run(folder, command, *arguments, status=0):
    result = subprocess.run(
        [str(COMMANDS / command), *map(str, arguments)], cwd=folder, capture_output=True, text=True, check=False
    )
    assert result.returncode == status, result.stderr + result.stdout
    assert "Traceback" not in result.stderr
    return result.stderr if status else result.stdout


@pytest.mark.slow
def test_images_become_a_model_that_is_evaluated_and_shown(tmp_path):
    data.prepare(tmp_path, limit=96)
    tower = ["--tower", "efficientnet-lite0", "--resize", "square", "--resolution", 64]
    for part in ("train", "heldout"):
        said = _run(tmp_path, "lit-embed", "run", "--source", f"{part}.tsv", *tower, "--output", part)
        assert "rows of 1280 numbers" in said
        assert "sound" in _run(tmp_path, "lit-data", "verify", part)
    small = ["--text-tower.width", 32, "--text-tower.depth", 1, "--text-tower.mlp-width", 64, "--batch-size", 24]
    small += ["--num-epochs", "None", "--num-steps", 30, "--micro-batch-size", 16, "--optimizer.warmup-steps", 3]
    tune = ["--dataset", "train", "--recipe", "demo", "--output", "run", *small]
    _run(tmp_path, "lit-tune", *tune)
    lines = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["step"] == 30
    assert lines[-1]["loss"] < lines[0]["loss"]
    assert "finished" in _run(tmp_path, "lit-tune", *tune)

    model = ["--model", "run/model", "--dataset", "heldout"]
    zero_shot = json.loads(_run(tmp_path, "lit-eval", "zero-shot", *model, "--json"))
    assert zero_shot["top1"]["count"] == 24
    retrieval = json.loads(_run(tmp_path, "lit-eval", "retrieval", *model, "--json"))
    assert retrieval["num_images"] == retrieval["num_texts"] == 24
    # On its training rows even so small a tower is far above chance.
    own = json.loads(_run(tmp_path, "lit-eval", "retrieval", "--model", "run/model", "--dataset", "train", "--json"))
    assert own["text_to_image"]["recall_at_5"]["value"] > 3 * own["text_to_image"]["recall_at_5"]["chance"]
    _run(tmp_path, "lit-eval", "show", *model, "--output", "page.html")
    assert (tmp_path / "page.html").read_text().count("data:image/png") > 20

    tower[-1] = 48
    _run(tmp_path, "lit-embed", "run", "--source", "heldout.tsv", *tower, "--output", "other")
    other = ["--model", "run/model", "--dataset", "other"]
    assert "resolution is 48, the model's is 64" in _run(tmp_path, "lit-eval", "retrieval", *other)
    weights = _write_other_weights(tmp_path / "other.npz")
    _run(tmp_path, "lit-embed", "run", "--source", "heldout.tsv", *tower, "--weights", weights, "--output", "another")
    other[-1] = "another"
    assert "weights_sha256 is '" in _run(tmp_path, "lit-eval", "retrieval", *other, status=2)


def _write_other_weights(path):
    """Writes the published weights with one array slightly changed."""
    arrays = read_weights(find_file("efficientnet-lite0"))
    name = next(name for name, values in arrays.items() if np.ndim(values) == 4)
    np.savez(path, **arrays | {name: arrays[name] * np.float32(1.01)})
    return path


def test_the_demos_emoji_are_drawn_and_split_by_a_fixed_draw(tmp_path):
    for name in ("one", "two"):
        data.prepare(tmp_path / name, limit=40)
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*.*"))
    assert len(files) == 40 + len(data.FILES)
    assert all((tmp_path / "one" / path).read_bytes() == (tmp_path / "two" / path).read_bytes() for path in files)
    rows = [set((tmp_path / "one" / name).read_text().splitlines()[1:]) for name in ("train.tsv", "heldout.tsv")]
    assert [len(part) for part in rows] == [30, 10]
    images = [{row.split("\t")[0] for row in part} for part in rows]
    assert not images[0] & images[1]
    assert len(data.read_emoji()) == 1_903
