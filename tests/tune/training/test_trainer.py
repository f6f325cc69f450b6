"""Training against plain JAX and optax; stopping, resuming and failing, in one process and by signals."""

import dataclasses
import json
import pathlib
import re
import shutil
import signal
import subprocess
from typing import Literal

import jax
import jax.numpy as jnp
import matplotlib.font_manager  # noqa: F401 -- finds the fonts here, which a program says if it takes it long
import numpy as np
import optax
import pytest

from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.towers.tokenizers import SentencePieceOptions, WordOptions
from lit_precompute.tune.config.execution import Execution
from lit_precompute.tune.data.batches import BatchSource
from lit_precompute.tune.losses import LossOptions, SoftmaxOptions, make_loss
from lit_precompute.tune.model.options import ImageSideOptions
from lit_precompute.tune.optimizers import AdamOptions
from lit_precompute.tune.training.failures import TrainingError
from lit_precompute.tune.training.progress import TrainingStopped
from lit_precompute.tune.training.trainer import Trainer
from tests.schemas.making import TAGS, add_table
from tests.tune.small_runs import (
    EXECUTION,
    NUM_ROWS,
    RECIPE,
    finish,
    has_checkpoint,
    kill_when,
    metric_lines,
    model_bytes,
    start,
    train,
    write_as_float32,
    write_dataset,
)

pytestmark = pytest.mark.standard_promotion  # optax's Adam needs it


@pytest.fixture(scope="module")
def dataset_path(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("data") / "dataset")


@pytest.fixture(scope="module")
def unbroken(dataset_path, tmp_path_factory):
    """The output of an uninterrupted run."""
    output = tmp_path_factory.mktemp("runs") / "unbroken"
    train(dataset_path, output)
    return output


def stop_at(step):
    """Returns a `should_stop` that returns True after this many steps."""
    asked = iter(range(1, 1_000))
    return lambda: next(asked) >= step


def naive_loss(parameters, text_tower, tokens, images):
    """The definition, left to automatic differentiation."""
    texts = text_tower.apply(parameters.text, tokens)
    texts = texts / jnp.linalg.norm(texts, axis=1, keepdims=True)
    images = images / jnp.linalg.norm(images, axis=1, keepdims=True)
    logits = jnp.exp(parameters.loss["log_scale"]) * texts @ images.T
    return -sum(jnp.diag(jax.nn.log_softmax(logits, axis)).mean() for axis in (0, 1)) / 2


def test_matches_plain_jax_and_optax(dataset_path, tmp_path):
    """Four steps in micro-batches against the plain loss over the whole batch and optax's own AdamW."""
    recipe = dataclasses.replace(
        RECIPE,
        num_steps=4,
        optimizer=AdamOptions(learning_rate=1e-2, clip_norm=0.5, schedule="constant"),
        image_side=ImageSideOptions(standardise=False),
    )
    with EmbeddingDataset.open(dataset_path) as dataset:
        execution = dataclasses.replace(EXECUTION, micro_batch_size=5)
        trainer = Trainer(dataset, recipe, tmp_path / "run", execution)
        # Copies: the first step consumes the state.
        parameters = jax.tree.map(jnp.array, trainer.parameters)
        text_tower = trainer.sides.text
        batches = [trainer.batches.batch(step) for step in range(4)]
        trainer.run(lambda progress: None)
        found = trainer.parameters
    optimizer = optax.chain(optax.clip_by_global_norm(0.5), optax.adam(1e-2))
    optimizer_state = jax.jit(optimizer.init)(parameters)
    losses = []

    @jax.jit
    def plain_step(parameters, optimizer_state, tokens, images):
        loss, gradients = jax.value_and_grad(naive_loss)(parameters, text_tower, tokens, images)
        updates, optimizer_state = optimizer.update(gradients, optimizer_state, parameters)
        return optax.apply_updates(parameters, updates), optimizer_state, loss

    for batch in batches:
        images = batch.images.numbers.astype(np.float32)
        parameters, optimizer_state, loss = plain_step(parameters, optimizer_state, batch.texts.inputs, images)
        losses.append(float(loss))
    np.testing.assert_allclose([line["loss"] for line in metric_lines(tmp_path / "run")], losses, rtol=1e-5)
    for (path, got), (_, want) in zip(
        jax.tree.leaves_with_path(found), jax.tree.leaves_with_path(parameters), strict=True
    ):
        # A bias of the keys changes no attention: its gradient is rounding alone, which Adam amplifies to full steps.
        if "key/bias" not in (name := jax.tree_util.keystr(path)):
            np.testing.assert_allclose(got, want, atol=2e-4, err_msg=name)


