"""lit-tune as a user sees it: help, overrides, error messages, exit statuses and the final report."""

import dataclasses
import pathlib
import re
import shutil
import subprocess
import sys

import matplotlib.font_manager  # noqa: F401 -- finds the fonts here, which a program says if it takes it long
import pytest

from lit_precompute.commands import tune as command_line
from lit_precompute.commands.tune import flags as tune_flags
from lit_precompute.commands.tune.train import describe, describe_lengths, describe_minival
from lit_precompute.towers.text import ViTTextOptions
from lit_precompute.towers.tokenizers import SentencePieceOptions, TextLengths, WordOptions
from lit_precompute.tune.config.execution import Execution
from lit_precompute.tune.data.options import DataOptions
from lit_precompute.tune.model.tuned_model import TunedModel
from lit_precompute.tune.optimizers import AdamOptions
from lit_precompute.tune.recipes import RECIPES, SHORT
from lit_precompute.tune.training import inputs
from lit_precompute.tune.training.progress import Progress, TrainingStopped
from tests.schemas.making import TAGS, add_table
from tests.tune.small_runs import (
    EXECUTION,
    NUM_ROWS,
    NUM_WORDS,
    RECIPE,
    ROOT,
    finish,
    flags,
    start,
    train,
    write_dataset,
)


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    """Keeps messages on one line."""
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture(scope="module")
def dataset_path(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("data") / "dataset")


def run(monkeypatch, capsys, *arguments):
    """Runs lit-tune in this process; returns its exit status, output and errors."""
    monkeypatch.setattr(sys, "argv", ["lit-tune", *map(str, arguments)])
    status = 0
    try:
        command_line.main()
    except SystemExit as end:
        status = end.code
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def unfolded(text):
    """Returns a help text on one line, without its boxes."""
    return re.sub(r"[│\s]+", " ", text)


def test_help_teaches(monkeypatch, capsys):
    status, text, _ = run(monkeypatch, capsys, "--help")
    assert status == 0
    for name in SHORT:
        assert re.search(rf"^ *{name} +\w", text, re.MULTILINE)
    assert "lit-tune --dataset emoji --recipe demo --output runs/first" in text
    assert "--optimizer.learning-rate" in text and "--num-epochs" in text


def test_help_of_a_recipe_shows_its_values(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "90")  # in a wider terminal the boxes are side by side
    _, text, _ = run(monkeypatch, capsys, "--recipe", "cc12m", "--help")
    assert "(default: 16384)" in unfolded(text) and "(default: 2000)" in unfolded(text)
    _, text, _ = run(monkeypatch, capsys, "--recipe=demo", "--help")
    assert "(default: 16384)" not in unfolded(text) and "(default: 512)" in unfolded(text)


def test_help_does_not_import_jax():
    program = "import sys\nfrom lit_precompute.commands import tune\nsys.argv = ['lit-tune', '--help']\n"
    program += "try:\n    tune.main()\nfinally:\n    print('jax' in sys.modules, file=sys.stderr)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert result.stderr.strip() == "False"


def parse(*more):
    return tune_flags.parse(["--dataset", "d", "--output=o", *more])


def test_datasets_and_selections_may_be_repeated(monkeypatch, capsys):
    flags = ["--selection", "s", "--dataset=e", "--selection=t", "--data.mixture", "2,1", "--data.views"]
    parsed = parse(*flags, "--data.held-out", "7", "--validate-every-steps", "5")
    assert (parsed.datasets, parsed.selections) == (("d", "e"), ("s", "t"))
    assert parsed.recipe.data == DataOptions(mixture="2,1", views=True, held_out=7)
    assert parsed.execution.validate_every_steps == 5
    status, _, errors = run(monkeypatch, capsys, "--dataset", "nowhere", *flags, "--output", "o")
    assert status == 2 and "nowhere: there is no directory of this name" in errors
    status, _, errors = run(monkeypatch, capsys, "--output", "o")
    assert status == 2 and "--dataset must be given: the directory of an embedding dataset" in errors


