"""The runs of the comparison, as sweeps over the text's length and the seed, and what their models reach.

Promises: what is in .demo/openclipart is not repeated. All models have one vocabulary, so that each can be asked for
the titles and the tags of drawings, whatever it was trained on.
"""

import collections
import csv
import dataclasses
import json
import pathlib
import sys
from collections.abc import Sequence

import numpy as np

import lit_precompute as lit
from benchmarks.openclipart.data import FIELDS, HELD_OUT, HOME, TAG_LIST, TRAIN
from lit_precompute.towers.tokenizers import train_tokenizer

SIGNALS, COMBINATIONS = FIELDS, ("joint", "per-image", "per-batch")
TOKENS = (16, 32)
MEASURES = (
    "zero-shot",
    "text to image by title",
    "image to text by title",
    "text to image by tags",
    "image to text by tags",
)
NUM_STEPS, BATCH_SIZE, VOCABULARY_SIZE = 200, 256, 4_000
_VOCABULARY = HOME / "vocabulary" / "sentencepiece.model"


@dataclasses.dataclass(frozen=True)
class Reached:
    """What the model of one run reaches on held-out drawings, in percent by measure."""

    setting: str
    max_tokens: int
    seed: int
    figures: dict[str, float]


def text_options(setting: str) -> lit.TextOptions:
    """Returns the texts of a setting: one signal alone, or a way to combine all three.

    Titles that a camera gave are left out, and tags are shuffled, as in arXiv:2111.07991, appendix C.
    """
    fields = (setting,) if setting in SIGNALS else SIGNALS
    return lit.TextOptions(
        fields=",".join(fields),
        combine=setting if setting in COMBINATIONS else "per-image",  # pyright: ignore[reportArgumentType]
        filtered="title" if "title" in fields else "",
        shuffled="tags" if "tags" in fields else "",
    )


def recipe(setting: str) -> lit.Recipe:
    """Returns the recipe of a setting: equally many steps for all, whatever a signal has of texts, as in the paper."""
    return lit.Recipe(
        text=text_options(setting),
        tokenizer=lit.SentencePieceOptions(path=str(_VOCABULARY), vocabulary_size=VOCABULARY_SIZE),
        text_tower=lit.ViTTextOptions(width=64, depth=1, num_heads=4, mlp_width=128, pooling="average"),
        image_side=lit.ImageSideOptions(standardise=True),
        optimizer=lit.AdamOptions(learning_rate=3e-3, weight_decay=1e-4, warmup_steps=20),
        batch_size=BATCH_SIZE,
        num_epochs=None,
        num_steps=NUM_STEPS,
    )


def train_vocabulary() -> None:
    """Trains SentencePiece on all training texts, unless it is there."""
    if _VOCABULARY.exists():
        return
    lines = TRAIN.with_suffix(".jsonl").read_text(encoding="utf-8").splitlines()
    texts = [text for line in lines for field in FIELDS for text in json.loads(line)[field]]
    options = lit.SentencePieceOptions(vocabulary_size=VOCABULARY_SIZE)
    train_tokenizer(options, texts, lower_case=True).save(str(_VOCABULARY.parent))


def train(setting: str, tokens: Sequence[int], seeds: Sequence[int]) -> list[Reached]:
    """Trains a setting with each number of tokens and each seed, and evaluates the models."""
    output = HOME / "runs" / setting
    with lit.EmbeddingDataset.open(TRAIN) as dataset:
        axes = {"text.max_tokens": list(tokens), "seed": list(seeds)}
        execution = lit.Execution(log_every_steps=50, checkpoint_every_steps=NUM_STEPS)
        swept = lit.sweep(dataset, recipe(setting), axes, output, execution=execution)
    return [_evaluated(setting, run.values, pathlib.Path(str(run.model))) for run in swept.runs]


def _evaluated(setting: str, values: dict[str, int], model: pathlib.Path) -> Reached:
    path = model.parent / "heldout.json"
    if not path.exists():
        path.write_text(json.dumps(evaluate(lit.TunedModel.load(model)), indent=1) + "\n", encoding="utf-8")
    figures = json.loads(path.read_text(encoding="utf-8"))
    return Reached(setting, values["text.max_tokens"], values["seed"], figures)


def evaluate(model: lit.TunedModel) -> dict[str, float]:
    """Returns what a model reaches: zero-shot over categories at 1, and retrieval at 5 among texts that differ."""
    with lit.EmbeddingDataset.open(HELD_OUT) as dataset:
        found = {"zero-shot": lit.zero_shot(model, dataset, keep_class_embeddings=False).top1.value}
        for name, field in (("title", "title"), ("tags", TAG_LIST)):
            texts = [each[0].lower() for each in dataset.rows(0, dataset.num_rows)[field].to_pylist()]
            counts = collections.Counter(texts)
            rows = np.array([row for row, text in enumerate(texts) if counts[text] == 1])
            once = lit.Selection.of_rows(dataset.manifest, rows, made_by={"by": f"texts in {field} that differ"})
            recall = lit.retrieval(model, dataset, selection=once, field=field)
            found[f"text to image by {name}"] = recall.text_to_image[5].value
            found[f"image to text by {name}"] = recall.image_to_text[5].value
    return {name: 100 * value for name, value in found.items()}


def write_csv(path: pathlib.Path, reached: Sequence[Reached]) -> None:
    """Writes all figures, one run a line."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["setting", "max_tokens", "seed", *MEASURES])
        for each in reached:
            writer.writerow([each.setting, each.max_tokens, each.seed, *(each.figures[name] for name in MEASURES)])


def say(words: str) -> None:
    """Prints a line at once."""
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()
