"""Training: steps over batches, metrics, checkpoints, and the tuned model at the end.

Promises: a run that is stopped at any moment, also by a kill, goes on with the same command and ends in bitwise the
parameters of an unbroken run. A loss or gradient that is not finite stops the run with the step named; what it made is
never saved. Nothing here prints: progress goes to the `report` that the caller gives.
"""

import functools
import math
import os
import pathlib
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from schemas import EmbeddingDataset
from tune import image_side
from tune.batches import BatchSource, iterate
from tune.checkpoints import Checkpoints
from tune.gradient_cache import CachedGradient
from tune.image_side import Statistics
from tune.metrics import MetricsWriter
from tune.optimizer import make_optimizer, make_schedule
from tune.recipes import Recipe
from tune.run_directory import RunDirectory
from tune.standardisation import vector_statistics
from tune.texts import iterate_texts
from tune.tokenizers import Tokenizer, load_tokenizer, train_tokenizer
from tune.tuned_model import TunedModel, make_text_tower


class TrainingError(RuntimeError):
    """Training cannot go on; the message says at which step, why, and what to do."""


class TrainingState(NamedTuple):
    """All that a checkpoint holds beside the step.

    `first_bad_step` is the first step whose loss or gradient was not finite, -1 while there is none: it is kept on
    the device, so that no step waits for the host to look.
    """

    parameters: Any
    optimizer: Any
    first_bad_step: jax.Array


class Progress(NamedTuple):
    """What the caller is told now and then: `step` steps of `num_steps` are done."""

    step: int
    num_steps: int
    metrics: dict[str, float]