@pytest.mark.parametrize("name", [*SHORT, "tab5-yfcc-LU-vit-b32-bert-base-wp"])
def test_every_field_can_be_overridden(name):
    wanted = dataclasses.replace(RECIPE, optimizer=AdamOptions(clip_norm=None, learning_rate=0.5))
    execution = Execution(micro_batch_size=5, tile_rows=9, memory_budget_bytes=10, log_every_steps=2)
    parsed = parse("--recipe", name, *flags(wanted, execution, RECIPES[name]))
    assert (parsed.recipe, parsed.execution) == (wanted, execution)


def test_without_overrides_the_recipe_is_the_named_one():
    for parsed, name in ((parse(), "demo"), (parse("--recipe=cc12m"), "cc12m")):
        assert (parsed.recipe, parsed.execution) == (RECIPES[name].recipe, RECIPES[name].execution)


def test_one_duration_replaces_the_other():
    steps = parse("--num-steps", "70").recipe
    assert (steps.num_steps, steps.num_epochs) == (70, None)
    epochs = parse("--recipe", "lit-base", "--num-epochs=3").recipe
    assert (epochs.num_steps, epochs.num_epochs) == (None, 3)


def test_a_kind_has_its_own_flags_and_keeps_the_shared_fields():
    assert parse("--tokenizer.kind", "sentencepiece").recipe.tokenizer == SentencePieceOptions(vocabulary_size=8_000)
    words = parse("--recipe=cc12m", "--tokenizer.kind=words", "--tokenizer.vocabulary-size", "9").recipe.tokenizer
    assert words == WordOptions(vocabulary_size=9)


@pytest.mark.parametrize(
    ("arguments", "setting", "weights", "last_layers"),
    [
        ((), "Lu", None, None),
        (("--text-tower.weights", "a.npz"), "LU", "a.npz", None),
        (("--text-tower.weights=a.npz", "--setting=LU"), "LU", "a.npz", None),
        (("--text-tower.weights", "a.npz", "--setting", "LL"), "LL", "a.npz", 0),
        (("--setting", "Lu", "--text-tower.weights", "a.npz"), "Lu", None, None),
        (("--text_tower.weights=a.npz", "--setting", "Lu"), "Lu", None, None),
        (("--text-tower.weights", "vit-large"), "Lu", None, None),
    ],
)
def test_a_setting_says_how_the_text_tower_starts(arguments, setting, weights, last_layers):
    recipe = parse(*arguments).recipe
    assert (recipe.setting, recipe.text_tower.weights, recipe.trained.last_layers) == (setting, weights, last_layers)


def test_the_name_of_an_architecture_gives_its_sizes():
    tower = parse("--text-tower.weights", "vit-giant", "--text-tower.pooling", "average").recipe.text_tower
    assert tower == ViTTextOptions(width=1408, depth=40, num_heads=16, mlp_width=6144, pooling="average")


