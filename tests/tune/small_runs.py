"""A small dataset and recipe that train in seconds, in this process or in one that can be killed."""

import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np

from lit_precompute.schemas import DatasetWriter, EmbeddingDataset, SourceInfo, TowerCard, VectorType, captions_table
from lit_precompute.schemas.tables import embeddings_table
from lit_precompute.towers.text import ViTTextOptions
from lit_precompute.towers.tokenizers import WordOptions
from lit_precompute.tune.config.execution import Execution
from lit_precompute.tune.config.recipe import Recipe
from lit_precompute.tune.data.text_options import TextOptions
from lit_precompute.tune.model.options import ImageSideOptions
from lit_precompute.tune.optimizers import AdamOptions
from lit_precompute.tune.recipes import RECIPES, NamedRecipe

ROOT = pathlib.Path(__file__).parents[2]
WIDTH, NUM_ROWS, NUM_WORDS = 24, 96, 20

RECIPE = Recipe(
    text=TextOptions(max_tokens=6),
    # Exactly the texts' words: a larger vocabulary would cause a warning.
    tokenizer=WordOptions(vocabulary_size=NUM_WORDS + 3),
    text_tower=ViTTextOptions(width=16, depth=1, num_heads=2, mlp_width=32),
    image_side=ImageSideOptions(standardise=True),
    optimizer=AdamOptions(learning_rate=3e-3, warmup_steps=3, weight_decay=1e-4),
    batch_size=16,
    num_epochs=None,
    num_steps=24,
)
EXECUTION = Execution(log_every_steps=1, checkpoint_every_steps=4)


def tower_card(fingerprint="f" * 64, width=WIDTH) -> TowerCard:
    return TowerCard(
        name="drawn",
        architecture={},
        weights_sha256="0" * 64,
        preprocessing={},
        output_width=width,
        pooling="none",
        num_parameters=0,
        fingerprint=fingerprint,
    )


def write_dataset(
    path, *, num_rows=NUM_ROWS, scale=1.0, texts=None, vector_type: VectorType = "float16", tower=None, **options
) -> str:
    """Writes rows of three words; embeddings are sums of their words' vectors, so that there is something to learn."""
    rng = np.random.default_rng(0)
    words = [f"word{number}" for number in range(NUM_WORDS)]
    vectors = rng.standard_normal((NUM_WORDS, WIDTH)).astype(np.float32)
    # Every word occurs, whatever is drawn.
    chosen = np.concatenate(
        [np.arange(NUM_WORDS + 1).reshape(-1, 3) % NUM_WORDS, rng.integers(0, NUM_WORDS, (num_rows - 7, 3))]
    )
    source = SourceInfo(kind="table", path="none", files=[])
    options |= {"tables": [captions_table()], "vector_type": vector_type, "block_rows": 16}
    with DatasetWriter(path, tower=tower or tower_card(), source=source, **options) as writer:
        texts = texts or [[" ".join(words[number] for number in row)] for row in chosen]
        writer.write(
            keys=[f"row{number}" for number in range(num_rows)],
            embeddings=scale * vectors[chosen].sum(axis=1),
            columns={"captions": {"texts": texts}},
        )
    return str(path)


def write_with_views(path, num_views=3, **options) -> str:
    """Writes a dataset as `write_dataset` does, with views whose embeddings are the plain ones and some noise."""
    tables = [embeddings_table(WIDTH, "float16", f"embeddings-view{view}") for view in range(1, num_views + 1)]
    known = {"family": "test", "resolution": 8, "compute_type": "float32"}
    cards = [
        tower_card(f"{view:064x}").model_copy(update={"architecture": known, "preprocessing": {"view": view}})
        for view in range(num_views + 1)
    ]
    with EmbeddingDataset.open(write_dataset(f"{path}-plain", **options)) as plain:
        rows = plain.rows(0, plain.num_rows)
    rng = np.random.default_rng(5)
    views = {table.name: rows.vectors() + 0.3 * rng.standard_normal((rows.num_rows, WIDTH)) for table in tables}
    with DatasetWriter(
        path,
        tower=cards[0],
        other_towers={table.name: card for table, card in zip(tables, cards[1:], strict=True)},
        source=SourceInfo(kind="table", path="none", files=[]),
        tables=[captions_table(), *tables],
        block_rows=16,
    ) as writer:
        columns = {name: {"embedding": vectors} for name, vectors in views.items()}
        writer.write(
            keys=rows["key"].to_pylist(),
            embeddings=rows.vectors(),
            columns={"captions": {"texts": rows["texts"].to_pylist()}, **columns},
        )
    return str(path)