def test_learns(unbroken):
    lines = metric_lines(unbroken)
    assert [line["step"] for line in lines] == list(range(1, 25))
    assert lines[-1]["loss"] < 0.8 * lines[0]["loss"]
    assert lines[0]["scale"] == pytest.approx(10.0)
    rates = [line["learning_rate"] for line in lines]
    assert rates[0] == 0 and np.argmax(rates) == 3 and rates[-1] < 1e-4  # warm-up, peak, cosine


@pytest.mark.parametrize("step", [1, 4, 7, 23])
def test_a_stopped_run_resumes_and_ends_in_the_same_bits(dataset_path, unbroken, tmp_path, step):
    with pytest.raises(TrainingStopped) as stopped:
        train(dataset_path, tmp_path / "run", should_stop=stop_at(step))
    assert stopped.value.step == step
    assert not (tmp_path / "run" / "model").exists()
    train(dataset_path, tmp_path / "run")
    assert model_bytes(tmp_path / "run") == model_bytes(unbroken)
    assert metric_lines(tmp_path / "run") == metric_lines(unbroken)


def test_a_stop_in_the_last_step_finishes(dataset_path, unbroken, tmp_path):
    train(dataset_path, tmp_path / "run", should_stop=stop_at(RECIPE.num_steps))
    assert model_bytes(tmp_path / "run") == model_bytes(unbroken)


def test_a_damaged_line_of_metrics_does_not_stop_a_resume(dataset_path, unbroken, tmp_path):
    with pytest.raises(TrainingStopped):
        train(dataset_path, tmp_path / "run", should_stop=stop_at(4))
    (tmp_path / "run/metrics.jsonl").write_text('{"step": 1}\n{"step": 2, "lo')
    train(dataset_path, tmp_path / "run")
    assert model_bytes(tmp_path / "run") == model_bytes(unbroken)
    assert [line["step"] for line in metric_lines(tmp_path / "run")] == list(range(5, RECIPE.num_steps + 1))


def test_lost_metrics_of_the_last_step_are_an_error_that_says_how_to_go_on(dataset_path, unbroken, tmp_path):
    run = shutil.copytree(unbroken, tmp_path / "run")
    shutil.rmtree(run / "model")
    (run / "metrics.jsonl").write_text('{"step": 1}\n')
    with pytest.raises(
        TrainingError, match=rf"metrics\.jsonl: the line of the last step, 24, .*remove {run}/checkpoints/24"
    ):
        train(dataset_path, run)
    shutil.rmtree(run / "checkpoints/24")
    train(dataset_path, run)
    assert model_bytes(run) == model_bytes(unbroken)


def test_execution_settings_may_change_on_resume(dataset_path, unbroken, tmp_path):
    with pytest.raises(TrainingStopped):
        train(dataset_path, tmp_path / "run", should_stop=stop_at(9))
    other = Execution(micro_batch_size=7, tile_rows=5, log_every_steps=5, checkpoint_every_steps=100)
    result = train(dataset_path, tmp_path / "run", execution=other)
    # The same mathematics, summed in another order.
    assert result.final_loss == pytest.approx(metric_lines(unbroken)[-1]["loss"], rel=1e-4)


def test_another_run_is_refused_with_both_values(dataset_path, unbroken, tmp_path):
    other = dataclasses.replace(RECIPE, seed=5, optimizer=dataclasses.replace(RECIPE.optimizer, learning_rate=0.5))
    with pytest.raises(
        ValueError, match=r"learning_rate is 0\.003 there, 0\.5 was requested; .*seed is 0 there, 5 was requested"
    ):
        train(dataset_path, unbroken, other)
    larger = write_dataset(tmp_path / "larger", num_rows=NUM_ROWS + 1)
    with pytest.raises(ValueError, match=r"num_rows is 96 there, 97 was requested"):
        train(larger, unbroken)


def test_a_run_directory_of_an_earlier_version_is_refused(dataset_path, tmp_path):
    with pytest.raises(TrainingStopped):
        train(dataset_path, tmp_path / "run", should_stop=stop_at(1))
    path = tmp_path / "run" / "run.json"
    content = json.loads(path.read_text())
    del content["format_version"]
    path.write_text(json.dumps(content))
    with pytest.raises(
        ValueError, match=r"started by another version .* finish it with that version, or choose another"
    ):
        train(dataset_path, tmp_path / "run")


