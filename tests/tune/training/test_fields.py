"""Training on several fields of texts: runs that end in the same bits however they get there, and what is refused."""

import dataclasses
import pathlib

import numpy as np
import pytest

from lit_precompute.pipelines.tokens import tokenise
from lit_precompute.precompute.deriving.options import DeriveOptions
from lit_precompute.schemas import DatasetWriter, EmbeddingDataset, SourceInfo, captions_table
from lit_precompute.towers.tokenizers import WordOptions
from lit_precompute.tune.config.recipe import Recipe
from lit_precompute.tune.data.text_options import TextOptions
from lit_precompute.tune.model.tuned_model import TunedModel
from lit_precompute.tune.training.progress import TrainingStopped
from lit_precompute.tune.training.trainer import Trainer
from lit_precompute.tuning import retrieval
from tests.tune.small_runs import EXECUTION, RECIPE, WIDTH, metric_lines, model_bytes, tower_card

pytestmark = pytest.mark.standard_promotion

NUM_ROWS, NUM_WORDS = 96, 20
TITLE_AND_TAGS = TextOptions(fields="title,tags", max_tokens=6, shuffled="tags", filtered="title")
SHORT = dataclasses.replace(
    RECIPE, num_steps=8, tokenizer=WordOptions(vocabulary_size=NUM_WORDS + 3), text=TITLE_AND_TAGS
)
KINDS = ["joint", "per-image", "per-batch"]


@pytest.fixture(scope="module")
def dataset_path(tmp_path_factory) -> str:
    """Rows of three words: the title has two of them, or is a camera's, or missing; each word is a tag, or none is."""
    path = tmp_path_factory.mktemp("fields") / "dataset"
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((NUM_WORDS, WIDTH)).astype(np.float32)
    chosen = np.concatenate([np.arange(21).reshape(-1, 3) % NUM_WORDS, rng.integers(0, NUM_WORDS, (NUM_ROWS - 7, 3))])
    words = [[f"word{number}" for number in row] for row in chosen]
    titles = [
        [] if row % 5 == 4 else ["IMG_12"] if row % 7 == 6 else [" ".join(own[:2])] for row, own in enumerate(words)
    ]
    tags = [own if row % 3 or row < 9 else [] for row, own in enumerate(words)]
    source = SourceInfo(kind="table", path="none", files=[])
    options = {"tables": [captions_table(["title", "tags", "empty"])], "vector_type": "float16", "block_rows": 16}
    with DatasetWriter(path, tower=tower_card(), source=source, **options) as writer:
        columns = {"texts": [[] for _ in words], "title": titles, "tags": tags, "empty": [[] for _ in words]}
        keys = [f"row{number}" for number in range(NUM_ROWS)]
        writer.write(keys=keys, embeddings=vectors[chosen].sum(axis=1), columns={"captions": columns})
    return str(path)


def recipe_of(combine: str, **changes) -> Recipe:
    return dataclasses.replace(SHORT, text=dataclasses.replace(TITLE_AND_TAGS, combine=combine, **changes))


def train(dataset, output, recipe: Recipe, execution=EXECUTION, *, should_stop=lambda: False) -> Trainer:
    """Trains as lit-tune does."""
    with EmbeddingDataset.open(dataset, tables=["embeddings", "captions"]) as opened:
        trainer = Trainer(opened, recipe, output, execution)
        trainer.run(lambda progress: None, should_stop)
    return trainer


@pytest.mark.parametrize("combine", KINDS)
def test_a_run_learns_says_what_it_has_and_resumes_to_the_same_bits(dataset_path, tmp_path: pathlib.Path, combine: str):
    recipe = recipe_of(combine)
    trainer = train(dataset_path, tmp_path / "whole", recipe)
    titles, tags = trainer.batches.fields["title"], trainer.batches.fields["tags"]
    assert titles.num_filtered == sum(row % 7 == 6 and row % 5 != 4 for row in range(NUM_ROWS)) > 0
    assert titles.num_rows == titles.num_texts == NUM_ROWS - 19 - titles.num_filtered
    assert tags.num_texts == 3 * tags.num_rows and 0 < tags.num_rows < NUM_ROWS
    assert {*trainer.text_lengths} == {"title", "tags"}
    assert (trainer.text_lengths["title"].longest, trainer.text_lengths["tags"].longest) == (2, 3)
    count = iter(range(100))
    with pytest.raises(TrainingStopped):
        train(dataset_path, tmp_path / "resumed", recipe, should_stop=lambda: next(count) == 2)
    train(dataset_path, tmp_path / "resumed", recipe)
    assert model_bytes(tmp_path / "resumed") == model_bytes(tmp_path / "whole")
    assert metric_lines(tmp_path / "resumed") == metric_lines(tmp_path / "whole")


