"""Text towers, tuned quickly on the sample's embeddings by each image tower, and what they find among held-out rows.

Promises: for all image towers the recipe, the seeds, the rows that are trained on and the held-out rows are the same. A
training that was finished before is not repeated; one that was stopped is resumed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from lit_precompute.choosing.options import ChooseOptions
from lit_precompute.choosing.sample import Embedded
from lit_precompute.precompute.deriving.embedding_texts.options import EmbedTextsOptions
from lit_precompute.precompute.deriving.options import DeriveOptions
from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.schemas.storage import open_folder
from lit_precompute.towers.heads import GatedHeadOptions
from lit_precompute.towers.text import StoredTextOptions, ViTTextOptions
from lit_precompute.towers.tokenizers import WordOptions
from lit_precompute.tune.config.execution import Execution
from lit_precompute.tune.config.recipe import Recipe
from lit_precompute.tune.data.text_options import TextOptions
from lit_precompute.tune.model.options import ImageSideOptions
from lit_precompute.tune.optimizers import AdamOptions
from lit_precompute.tune.training.sweep import Sweep, SweepProgress

if TYPE_CHECKING:  # they import JAX
    from lit_precompute.tune.evaluation.fair_split import Row, Split
    from lit_precompute.tune.evaluation.paired import RowHits

_FEWEST_HELD_OUT = 20  # any model finds ten of ten
_BATCH_SIZE, _NUM_EPOCHS = 256, 20
_WORDS = Recipe(
    text=TextOptions(choice="sample", max_tokens=16),
    tokenizer=WordOptions(vocabulary_size=8_000),
    text_tower=ViTTextOptions(width=128, depth=1, num_heads=2, mlp_width=512, pooling="average"),
    image_side=ImageSideOptions(standardise=True),
    optimizer=AdamOptions(learning_rate=2e-3, weight_decay=1e-4, warmup_steps=20, clip_norm=1.0),
    batch_size=_BATCH_SIZE,
    num_epochs=_NUM_EPOCHS,
)
_HEADS = dataclasses.replace(
    _WORDS,
    image_side=ImageSideOptions(standardise=True, head=GatedHeadOptions(expansion=2), head_width=512),
    optimizer=AdamOptions(learning_rate=1e-3, weight_decay=1e-4, warmup_steps=20, clip_norm=1.0),
)


class Tuned(NamedTuple):
    """What was tuned on the embeddings of one tower.

    Attributes:
      hits: what each training finds, by row; empty if one failed.
      error: why it failed; "" if none did.
    """

    hits: list[RowHits]
    error: str


class Trials(NamedTuple):
    """What was tuned on the embeddings of each tower.

    Attributes:
      split: the keys that were trained on, and those that were held out.
      num_unusable: rows of the sample that have no text, or that a tower could not embed.
      num_texts: of the held-out rows.
      chances: what a random ranking reaches, by figure.
      towers: in the order of the samples.
    """

    split: Split
    num_unusable: int
    num_texts: int
    chances: dict[str, float]
    towers: list[Tuned]


def tune_each(
    options: ChooseOptions,
    samples: Sequence[Embedded],
    *,
    report: Callable[[int, str, SweepProgress | None], None],
    should_stop: Callable[[], bool],
) -> Trials:
    """Tunes text towers on the embeddings by each tower, and finds the texts and images of held-out rows.

    Args:
      options: how they are compared.
      samples: the embeddings.
      report: called often, with the place of the tower, what is done, and the progress of a training.
      should_stop: called after each step; True saves a checkpoint and stops.

    Raises:
      ValueError: too few rows have texts, or no such text tower.
      TrainingStopped: `should_stop` returned True.
      TrainingError: the disk is full.
    """
    from lit_precompute.tune.evaluation.trials import common_rows, read_queries, select_sides, text_embedder

    with contextlib.ExitStack() as opened:
        embedded = [opened.enter_context(EmbeddingDataset.open(each.options.output)) for each in samples]
        rows = common_rows(embedded)
        split = _split(options, samples, rows)
        _, held_out = select_sides(embedded[0], split)
        asked = read_queries(embedded[0], held_out)
        embed_texts = functools.cache(lambda: text_embedder(str(options.text_tower))(asked.texts))
        towers = [
            _tune(options, sample, split, embed_texts, functools.partial(report, place), should_stop)
            for place, sample in enumerate(samples)
        ]
    num_rows = max(each.manifest.num_rows for each in samples)
    return Trials(split, num_rows - len(rows), len(asked.texts), asked.chances, towers)


def _tune(
    options: ChooseOptions,
    sample: Embedded,
    split: Split,
    embed_texts: Callable[[], Any],
    report: Callable[[str, SweepProgress | None], None],
    should_stop: Callable[[], bool],
) -> Tuned:
    """Returns what text towers find that are tuned on the embeddings by one tower; `embed_texts` is of frozen ones."""
    from lit_precompute.tune.evaluation.trials import hits_of, read_queries, select_sides
    from lit_precompute.tune.model.tuned_model import TunedModel

    is_frozen = options.text_tower is not None
    path = _with_text_embeddings(options, sample, report) if is_frozen else sample.options.output
    with EmbeddingDataset.open(path) as dataset:
        trained_on, held_out = select_sides(dataset, split)
        queries = read_queries(dataset, held_out)
        assert queries.keys == split.held_out, "the same rows for every tower"
        recipe = _recipe(options, len(split.trained_on))
        swept = Sweep(
            dataset,
            recipe,
            {"seed": list(range(options.trainings))},
            open_folder(options.output).join(f"tuned/{sample.name}-{_digest(recipe.to_json(), trained_on.digest)}"),
            execution=Execution(checkpoint_every_steps=100),
            selections=trained_on,
        ).run(lambda progress: report("tuning", progress), should_stop=should_stop)
        if errors := [run.error for run in swept.runs if run.error is not None]:
            return Tuned([], errors[0])
        report("evaluating", None)
        models = {run.values["seed"]: run.model for run in swept.runs if run.model is not None}
        text_vectors = embed_texts() if is_frozen else None
        hits = [hits_of(TunedModel.load(models[seed]), queries, text_vectors) for seed in range(options.trainings)]
    return Tuned(hits, "")


def _split(options: ChooseOptions, samples: Sequence[Embedded], rows: Mapping[str, Row]) -> Split:
    from lit_precompute.tune.evaluation.fair_split import split_fairly

    wanted = options.held_out or max(_FEWEST_HELD_OUT, len(rows) // 4)
    split = split_fairly(rows, wanted)
    where = f"--source {options.source.path}: of {max(each.manifest.num_rows for each in samples):,} rows"
    advice = "give more --rows, or a source with a text of its own for each image"
    if len(split.held_out) < max(_FEWEST_HELD_OUT, wanted if options.held_out else 0):
        raise ValueError(
            f"{where} {len(rows):,} have a text, and {len(split.held_out):,} of these can be held out without a row "
            f"that shares a text or an image; {max(_FEWEST_HELD_OUT, wanted):,} are needed: {advice}"
        )
    if len(split.trained_on) < 2:
        raise ValueError(f"{where} {len(split.trained_on):,} are left to tune on: {advice}, or a smaller --held-out")
    return split


def _recipe(options: ChooseOptions, num_rows: int) -> Recipe:
    """Returns what is trained on so many rows."""
    recipe = _WORDS
    if options.text_tower is not None:
        table = EmbedTextsOptions(tower=options.text_tower).table()
        stored = StoredTextOptions(table=table, head=GatedHeadOptions(expansion=2))
        recipe = dataclasses.replace(_HEADS, text_tower=stored)
    batch_size = min(_BATCH_SIZE, num_rows)
    # The schedules need more steps than they warm up.
    num_epochs = max(_NUM_EPOCHS, -(-3 * recipe.optimizer.warmup_steps // (num_rows // batch_size)))
    return dataclasses.replace(recipe, batch_size=batch_size, num_epochs=num_epochs)


def _with_text_embeddings(
    options: ChooseOptions, sample: Embedded, report: Callable[[str, SweepProgress | None], None]
) -> str:
    """Returns the sample with its texts' embeddings by the frozen text tower, which are made unless they are there."""
    from lit_precompute.precompute.deriving.derivation import derive

    texts = EmbedTextsOptions(tower=options.text_tower)
    name = f"{sample.name}-{_digest(options.text_tower)}"
    output = open_folder(options.output).join(f"texts/{name}")
    derive(
        DeriveOptions(base=sample.options.output, output=output, embed_texts=texts),
        lambda what, done, total: report(f"{what} {done:,}{f'/{total:,}' if total else ''}", None),
    )
    return output


def _digest(*parts: object) -> str:
    """Returns a few digits that tell folders of other recipes or rows apart."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:8]