def test_a_run_resumes_after_a_table_was_added(unbroken, tmp_path):
    dataset = write_dataset(tmp_path / "dataset")
    with pytest.raises(TrainingStopped):
        train(dataset, tmp_path / "run", should_stop=stop_at(7))
    add_table(dataset, TAGS, {"tags": [["a"]] * NUM_ROWS})
    train(dataset, tmp_path / "run")
    assert model_bytes(tmp_path / "run") == model_bytes(unbroken)


def test_a_folder_of_other_files_is_refused(dataset_path, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ValueError, match=r"contains files that do not belong to a training run \(thesis\.tex\)"):
        train(dataset_path, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_two_runs_cannot_share_a_folder(dataset_path, tmp_path):
    with EmbeddingDataset.open(dataset_path) as dataset:
        trainer = Trainer(dataset, RECIPE, tmp_path / "run")
        with pytest.raises(ValueError, match="another lit-tune is running there"):
            Trainer(dataset, RECIPE, tmp_path / "run")
        trainer.run(lambda progress: None)


def test_a_loss_that_is_not_finite_stops_and_is_never_saved(dataset_path, tmp_path):
    """The learning rate explodes: some step overflows, and only earlier checkpoints are kept."""
    recipe = dataclasses.replace(
        RECIPE,
        optimizer=AdamOptions(learning_rate=1e18, clip_norm=None, warmup_steps=15),
    )
    often = dataclasses.replace(EXECUTION, checkpoint_every_steps=1)
    with pytest.raises(TrainingError, match=r"step \d+: the loss is .* is kept in .*checkpoints") as stopped:
        train(dataset_path, tmp_path / "run", recipe, often)
    bad_step, kept = (int(number) for number in re.findall(r"step (\d+)", str(stopped.value))[:2])
    assert kept == bad_step - 1 >= 1
    assert [line["step"] for line in metric_lines(tmp_path / "run")] == list(range(1, bad_step))
    assert not (tmp_path / "run" / "model").exists()
    with EmbeddingDataset.open(dataset_path) as dataset:
        trainer = Trainer(dataset, recipe, tmp_path / "run", often)
        assert trainer.first_step == kept
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(trainer.parameters))
        # The batch is a function of the step, so the same command fails again, and says so.
        with pytest.raises(TrainingError, match=rf"step {bad_step}: .*The same command would fail again"):
            trainer.run(lambda progress: None)


@dataclasses.dataclass(frozen=True, kw_only=True)
class InfiniteOptions(LossOptions):
    """A loss from outside the package: the softmax loss and infinity, whose gradients are finite."""

    kind: Literal["test-infinite"] = "test-infinite"


def make_infinite(options, **arguments):
    loss = make_loss(SoftmaxOptions(initial_scale=options.initial_scale), **arguments)
    return dataclasses.replace(loss, value=lambda *given: loss.value(*given) + jnp.inf)


def register_infinite():
    if "test-infinite" not in LossOptions.kinds.names():
        LossOptions.kinds.register(InfiniteOptions, make_infinite)


def test_an_infinite_loss_with_finite_gradients_does_not_blame_the_parameters(dataset_path, tmp_path):
    register_infinite()
    with pytest.raises(TrainingError, match=r"step 1: the loss is inf, the gradient's norm \d") as stopped:
        train(dataset_path, tmp_path / "run", dataclasses.replace(RECIPE, loss=InfiniteOptions()))
    assert "parameters are finite" not in str(stopped.value)


def test_an_exhausted_device_says_which_flags_help(dataset_path, tmp_path, monkeypatch):
    """The error is XLA's, raised by hand: a test cannot fill the memory of its machine."""

    def fail(*_):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes.\nmore")

    with EmbeddingDataset.open(dataset_path) as dataset:
        trainer = Trainer(dataset, RECIPE, tmp_path / "run")
        monkeypatch.setattr(BatchSource, "batch", fail)
        with pytest.raises(TrainingError, match=r"allocating 9 bytes\.\): give a smaller --micro-batch-size than 16"):
            trainer.run(lambda progress: None)


def with_optimizer(**options):
    return dataclasses.replace(RECIPE.optimizer, **options)