def write_as_float32(path, dataset_path) -> str:
    """Writes another dataset's embeddings as float32, with the same keys and texts."""
    with EmbeddingDataset.open(dataset_path) as dataset:
        rows = dataset.rows(0, dataset.num_rows)
        options = {"tower": dataset.manifest.tower, "source": dataset.manifest.source.info(), "block_rows": 16}
    with DatasetWriter(path, tables=[captions_table()], vector_type="float32", **options) as writer:
        columns = {"captions": {"texts": rows["texts"].to_pylist()}}
        writer.write(keys=rows["key"].to_pylist(), embeddings=rows.vectors(), columns=columns)
    return str(path)


def train(dataset_path, output, recipe=RECIPE, execution=EXECUTION, **options):
    """Runs a training in this process; returns its result."""
    from lit_precompute.tune.training.trainer import Trainer

    with EmbeddingDataset.open(dataset_path) as dataset:
        return Trainer(dataset, recipe, output, execution).run(lambda progress: None, **options)


def model_bytes(output) -> bytes:
    return (pathlib.Path(output) / "model" / "parameters.safetensors").read_bytes()


def metric_lines(output, *, without=("pairs_per_second", "waiting_share")) -> list[dict]:
    lines = [json.loads(line) for line in (pathlib.Path(output) / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name not in without} for line in lines]


def flags(recipe: Recipe, execution: Execution, defaults: NamedRecipe) -> list[str]:
    """Returns the flags that make `recipe` and `execution` of a named recipe."""
    result: list[str] = []

    def compare(wanted, there, prefix):
        for field in dataclasses.fields(wanted):
            value, default = getattr(wanted, field.name), getattr(there, field.name, None)
            name = prefix + field.name.replace("_", "-")
            if dataclasses.is_dataclass(value):
                compare(value, default, f"{name}.")
            elif value != default and isinstance(value, bool):
                result.append(f"--{name}" if value else f"--{prefix}no-{field.name.replace('_', '-')}")
            elif value != default:
                result.extend([f"--{name}", str(value)])

    compare(recipe, defaults.recipe, "")
    compare(execution, defaults.execution, "")
    return result


def start(dataset_path, output, *more: str, recipe=RECIPE, execution=EXECUTION) -> subprocess.Popen:
    """Starts `lit-tune` in a process of its own."""
    command = [sys.executable, "-m", "lit_precompute", "tune", "--dataset", str(dataset_path), "--output", str(output)]
    command += [*flags(recipe, execution, RECIPES["demo"]), *more]
    # No wider than a terminal would be, and no colours, whoever runs the tests.
    environment = {**os.environ, "COLUMNS": "200", "TERM": "dumb"}
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


def finish(process: subprocess.Popen, timeout_s=900) -> tuple[int, str, str]:
    """Waits for a process; returns exit status, output, errors."""
    output, errors = process.communicate(timeout=timeout_s)
    return process.returncode, output, errors


def has_checkpoint(output, step=1):
    """Returns a function that returns whether there is a complete checkpoint of this step or a later one."""
    folder = pathlib.Path(output, "checkpoints")
    return lambda: any(path.name.isdecimal() and int(path.name) >= step for path in folder.glob("*"))


def kill_when(process: subprocess.Popen, condition, number=signal.SIGKILL, timeout_s=900) -> bool:
    """Sends the signal as soon as the condition holds; returns whether the process was still running."""
    deadline = time.monotonic() + timeout_s
    while process.poll() is None and time.monotonic() < deadline:
        if condition():
            process.send_signal(number)
            return True
        time.sleep(0.001)
    assert process.poll() is not None, "the condition never held"
    return False