def test_flags_of_earlier_versions_keep_working():
    parsed = parse("--loss.tile-rows", "7", "--optimizer.name=adam")
    assert (parsed.execution.tile_rows, parsed.recipe.optimizer.kind) == (7, "adam")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--setting", "UU"), "error: setting must be one of Lu, LU, LL, got 'UU'"),
        (("--setting", "LU"), "setting LU starts from a pre-trained text tower: give text_tower.weights"),
        (
            ("--setting", "LL", "--text-tower.weights", "vit-tiny"),
            "setting LL starts from a pre-trained text tower, and 'vit-tiny' is an architecture without weights",
        ),
        (("--text-tower.weights", "nothing"), "unknown text tower 'nothing', and no such folder or file"),
        (
            ("--setting", "LU", "--text-tower.weights", "a.npz", "--trained.last-layers", "0"),
            "trained.last_layers 0 are, got LU",
        ),
        (
            ["--recipe", "best"],
            "error: --recipe must be demo, cc12m, lit-base, a row of the paper's Table 10 or a file, got 'best'; "
            "`lit-tune recipes` lists them",
        ),
        (
            ["--recipe", "tab2-ours-Uu-vit-b32-vit-base-sp"],
            "error: tab2-ours-Uu-vit-b32-vit-base-sp trains the image tower (Uu), which is locked here",
        ),
        (["--recipe", "no.toml"], "error: no.toml: No such file or directory"),
        (["--micro-batch-size", "513"], "error: micro_batch_size must be in [1, batch_size], which is 512"),
        (["--num-steps", "9", "--num-epochs", "9"], "error: exactly one of num_epochs and num_steps must be given"),
        (["--optimizer.learning-rate", "-1"], "optimizer.learning_rate must be > 0, got -1.0"),
        (
            ["--tokenizer.kind", "letters"],
            "error: tokenizer.kind must be one of ['sentencepiece', 'words', 'huggingface'], got 'letters'",
        ),
        (["--text-tower.kind", "nowhere:mine"], "error: text_tower.kind nowhere:mine: No module named 'nowhere'"),
        (["--batch-size", "many"], "many"),
        (["--learning-rate", "1"], "--optimizer.learning-rate"),
        ([], "/nowhere: there is no directory of this name; check the path"),
    ],
)
def test_a_mistake_is_one_message_and_status_2(monkeypatch, capsys, tmp_path, arguments, message):
    monkeypatch.chdir(tmp_path)
    status, _, errors = run(monkeypatch, capsys, "--dataset", "nowhere", "--output", "o", *arguments)
    assert status == 2
    assert message in errors
    assert "Traceback" not in errors
    assert not pathlib.Path("o").exists()


def test_a_batch_larger_than_the_dataset(monkeypatch, capsys, dataset_path, tmp_path):
    status, _, errors = run(monkeypatch, capsys, "--dataset", dataset_path, "--output", tmp_path / "run")
    assert status == 2
    assert errors.startswith("error: batch_size must be <= 96, the number of rows with a text, got 512")


@pytest.mark.standard_promotion  # optax's Adam needs it
def test_a_loss_that_is_not_finite_is_status_1(monkeypatch, capsys, dataset_path, tmp_path):
    recipe = dataclasses.replace(RECIPE, optimizer=AdamOptions(learning_rate=1e30, clip_norm=None, warmup_steps=2))
    arguments = ["--dataset", dataset_path, "--output", tmp_path / "run", *flags(recipe, EXECUTION, RECIPES["demo"])]
    status, _, errors = run(monkeypatch, capsys, *arguments)
    assert status == 1
    assert re.match(r"error: step \d+: the loss is", errors)


def test_interrupted_while_preparing_is_status_130(monkeypatch, capsys, dataset_path, tmp_path):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(inputs, "open_texts", interrupt)
    status, _, errors = run(monkeypatch, capsys, "--dataset", dataset_path, "--output", tmp_path / "run")
    assert status == 130
    assert "run the same command again to resume" in errors


@pytest.mark.standard_promotion  # optax's Adam needs it
def test_another_recipe_on_the_same_output_is_refused(monkeypatch, capsys, dataset_path, tmp_path):
    train(dataset_path, tmp_path / "run")
    other = dataclasses.replace(RECIPE, seed=9)
    arguments = ["--dataset", dataset_path, "--output", tmp_path / "run", *flags(other, EXECUTION, RECIPES["demo"])]
    status, _, errors = run(monkeypatch, capsys, *arguments)
    assert status == 2
    assert "recipe.seed is 0 there, 9 was requested" in errors


@pytest.mark.standard_promotion  # optax's Adam needs it
def test_only_the_tables_that_are_read_have_to_exist(monkeypatch, capsys, tmp_path):
    dataset = write_dataset(tmp_path / "dataset")
    train(dataset, tmp_path / "run")
    add_table(dataset, TAGS, {"tags": [["a"]] * NUM_ROWS})
    shutil.rmtree(tmp_path / "dataset/tags")
    arguments = ["--dataset", dataset, "--output", tmp_path / "run", *flags(RECIPE, EXECUTION, RECIPES["demo"])]
    status, text, _ = run(monkeypatch, capsys, *arguments)
    assert (status, text) == (0, f"{tmp_path}/run: already finished; the model is {tmp_path}/run/model\n")