@pytest.mark.parametrize(
    ("recipe", "execution", "message"),
    [
        ({"batch_size": 97}, {}, "batch_size must be <= 96, the number of rows with a text, got 97"),
        (
            {"num_steps": None, "num_epochs": 1, "optimizer": with_optimizer(warmup_steps=6)},
            {},
            r"optimizer\.warmup_steps must be < the 6 steps of training, got 6",
        ),
        ({"tokenizer": WordOptions(path="nowhere.txt")}, {}, r"nowhere\.txt': no such file"),
        ({"tokenizer": SentencePieceOptions(vocabulary_size=8)}, {}, "choose a larger tokenizer.vocabulary_size"),
        ({}, {"micro_batch_size": 17}, r"micro_batch_size must be in \[1, batch_size\]"),
        ({}, {"memory_budget_bytes": 100}, "memory_budget_bytes must hold"),
    ],
)
def test_a_refused_start_writes_nothing(dataset_path, tmp_path, recipe, execution, message):
    """So the corrected command may have the same output."""
    with pytest.raises(ValueError, match=message):
        train(
            dataset_path,
            tmp_path / "run",
            dataclasses.replace(RECIPE, **recipe),
            dataclasses.replace(EXECUTION, **execution),
        )
    assert list(tmp_path.iterdir()) == []


def test_a_dataset_without_texts_is_refused_before_anything_is_written(tmp_path):
    dataset = write_dataset(tmp_path / "dataset", texts=[["  "]] * NUM_ROWS)
    message = (
        f"dataset: none of the {NUM_ROWS} rows has a text, so there is nothing to tune on; embed .*lit-eval zero-shot"
    )
    with pytest.raises(ValueError, match=message):
        train(dataset, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_output_where_nothing_was_trained_takes_a_corrected_run(dataset_path, unbroken, tmp_path):
    """The first run fails in its first step, after the claim."""
    register_infinite()
    with pytest.raises(TrainingError, match="step 1: the loss is inf"):
        train(dataset_path, tmp_path / "run", dataclasses.replace(RECIPE, loss=InfiniteOptions(), batch_size=8))
    assert (tmp_path / "run/run.json").exists()
    train(dataset_path, tmp_path / "run")
    assert model_bytes(tmp_path / "run") == model_bytes(unbroken)


def test_trains_an_image_head(dataset_path, tmp_path):
    from lit_precompute.tune.model.tuned_model import TunedModel

    side = ImageSideOptions(standardise=True, head_width=10)
    train(dataset_path, tmp_path / "run", dataclasses.replace(RECIPE, image_side=side, compute_type="bfloat16"))
    model = TunedModel.load(tmp_path / "run")
    assert model.embed_texts(["word1 word2"]).shape == (1, 10)
    assert np.abs(model.image_parameters["bias"]).max() > 1e-4  # it began at zero


def test_reads_windows_where_the_budget_is_small(dataset_path, tmp_path):
    """It resumes as in memory; another budget would change the order and is refused."""
    small = dataclasses.replace(EXECUTION, memory_budget_bytes=6_000)
    train(dataset_path, tmp_path / "unbroken", execution=small)
    with pytest.raises(TrainingStopped):
        train(dataset_path, tmp_path / "run", execution=small, should_stop=stop_at(10))
    with pytest.raises(ValueError, match="kind is 'windows' there, 'rows' was requested"):
        train(dataset_path, tmp_path / "run")
    train(dataset_path, tmp_path / "run", execution=small)
    assert model_bytes(tmp_path / "run") == model_bytes(tmp_path / "unbroken")


@pytest.mark.parametrize(
    ("standardise", "budgets"),
    [(True, (EXECUTION.memory_budget_bytes, EXECUTION.memory_budget_bytes)), (False, (6_000, 12_000))],
)
def test_int8_trains_as_its_float32_values(tmp_path, standardise, budgets):
    """In memory, standardised and through a head; and in as many windows, unchanged, where it is equal to the bit."""
    side = ImageSideOptions(standardise=standardise, head_width=10 if standardise else None)
    quantised = write_dataset(tmp_path / "0", vector_type="int8")
    datasets = [quantised, write_as_float32(tmp_path / "1", quantised)]
    orders, losses = [], []
    for number, (dataset, budget) in enumerate(zip(datasets, budgets, strict=True)):
        output = tmp_path / f"run-{number}"
        execution = dataclasses.replace(EXECUTION, memory_budget_bytes=budget)
        train(dataset, output, dataclasses.replace(RECIPE, image_side=side), execution)
        orders.append(json.loads((output / "run.json").read_text())["order"])
        losses.append([line["loss"] for line in metric_lines(output)])
    assert orders[0] == orders[1]
    assert orders[0]["kind"] == ("rows" if standardise else "windows")
    if standardise:
        # The compiler may fuse the product with the scale and the subtraction of the mean, and round once instead of
        # twice; the difference grows over the steps.
        np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)
    else:
        assert model_bytes(tmp_path / "run-0") == model_bytes(tmp_path / "run-1")