class Trainer:
    """One run: a recipe on a dataset, in an output directory."""

    def __init__(self, dataset: EmbeddingDataset, recipe: Recipe, output: str | os.PathLike[str]):
        """Prepares tokenizer, batches and parameters, or takes up what an earlier run left.

        Raises:
          ValueError: the dataset or the recipe cannot be trained on, or the output holds another run.
        """
        self.recipe = recipe
        self._dataset = dataset
        self._directory = RunDirectory(output)
        self._directory.claim(dataset, recipe)
        self._tokenizer = self._prepare_tokenizer()
        self._statistics = self._prepare_statistics()
        self.batches = BatchSource(
            dataset,
            self._tokenizer,
            batch_size=recipe.batch_size,
            seed=recipe.seed,
            text=recipe.text,
            memory_budget_bytes=recipe.memory_budget_bytes,
        )
        self._directory.check_order(self.batches.order())
        self.num_steps = recipe.count_steps(self.batches.num_batches_per_epoch)
        self._schedule = make_schedule(recipe.optimizer, self.num_steps)
        self._graph, self._state = self._initial_state()
        self._step_function = self._compile()
        self._checkpoints = Checkpoints(self._directory.checkpoints)
        self.first_step = self._checkpoints.newest_step() or 0
        if self.first_step:
            self._state = self._checkpoints.restore(self._state)

    @property
    def num_parameters(self) -> int:
        """Numbers that are trained."""
        return sum(leaf.size for leaf in jax.tree.leaves(self._state.parameters))

    def run(self, report: Callable[[Progress], None]) -> pathlib.Path:
        """Trains from where the run stands to its end and returns the tuned model's directory.

        Raises:
          TrainingError: a loss or gradient that is not finite.
        """
        metrics = MetricsWriter(self._directory.path, self.first_step + 1)
        step = self.first_step
        try:
            started, counted_from = time.perf_counter(), step
            for batch in iterate(self.batches, step, self.num_steps - step):
                self._state, measured = self._step_function(self._state, step, batch.tokens, batch.image_vectors)
                step += 1
                if step % self.recipe.log_every_steps == 0 or step in (self.first_step + 1, self.num_steps):
                    values = self._read(measured, step)  # waits for the device
                    now = time.perf_counter()
                    values["pairs_per_second"] = (step - counted_from) * self.recipe.batch_size / (now - started)
                    started, counted_from = now, step
                    metrics.write(step, values)
                    report(Progress(step, self.num_steps, values))
                if step % self.recipe.checkpoint_every_steps == 0 or step == self.num_steps:
                    self._save(step)
        except KeyboardInterrupt:
            self._save(step)
            raise
        finally:
            metrics.close()
            self._checkpoints.close()
            self.batches.close()
        return self._write_model()

    def _prepare_tokenizer(self) -> Tokenizer:
        folder = self._directory.tokenizer
        if not folder.exists():
            texts = iterate_texts(self._dataset)
            tokenizer = train_tokenizer(self.recipe.tokenizer, texts, lower_case=self.recipe.text.lower_case)
            self._directory.publish_folder(folder, lambda path: tokenizer.save(str(path)))
        return load_tokenizer(str(folder))

    def _prepare_statistics(self) -> Statistics | None:
        if not self.recipe.image_side.standardise:
            return None
        mean, deviation = vector_statistics(self._dataset)
        return Statistics(mean.astype(np.float32), deviation.astype(np.float32))

    def _initial_state(self) -> tuple[Any, TrainingState]:
        side = self.recipe.image_side
        width = self._dataset.width
        tower = make_text_tower(self.recipe, self._tokenizer, side.head_width or width)
        graph, text = nnx.split(tower, nnx.Param)
        head_key = jax.random.fold_in(jax.random.key(self.recipe.seed), 1)  # not the text tower's stream
        parameters = {
            "text": text,
            "image": image_side.draw_head(side, width, head_key),
            "log_scale": jnp.float32(math.log(self.recipe.loss.initial_scale)),
        }
        optimizer = make_optimizer(self.recipe.optimizer, self.num_steps).init(parameters)
        return graph, TrainingState(parameters, optimizer, jnp.int32(-1))

    def _compile(self):
        optimizer = make_optimizer(self.recipe.optimizer, self.num_steps)
        gradient = CachedGradient(
            encode_text=lambda parameters, tokens: nnx.merge(self._graph, parameters)(tokens),
            encode_image=lambda parameters, vectors: image_side.encode(parameters, self._statistics, vectors),
            micro_batch_size=self.recipe.micro_batch_size or self.recipe.batch_size,
            tile_rows=self.recipe.loss.tile_rows,
        )

        @functools.partial(jax.jit, donate_argnums=0)
        def step_function(state: TrainingState, step: jax.Array, tokens: jax.Array, vectors: jax.Array):
            loss, gradients = gradient(state.parameters, tokens, vectors)
            norm = optax.global_norm(gradients)
            updates, optimizer_state = optimizer.update(gradients, state.optimizer, state.parameters)
            is_bad = (state.first_bad_step < 0) & ~(jnp.isfinite(loss) & jnp.isfinite(norm))
            parameters = optax.apply_updates(state.parameters, updates)
            bad_step = jnp.where(is_bad, step + 1, state.first_bad_step)
            measured = {"loss": loss, "gradient_norm": norm, "scale": jnp.exp(state.parameters["log_scale"])}
            return TrainingState(parameters, optimizer_state, bad_step), measured

        return step_function

    def _read(self, measured: dict[str, jax.Array], step: int) -> dict[str, float]:
        self._check_finite()
        rate = self.recipe.optimizer.learning_rate * float(np.asarray(self._schedule(step - 1)))
        return {name: float(value) for name, value in measured.items()} | {"learning_rate": rate}

    def _check_finite(self) -> None:
        bad_step = int(self._state.first_bad_step)
        if bad_step >= 0:
            raise TrainingError(
                f"step {bad_step}: the loss or its gradient is not finite; the last good checkpoint is kept (step "
                f"{self._checkpoints.newest_step() or 0} in {self._directory.checkpoints}). Train again to another "
                "output with a lower --optimizer.learning-rate or a longer --optimizer.warmup-steps"
            )

    def _save(self, step: int) -> None:
        self._check_finite()
        self._checkpoints.save(step, self._state)

    def _write_model(self) -> pathlib.Path:
        parameters = self._state.parameters
        model = TunedModel(
            recipe=self.recipe,
            tower=nnx.merge(self._graph, parameters["text"]),
            tokenizer=self._tokenizer,
            head={name: np.asarray(value) for name, value in parameters["image"].items()},
            statistics=self._statistics,
            scale=float(np.exp(np.float32(parameters["log_scale"]))),
            image_tower=self._dataset.manifest.tower.model_dump(),
        )
        model.save(self._directory.model)
        return self._directory.model