def make_progress(step, rate=100.0):
    metrics = {
        "loss": 2.0,
        "scale": 10.0,
        "learning_rate": 0.1,
        "gradient_norm": 1.0,
        "pairs_per_second": rate,
        "waiting_share": 0.0,
    }
    return Progress(step, 5_000, 16, metrics)


@pytest.mark.parametrize(
    ("step", "words"),
    [(4_900, "100 pairs/s  16 s left"), (4_000, "2 min 40 s left"), (1, "13 min 20 s left"), (5_000, "100 pairs/s")],
)
def test_progress_shows_the_time_left(step, words):
    assert describe(make_progress(step)).endswith(words)


def test_lengths_of_texts_are_one_line():
    lengths = TextLengths(4_000, 12, 21, 1_034, 2_077, max_pieces=15, num_cut=10)
    assert describe_lengths("texts", lengths, 16) == (
        "texts: median 12 pieces, 90% up to 21, 99% up to 1,034, longest 2,077; --text.max-tokens 16 cuts 0.2% of them"
    )


def test_figures_of_held_out_rows_are_one_line():
    recalls = {
        "image_to_text_R@1": 0.275,
        "image_to_text_R@5": 0.42,
        "text_to_image_R@1": 0.17,
        "text_to_image_R@5": 1.0,
    }
    assert describe_minival({"loss": 3.59184, **recalls}) == (
        "image to text R@1 27.5% R@5 42.0%, text to image R@1 17.0% R@5 100.0%, loss 3.5918"
    )


def test_long_times_are_shown_in_hours():
    assert describe(make_progress(1, rate=3.0)).endswith("7 h 24 min left")


@pytest.mark.slow
def test_from_the_command_to_the_model(tmp_path):
    """Runs the program in its own process, twice; the second time there is nothing left to do."""
    texts = [[f"word{row % NUM_WORDS}", *[" "][: row // 90]] for row in range(NUM_ROWS)]
    dataset_path, output = write_dataset(tmp_path / "dataset", texts=texts), tmp_path / "run"
    status, text, errors = finish(start(dataset_path, output))
    assert status == 0, errors
    assert errors == ""
    assert text.startswith(f"96 pairs of {dataset_path}, ")
    assert "\n6 blank texts left out\n" in text
    assert (
        "\ntexts: median 1 pieces, 90% up to 1, 99% up to 1, longest 1; --text.max-tokens 6 cuts none of them\n" in text
    )
    assert re.search(r"^step 24/24  loss \d\.\d{4}  scale \d+\.\d  [\d,]+ pairs/s$", text, re.MULTILINE)
    assert re.search(rf"^model +{output}/model", text, re.MULTILINE)
    assert f"lit-eval retrieval --model {output}/model" in text
    assert (output / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert TunedModel.load(output).embed_texts(["word1"]).shape == (1, 24)
    status, text, _ = finish(start(dataset_path, output))
    assert (status, text) == (0, f"{output}: already finished; the model is {output}/model\n")


@pytest.mark.slow
@pytest.mark.standard_promotion  # optax's Adam needs it
@pytest.mark.parametrize("name", ["_METADATA", "manifest.ocdbt"])
def test_a_damaged_checkpoint_says_which_and_what_to_do(dataset_path, tmp_path, name):
    with pytest.raises(TrainingStopped):
        train(dataset_path, tmp_path / "run", should_stop=lambda: True)
    newest = tmp_path / "run" / "checkpoints" / "1"
    damaged = newest / "default" / name
    damaged.write_bytes(damaged.read_bytes()[: damaged.stat().st_size // 2])
    status, _, errors = finish(start(dataset_path, tmp_path / "run"))
    assert status == 2
    assert re.fullmatch(rf"error: {newest}: cannot be read \(.*\); remove this folder to resume from .*\n", errors)