def lines_in(output):
    path = pathlib.Path(output) / "metrics.jsonl"
    return path.read_text().count("\n") if path.exists() else 0


def half_written(output):
    """Returns whether a checkpoint is being written."""
    folder = pathlib.Path(output) / "checkpoints"
    return folder.exists() and any("tmp" in path.name for path in folder.iterdir())


@pytest.mark.slow
def test_killed_again_and_again_ends_in_the_same_bits(dataset_path, unbroken, tmp_path):
    """SIGKILL while preparing, in a step, while a checkpoint is written, and near the end; each time it resumes."""
    output = tmp_path / "run"
    moments = [
        (output / "run.json").exists,
        lambda: lines_in(output) >= 2,
        lambda: half_written(output),
        lambda: lines_in(output) >= 13,
        has_checkpoint(output, 20),
        lambda: lines_in(output) >= 24,
    ]
    killed = 0
    for moment in moments:
        process = start(dataset_path, output)
        killed += kill_when(process, moment)
        finish(process)
        # Older ones may be half removed.
        saved = [int(path.name) for path in (output / "checkpoints").glob("*") if path.name.isdecimal()]
        assert not saved or (output / f"checkpoints/{max(saved)}/_CHECKPOINT_METADATA").exists()
    assert killed >= 5, "each moment must be hit; the last may be too late"
    status, _, errors = finish(start(dataset_path, output))
    assert status == 0, errors
    assert model_bytes(output) == model_bytes(unbroken)
    assert metric_lines(output) == metric_lines(unbroken)


@pytest.mark.slow
def test_an_interrupt_saves_and_says_how_to_resume(dataset_path, tmp_path):
    """No checkpoint is due before the end: the one it resumes from was saved because of the signal."""
    output, saved = tmp_path / "run", 0
    # So many steps that the signal comes before the last one.
    recipe = dataclasses.replace(RECIPE, num_steps=500)
    rarely = dataclasses.replace(EXECUTION, checkpoint_every_steps=1000)
    train(dataset_path, tmp_path / "unbroken", recipe, rarely)
    for number in (signal.SIGINT, signal.SIGTERM):
        lines = lines_in(output) + 2  # so that it trains, and listens
        process = start(dataset_path, output, recipe=recipe, execution=rarely)
        assert kill_when(process, lambda lines=lines: lines_in(output) >= lines, number), finish(process)
        status, text, errors = finish(process)
        assert status == 130
        assert "Traceback" not in errors
        assert "run the same command again to resume" in errors
        assert not saved or f"resuming after step {saved}" in text
        saved = int(re.search(r"step (\d+) is saved", errors).group(1))
    status, text, errors = finish(start(dataset_path, output, recipe=recipe))
    assert status == 0, errors
    assert f"resuming after step {saved}" in text
    assert model_bytes(output) == model_bytes(tmp_path / "unbroken")


@pytest.mark.slow
@pytest.mark.parametrize("size", ["4k", "60k", "100k", "250k", "330k"])
def test_a_full_disk_is_one_sentence_and_the_same_command_goes_on(dataset_path, unbroken, tmp_path, size):
    """Full at the claim, in the first checkpoint, in a later one, at the end. Needs a user who may mount a tmpfs."""
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", small], check=False).returncode:
        pytest.skip("this user may not mount a tmpfs")
    try:
        status, _, errors = finish(start(dataset_path, small / "run"))
        assert status == 1
        assert re.fullmatch(
            rf"error: {small}/run: no space left on the disk.*; free some and run the same .*\n", errors
        )
        assert not (small / "run" / "model").exists()
        subprocess.run(["mount", "-o", "remount,size=9m", small], check=True)
        status, _, errors = finish(start(dataset_path, small / "run"))
        assert (status, errors) == (0, "")
        assert model_bytes(small / "run") == model_bytes(unbroken)
        assert metric_lines(small / "run") == metric_lines(unbroken)
    finally:
        subprocess.run(["umount", small], check=True)


def test_the_run_says_what_it_is(unbroken):
    content = json.loads((unbroken / "run.json").read_text())
    assert content["dataset"]["num_rows"] == NUM_ROWS
    assert content["order"]["kind"] == "rows"
