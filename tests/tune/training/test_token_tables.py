"""Training on a table of tokens: bitwise the run that tokenises."""

import dataclasses

import pytest

from lit_precompute.pipelines.tokens import tokenise
from lit_precompute.precompute.deriving.options import DeriveOptions
from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.towers.tokenizers import WordOptions
from lit_precompute.tune.config.recipe import Recipe
from lit_precompute.tune.training.progress import TrainingStopped
from lit_precompute.tune.training.trainer import Trainer
from tests.tune.small_runs import EXECUTION, RECIPE, metric_lines, model_bytes, write_dataset

pytestmark = pytest.mark.standard_promotion

# Exactly the texts' words: a larger vocabulary would cause a warning.
SHORT = dataclasses.replace(RECIPE, num_steps=8, tokenizer=WordOptions(vocabulary_size=7 + 3))


def train(dataset, output, recipe: Recipe = SHORT, *, should_stop=lambda: False) -> list[str]:
    """Trains as lit-tune does; returns the notes on token tables."""
    with EmbeddingDataset.open(dataset, tables=["embeddings", "captions"]) as opened:
        trainer = Trainer(opened, recipe, output, EXECUTION)
        trainer.run(lambda progress: None, should_stop)
    return list(trainer.text_notes)


def test_whole_runs_are_bitwise_equal_and_one_may_go_on_with_the_table(tmp_path):
    """The recipe trains its tokenizer: it is the first run's, whose tokens the table has."""
    texts = [[f"word{row % 7} word{row % 5}", " ", f"word{row % 3}"] for row in range(96)]
    path = write_dataset(tmp_path / "dataset", texts=texts)
    assert train(path, tmp_path / "plain") == []
    base, tokens = str(tmp_path / "dataset"), str(tmp_path / "plain")
    tokenise(DeriveOptions(base=base, output=str(tmp_path / "derived"), tokens=tokens))
    (note,) = train(tmp_path / "derived", tmp_path / "stored")
    assert note.endswith("; nothing is tokenised")
    assert model_bytes(tmp_path / "stored") == model_bytes(tmp_path / "plain")
    assert metric_lines(tmp_path / "stored") == metric_lines(tmp_path / "plain")
    with pytest.raises(TrainingStopped):
        train(path, tmp_path / "mixed", should_stop=lambda: True)
    train(tmp_path / "derived", tmp_path / "mixed")
    assert model_bytes(tmp_path / "mixed") == model_bytes(tmp_path / "plain")
