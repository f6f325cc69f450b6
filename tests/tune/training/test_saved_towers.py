"""Text towers of every family that start from a folder in transformers' layout: settings, locking, rates, refusals."""

import pathlib

import numpy as np
import pytest

from lit_precompute.commands.tune.flags import parse
from lit_precompute.towers.options import OptionsError
from lit_precompute.towers.text import resolve_text_tower
from lit_precompute.towers.text.start import read_start
from lit_precompute.tune.model.tuned_model import TunedModel
from lit_precompute.tune.recipes import RECIPES
from lit_precompute.tune.training import trainer
from tests.tune.saved_towers import FAMILIES, save_folder
from tests.tune.small_runs import EXECUTION, finish, has_checkpoint, kill_when, model_bytes, start, train, write_dataset

pytestmark = pytest.mark.standard_promotion  # in optax and in JAX's attention
EVERY_FAMILY = [pytest.param(family, marks=[] if family == "t5" else pytest.mark.slow) for family in FAMILIES]
RATE = 1e-2


@pytest.fixture(scope="module")
def dataset_path(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("data") / "dataset")


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory):
    """Returns the folder of a family, which is written once."""
    root, written = tmp_path_factory.mktemp("saved"), {}

    def folder(family):
        if family not in written:
            written[family] = save_folder(root / family, family)
        return written[family]

    return folder


def flags_of(folder, *flags, num_steps=1):
    """Returns flags of Adam whose first step moves each parameter by its rate, however small its gradient is."""
    adam = ("--optimizer.learning-rate", str(RATE), "--optimizer.epsilon", "1e-30", "--optimizer.warmup-steps", "0")
    adam += ("--optimizer.schedule", "constant", "--optimizer.clip-norm", "None", "--optimizer.weight-decay", "0")
    shape = (
        "--batch-size",
        "16",
        "--num-steps",
        str(num_steps),
        "--text.max-tokens",
        "6",
        "--image-side.head-width",
        "64",
    )
    return ["--text-tower.weights", folder, *adam, *shape, *flags]


def parsed(folder, *flags):
    return parse(["--dataset", "x", "--output", "y", *flags_of(folder, *flags)]).recipe


def moved(dataset_path, output, recipe, folder):
    """Trains for a step; returns how far each of the folder's parameters has moved at most, by our names."""
    train(dataset_path, output, recipe, EXECUTION)
    model = TunedModel.load(output)
    first = read_start(model.sides.text, folder)
    assert model.text_parameters.keys() - first.keys() <= {"head/kernel", "head/bias"}
    return {name: float(np.abs(model.text_parameters[name] - values).max()) for name, values in first.items()}


@pytest.mark.parametrize("family", FAMILIES)
def test_lu_takes_the_shape_and_the_tokenizer_alone(folder_of, family):
    recipe = parsed(folder_of(family), "--setting", "Lu")
    _, entry = resolve_text_tower(folder_of(family))
    assert recipe.text_tower == entry.options and recipe.text_tower.weights is None
    assert recipe.tokenizer == entry.tokenizer and recipe.tokenizer.path == folder_of(family)
    assert recipe.setting == "Lu"


@pytest.mark.slow
def test_lu_starts_at_random(dataset_path, folder_of, tmp_path):
    recipe = parsed(folder_of("t5"), "--setting", "Lu")
    distances = moved(dataset_path, tmp_path / "run", recipe, folder_of("t5"))
    # Norms start at one, 0.17 at most from the file's; all else is elsewhere.
    assert all(distance > 10 * RATE for name, distance in distances.items()), distances


@pytest.mark.parametrize("family", EVERY_FAMILY)
def test_upper_case_lu_trains_all_of_the_file_with_the_rates_of_layers(dataset_path, folder_of, tmp_path, family):
    """Of two or three blocks with a decay of 1/2; the factors are worked out by hand."""
    recipe = parsed(folder_of(family), "--setting", "LU", "--trained.layer-decay", "0.5")
    found = moved(dataset_path, tmp_path / "run", recipe, folder_of(family))
    factors = {"blocks/2": 0.5, "blocks/1": 0.25, "blocks/0": 0.125, "final_norm": 1, "head": 1}
    first = 0.0625
    if recipe.text_tower.depth == 2:
        factors |= {"blocks/1": 0.5, "blocks/0": 0.25}
        first = 0.125
    for name, distance in found.items():
        factor = next((value for prefix, value in factors.items() if name.startswith(f"{prefix}/")), first)
        # A bias of keys shifts all scores of a query alike, which softmax ignores.
        if not name.endswith("key/bias"):
            assert distance == pytest.approx(factor * RATE, rel=1e-2), name