@pytest.mark.parametrize("combine", KINDS)
def test_runs_with_tokens_of_fields_are_bitwise_equal(dataset_path, tmp_path: pathlib.Path, combine: str):
    """Of the filtered title a table is used, of the shuffled tags none."""
    recipe = recipe_of(combine)
    assert list(train(dataset_path, tmp_path / "plain", recipe).text_notes) == []
    base = dataset_path
    for field in ("title", "tags", "texts"):
        options = DeriveOptions(base=base, output=str(tmp_path / field), tokens=str(tmp_path / "plain"))
        options = dataclasses.replace(options, embed_texts=dataclasses.replace(options.embed_texts, field=field))
        tokenise(options)
        base = str(tmp_path / field)
    notes = list(train(base, tmp_path / "stored", recipe).text_notes)
    assert len(notes) == 2
    assert notes[0].startswith("title: tokens are read from the table 'tokens-")
    assert notes[1].startswith("tags: the table 'tokens-") and "shuffled; they are tokenised here" in notes[1]
    assert model_bytes(tmp_path / "stored") == model_bytes(tmp_path / "plain")
    assert metric_lines(tmp_path / "stored") == metric_lines(tmp_path / "plain")


def test_tokens_of_several_fields_are_read_at_once(dataset_path, tmp_path: pathlib.Path):
    recipe = recipe_of("per-image", shuffled="", filtered="", texts_per_image=1)
    train(dataset_path, tmp_path / "plain", recipe)
    base = dataset_path
    for field in ("title", "tags"):
        options = DeriveOptions(base=base, output=str(tmp_path / field), tokens=str(tmp_path / "plain"))
        tokenise(dataclasses.replace(options, embed_texts=dataclasses.replace(options.embed_texts, field=field)))
        base = str(tmp_path / field)
    notes = list(train(base, tmp_path / "stored", recipe).text_notes)
    assert [note.partition(":")[0] for note in notes] == ["title", "tags"]
    assert all(note.endswith("nothing is tokenised") for note in notes)
    assert model_bytes(tmp_path / "stored") == model_bytes(tmp_path / "plain")


def test_evaluation_takes_the_only_field_or_the_one_that_is_named(dataset_path, tmp_path: pathlib.Path):
    train(dataset_path, tmp_path / "tags", recipe_of("per-image", fields="tags", shuffled="tags", filtered=""))
    train(dataset_path, tmp_path / "both", recipe_of("per-image"))
    with EmbeddingDataset.open(dataset_path) as dataset:
        one, both = (TunedModel.load(tmp_path / name / "model") for name in ("tags", "both"))
        assert retrieval(one, dataset).field == "tags"
        assert retrieval(one, dataset).num_texts == 3 * sum(row % 3 != 0 or row < 9 for row in range(NUM_ROWS))
        assert retrieval(both, dataset, field="title").field == "title"
        with pytest.raises(ValueError, match=r"has no texts to retrieve or show; .*\(--field\)"):
            retrieval(both, dataset)
        with pytest.raises(ValueError, match="--field must be one of texts, title, tags, empty, got 'caption'"):
            retrieval(both, dataset, field="caption")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            "title,caption",
            "has no texts called caption, which text.fields asks for; it has texts, title, tags, empty; named",
        ),
        (
            "title,empty",
            r"text.fields has empty, in which none of the rows has a text; rows with a text: title \(\d+\)",
        ),
        ("texts", "none of the 96 rows has a text, so there is nothing to tune on"),
        ("empty", "none of the 96 rows has a text in empty, so there is nothing to tune on"),
        ("key", "has no texts called key"),
    ],
)
def test_wrong_fields_are_refused_before_anything_is_written(dataset_path, tmp_path: pathlib.Path, fields, message):
    recipe = dataclasses.replace(SHORT, text=TextOptions(fields=fields, max_tokens=6))
    with pytest.raises(ValueError, match=message):
        train(dataset_path, tmp_path / "run", recipe)
    assert not (tmp_path / "run/run.json").exists()
