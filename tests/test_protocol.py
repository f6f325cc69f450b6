"""The paper's own protocol through the commands: tune on central crops, evaluate on whole images and at 48 pixels.

Source: arXiv:2111.07991, appendices B and G: 224 pixels and 288 there.
"""

import json
import signal

import numpy as np
import pytest

from lit_precompute.commands import evaluate, tune
from lit_precompute.towers.family import Entry
from lit_precompute.towers.image import vit
from lit_precompute.towers.image.vit.config import ViTConfig
from lit_precompute.towers.preprocessing import Preprocessing
from lit_precompute.towers.registry import register, tower_names
from tests.oracles.drawing import draw
from tests.pipelines.embed import making

pytestmark = [
    pytest.mark.slow,
    pytest.mark.standard_promotion,  # optax's Adam and JAX's own attention in bfloat16 need it
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*:FutureWarning"),
]
NAME = "test-protocol-vit"
CONFIG = ViTConfig(resolution=32, patch_size=8, width=24, depth=1, mlp_width=48, num_heads=2)
RECIPE = ["--recipe", "demo", "--batch-size", "16", "--num-steps", "4", "--optimizer.warmup-steps", "1"]
RECIPE += ["--text-tower.width", "16", "--text-tower.depth", "1", "--text-tower.mlp-width", "32"]


def _register():
    if NAME not in tower_names():
        cropped = Preprocessing(size=32, resize="short_side", resize_size=40, crop="central")
        register(NAME, Entry(family=vit.FAMILY, config=CONFIG, preprocessing=cropped))


def _write_weights(path, seed):
    shapes = vit.FAMILY.parameter_shapes(CONFIG) | {"pos_embedding": (1, CONFIG.grid**2, CONFIG.width)}
    np.savez(path, **{name: draw(f"{seed} {name}", shape) / 4 for name, shape in shapes.items()})
    return str(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Datasets of the same images, embedded in several ways, and a model tuned on the central crops."""
    folder = tmp_path_factory.mktemp("protocol")
    _register()
    weights = _write_weights(folder / "weights.npz", 0)
    table = making.write_source(folder / "source", 40, bad=False)
    ways = {
        "crops": {},
        "whole": {"resize": "square"},
        "larger": {"resize": "square", "resolution": 48, "compute_type": "bfloat16"},
        "averages": {"pooling": "average"},
        "other-weights": {},
    }
    before = signal.getsignal(signal.SIGTERM)
    with pytest.MonkeyPatch.context() as patch:
        for name, options in ways.items():
            file = weights if name != "other-weights" else _write_weights(folder / "other.npz", 1)
            command = making.arguments(table, folder / name, file, tower=NAME, rows_per_shard=40, **options)
            assert making.run(patch, *command) == 0
        patch.setattr("sys.argv", ["lit-tune", "--dataset", f"{folder}/crops", "--output", f"{folder}/run", *RECIPE])
        tune.main()
    signal.signal(signal.SIGTERM, before)
    return folder


def _evaluate(monkeypatch, capsys, folder, command, dataset, *more, status=0):
    """Runs lit-eval; returns what it said."""
    arguments = ["--model", f"{folder}/run", "--dataset", f"{folder}/{dataset}", *map(str, more)]
    monkeypatch.setattr("sys.argv", ["lit-eval", command, *arguments])
    capsys.readouterr()
    try:
        evaluate.main()
    except SystemExit as end:
        assert end.code == status
    said = capsys.readouterr()
    return said.err if status else said.out


@pytest.mark.parametrize("command", ["zero-shot", "retrieval", "show"])
def test_whole_images_and_another_resolution_are_evaluated_with_a_notice(
    monkeypatch, capsys, folder, tmp_path, command
):
    more = ["--output", tmp_path / "page.html"] if command == "show" else []
    said = _evaluate(monkeypatch, capsys, folder, command, "crops", *more)
    assert "preprocessing" not in said
    line = "the dataset's preprocessing differs from the model's: "
    said = _evaluate(monkeypatch, capsys, folder, command, "whole", *more)
    assert f"{line}crop is 'none', the model's is 'central'; resize is 'square', the model's is 'short_side'" in said
    said = _evaluate(monkeypatch, capsys, folder, command, "larger", *more)
    assert f"{line}compute_type is 'bfloat16', the model's is 'float32'; crop is 'none'" in said
    assert "resolution is 48, the model's is 32; size is 48, the model's is 32\n" in said


@pytest.mark.parametrize("command", ["zero-shot", "retrieval"])
def test_results_state_both_preprocessings(monkeypatch, capsys, folder, command):
    result = json.loads(_evaluate(monkeypatch, capsys, folder, command, "crops", "--json"))
    assert result["preprocessing_differences"] == {}
    result = json.loads(_evaluate(monkeypatch, capsys, folder, command, "larger", "--json"))
    assert result["preprocessing_differences"] == {
        "compute_type": {"model": "float32", "dataset": "bfloat16"},
        "crop": {"model": "central", "dataset": "none"},
        "resize": {"model": "short_side", "dataset": "square"},
        "resize_size": {"model": 40, "dataset": 48},
        "resolution": {"model": 32, "dataset": 48},
        "size": {"model": 32, "dataset": 48},
    }


@pytest.mark.parametrize("command", ["zero-shot", "retrieval", "show"])
def test_another_network_is_refused_with_the_differences(monkeypatch, capsys, folder, tmp_path, command):
    more = ["--output", tmp_path / "page.html"] if command == "show" else []
    said = _evaluate(monkeypatch, capsys, folder, command, "other-weights", *more, status=2)
    assert (
        f"other-weights: its tower '{NAME}' is not the one that the model was tuned on, '{NAME}': weights_sha256 is"
        in said
    )
    assert "the model's is" in said and "pooling" not in said
    said = _evaluate(monkeypatch, capsys, folder, command, "averages", *more, status=2)
    assert "pooling is 'average', the model's is 'class_token'. Embed the images with that tower" in said
    assert not (tmp_path / "page.html").exists()