@pytest.mark.parametrize("family", EVERY_FAMILY)
def test_ll_keeps_the_bits_of_all_but_the_head(dataset_path, folder_of, tmp_path, family):
    recipe = parsed(folder_of(family), "--setting", "LL")
    assert recipe.setting == "LL"
    found = moved(dataset_path, tmp_path / "run", recipe, folder_of(family))
    assert {name for name, distance in found.items() if distance} <= {"head/kernel", "head/bias"}


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_the_last_block_alone_is_trained(dataset_path, folder_of, tmp_path, family):
    """With what follows it; a table of positions that all blocks share belongs to the first."""
    recipe = parsed(folder_of(family), "--trained.last-layers", "1")
    found = moved(dataset_path, tmp_path / "run", recipe, folder_of(family))
    last = f"blocks/{recipe.text_tower.depth - 1}/"
    for name, distance in found.items():
        is_trained = name.startswith((last, "final_norm/", "head/"))
        assert (distance > 0) == is_trained or name.endswith("key/bias"), name


@pytest.mark.slow
def test_a_killed_run_resumes_with_the_bits_of_what_is_locked(dataset_path, folder_of, tmp_path):
    """Through the command, from weights that are gone once there is a checkpoint."""
    folder = save_folder(tmp_path / "saved", "t5")
    flags = flags_of(folder, "--trained.locked", "token_embedding/*,blocks/0/*", num_steps=12)
    flags += ["--checkpoint-every-steps", "4"]

    def begin(output):
        demo = RECIPES["demo"]
        return start(dataset_path, output, *flags, recipe=demo.recipe, execution=demo.execution)

    status, _, errors = finish(begin(tmp_path / "unbroken"))
    assert status == 0, errors
    killed = begin(tmp_path / "killed")
    assert kill_when(killed, has_checkpoint(tmp_path / "killed", 4)), finish(killed)
    finish(killed)
    first = read_start(TunedModel.load(tmp_path / "unbroken").sides.text, folder)
    (pathlib.Path(folder) / "model.safetensors").unlink()
    status, _, errors = finish(begin(tmp_path / "killed"))
    assert status == 0, errors
    assert model_bytes(tmp_path / "killed") == model_bytes(tmp_path / "unbroken")
    tuned = TunedModel.load(tmp_path / "killed").text_parameters
    locked = {name for name in first if np.array_equal(tuned[name], first[name])}
    assert locked == {name for name in first if name.startswith(("token_embedding/", "blocks/0/"))}


@pytest.mark.parametrize(
    ("weights", "flags", "message"),
    [
        ("t5", ["--text-tower.width", "32"], r"t5 is kind t5, width 64, depth 2, .*leave out the flags .* otherwise"),
        ("t5", ["--text-tower.depth", "3"], r"blocks/2/attention/key/kernel(.|\n)*t5 is kind t5, width 64, depth 2"),
        ("t5-v1_1", ["--text-tower.feed-forward", "relu"], r"t5-v1_1 is kind t5, .*feed_forward gated_gelu"),
        ("bert/model.safetensors", [], r"config.json beside it says kind bert, width 64, .*give the folder, .*/bert\."),
        (
            "bert/model.safetensors",
            ["--text-tower.kind", "t5"],
            r"blocks/0/relative_positions/embedding(.|\n)*beside it says kind bert",
        ),
        ("siglip", ["--image-side.head-width", "24"], r"width 64, .* have 24: .*; or --image-side.head-width 64"),
        ("bert", ["--text.max-tokens", "64"], r"text.max_tokens must be <= 40, the positions of this tower, got 64"),
    ],
    ids=["width", "depth", "feed-forward", "file for a ViT", "file of another family", "head", "positions"],
)
def test_a_wrong_file_is_refused_before_anything_compiles(
    dataset_path, folder_of, tmp_path, monkeypatch, weights, flags, message
):
    """With what would fit; and nothing is written."""

    def compile_nothing(*arguments, **named):
        raise AssertionError("it compiles")

    monkeypatch.setattr(trainer, "start_compiling", compile_nothing)
    family, _, file = weights.partition("/")
    with pytest.raises(ValueError, match=message):
        recipe = parsed(f"{folder_of(family)}/{file}".rstrip("/"), *flags)
        train(dataset_path, tmp_path / "run", recipe, EXECUTION)
    assert not (tmp_path / "run").exists()


def test_another_family_than_the_folders_is_refused(folder_of):
    with pytest.raises(OptionsError, match=r"text_tower.kind must be 't5', which .* is, got 'bert'; leave it out"):
        parsed(folder_of("t5"), "--text-tower.kind", "bert")
