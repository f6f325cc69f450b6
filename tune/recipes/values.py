"""The values of a row's recipe, each with its source.

A value's name is its path in the recipe (`optimizer.learning_rate`); those of the embedding come first, and are no part
of the recipe. A path of a part, such as `text_tower`, stands for all of its fields.

Source: arXiv:2111.07991, as each value says. Where the paper does not say it, the source has `NOT_SAID`, and then where
the value was taken from instead.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, NamedTuple

from lit_precompute.towers.text import text_towers
from lit_precompute.tune.recipes.table10 import Row

NOT_SAID = "not in the paper"
TABLE = "Table 10"
# The published models' code: configs/proj/image_text/lit_coco.py.
_BIG_VISION = f"{NOT_SAID}: big_vision's"
MAX_TOKENS = 16


class Value(NamedTuple):
    """A value of a recipe.

    Attributes:
      path: its name.
      value: a number, a string, None, or all fields of a part.
      source: where it comes from.
    """

    path: str
    value: Any
    source: str


class Weights(NamedTuple):
    """Where an image tower's weights are.

    Attributes:
      tower: its name for `lit-embed run`.
      source: which weights the paper used.
      similar: a tower with published weights, where the paper's are not published; "" where they are.
    """

    tower: str
    source: str
    similar: str = ""


_AUGREG = "{}, {}: AugReg's recommended ImageNet-21k checkpoint (appendix B, section 5.9)"
_JFT = "{}, {}: pre-trained on JFT-3B, unpublished (appendix A)"
_SIZES = {"vit-B/32": "b32", "vit-B/16": "b16", "vit-L/16": "l16", "vit-g/14": "g14", "vit-g/14*": "g14"}
_TOWERS = {
    "dino-B/16": Weights("dino_vitb16", f"{TABLE}, section 5.3: DINO"),
    "mocov3-B/16": Weights("mocov3_vitb16", f"{TABLE}, section 5.3: MoCo-v3"),
    "bit-50x1": Weights("bit_r50x1-bit_m", f"{TABLE}, section 5.4: BiT-M, of ImageNet-21k"),
    "mixer-B/32": Weights(
        "mixer_b32", f"{TABLE}, section 5.4: pre-trained on ImageNet-21k, unpublished", "mixer_b16-in21k"
    ),
}
_IMAGE_WIDTHS = {"b32": 768, "b16": 768, "l16": 1024, "g14": 1408}
_OTHER_WIDTHS = {"dino-B/16": 768, "mocov3-B/16": 768, "bit-50x1": 2048, "mixer-B/32": 768}
_TEXT_TOWERS = {
    "bert-base": "google-bert/bert-base-uncased",
    "bert-large": "google-bert/bert-large-uncased",
    "t5-base": "google-t5/t5-base",
    "mt5-base": "google/mt5-base",
}
_OWN_PIECES = ("t5-base", "mt5-base")
_WORD_PIECES = {
    "kind": "huggingface",
    "path": "hf://google-bert/bert-base-uncased",
    "special_tokens": "paper",
    "vocabulary_size": 30_522,
}
# The dataset as `followed`; images that have texts, and in whose words.
_DATASETS = {
    "CC12M": (10_000_000, "section 4: the 10 million pairs whose images could still be fetched"),
    "CLIP": (15_000_000, "section 4: YFCC100m-CLIP, 15 million images filtered for English text of high quality"),
    "YFCC": (99_200_000, "section 4: YFCC100m, all of its photos"),
    "Mixed": (25_000_000, "section 5.1: the union of CC12M and YFCC100m-CLIP"),
    "Ours": (4_000_000_000, "section 4: the authors' own pairs, from the web"),
}
_NAMED_FIELDS = "title,description,tags"


def image_weights(row: Row) -> Weights:
    """Returns which image tower embeds the dataset."""
    if row.image in _TOWERS:
        return _TOWERS[row.image]
    size = _SIZES[row.image]
    public = f"vit_{size}-augreg_in21k"
    if row.image_start == "AR":
        return Weights(public, _AUGREG.format(TABLE, row.image))
    return Weights(f"vit_{size}", _JFT.format(TABLE, row.image), "vit_l16-augreg_in21k" if size == "g14" else public)


def image_width(row: Row) -> int:
    """Returns the width of the image tower's embeddings."""
    return _OTHER_WIDTHS.get(row.image) or _IMAGE_WIDTHS[_SIZES[row.image]]


def is_own(row: Row) -> bool:
    """Returns whether appendix A describes its training, and not appendix B."""
    return row.dataset == "Ours"


def num_rows(row: Row) -> int:
    """Returns how many images the dataset has."""
    return _DATASETS[row.dataset][0]


def num_views(row: Row) -> int:
    """Returns how many crops of an image are seen: one in each epoch; 0 where images are only resized."""
    return 0 if is_own(row) else round(row.num_images / num_rows(row))


def values_of(row: Row) -> tuple[Value, ...]:
    """Returns all values of a row as it is `followed`."""
    return (*_of_images(row), *_of_texts(row), *_of_training(row))


def _of_images(row: Row) -> Iterator[Value]:
    weights, views = image_weights(row), num_views(row)
    table = "section 5.5" if row.ref == "Tab 5" else TABLE
    yield Value("dataset", row.dataset, f"{table}; {_DATASETS[row.dataset][1]}")
    yield Value("images_seen", row.num_images, TABLE)
    yield Value("setting", row.setting, TABLE)
    yield Value("image.tower", weights.tower, weights.source)
    # Training views are squeezed from crops in any case.
    yield Value("image.resize", "square", "appendix A" if is_own(row) else "appendix B: evaluated without cropping")
    yield Value("image.resolution", 288 if row.image.endswith("*") else 224, f"{TABLE}, caption")
    if is_own(row):
        yield Value("image.preprocessing", "resized", "appendix A")
    else:
        source = "appendix B" if row.dataset == "CC12M" else "appendix B, to which sections 5.1 and 5.2 refer"
        yield Value("image.preprocessing", "inception crops", source)
        yield Value("image.views", views, f"a crop for each of the {views} epochs, of {num_rows(row):,} images")
        yield Value("data.views", True, f"{source}: inception crops")
    if row.dataset == "Mixed":
        yield Value("data.mixture", "alternate", f"{TABLE}, caption: alternating batches")
    if row.dataset == "CC12M":
        yield Value("data.held_out", 50_000, "appendix B: the first 50k pairs are the minival")
    width = image_width(row) if row.has_head else None
    source = f"{TABLE}, H; width: {_BIG_VISION}, which is the image tower's" if row.has_head else f"{TABLE}, H"
    yield Value("image_side.head_width", width, source)


def _of_texts(row: Row) -> Iterator[Value]:
    fields = {"CLIP": _NAMED_FIELDS, "YFCC": _NAMED_FIELDS, "Mixed": f"texts,{_NAMED_FIELDS}"}.get(row.dataset)
    if fields is not None:
        yield Value("text.fields", fields, "appendix C, section 5.9: all available text")
        yield Value("text.combine", "joint", "appendix C: jointly works better than sampling")
        yield Value("text.shuffled", "tags", "appendix C")
        yield Value("text.filtered", "title", "appendix C")
    yield Value("text.max_tokens", MAX_TOKENS, "appendices C and H")
    name = _TEXT_TOWERS.get(row.text, row.text)
    entry = text_towers()[name]
    weights = name if row.text_start != "-" else None
    tower = dataclasses.asdict(dataclasses.replace(entry.options, weights=weights))
    yield Value("text_tower", tower, _tower_source(row))
    if row.text.startswith("bert"):
        yield Value("text_tower.dropout", 0.1, f"{_BIG_VISION}, whose BERT is flaxformer's with its default")
    if row.tokenizer == "WP":
        source = f"{TABLE}, WP: BERT's (section 5.5); lower case, no [SEP]: {_BIG_VISION}"
        yield Value("tokenizer", _WORD_PIECES, source)
    elif row.text in _OWN_PIECES:
        tokenizer = dataclasses.asdict(entry.tokenizer)
        yield Value("tokenizer", tokenizer, f"{TABLE}, SP: the model's own (section 5.5)")
    else:
        tokenizer = {"kind": "sentencepiece", "vocabulary_size": 32_000}
        source = f"{TABLE}, SP; 32,000 ids: {_BIG_VISION}, whose file is not public, so that one is trained"
        yield Value("tokenizer", tokenizer, source)


def _tower_source(row: Row) -> str:
    table = "Table 5's figures" if (row.ref, row.text) == ("Tab 5", "mt5-base") else TABLE
    start = "a random start" if row.text_start == "-" else row.text_start
    pooling = f"{NOT_SAID}: the mean" if row.text in _OWN_PIECES else _BIG_VISION
    return f"{table}: {row.text} from {start}; pooling: {pooling}"


def _of_training(row: Row) -> Iterator[Value]:
    own = is_own(row)
    is_adam, is_longest = row.optimizer == "Adam", row.num_images > 1_000_000_000
    where = "appendix A" if own else "appendix B"
    yield Value("optimizer.kind", "adam" if is_adam else "adafactor", TABLE)
    yield Value("optimizer.beta1", 0.9, where if own or is_adam else "appendices A and B")
    yield Value("optimizer.beta2", 0.999, where if own or is_adam else "appendices A and B")
    yield Value("optimizer.learning_rate", row.learning_rate, TABLE)
    yield Value("optimizer.weight_decay", row.weight_decay, f"{TABLE}; decoupled, of kernels alone: {_BIG_VISION}")
    yield Value("optimizer.clip_norm", 1.0, f"{_BIG_VISION}, also appendix B's" if own else "appendix B")
    yield Value("optimizer.warmup_steps", 10_000 if own else 2_000, where)
    yield Value("optimizer.schedule", "cosine", f"{TABLE}, caption, and {where}")
    batch = 32_768 if is_longest else 16_384
    source = "section 5.1: 32k" if is_longest else where
    yield Value("batch_size", batch, source)
    yield Value("num_epochs", None, "num_steps says how long")
    steps, source = _steps(row, batch)
    yield Value("num_steps", steps, source)
    yield Value("loss.kind", "softmax", "section 3.1 and appendix D: over the global batch")
    yield Value("loss.initial_scale", 10.0, _BIG_VISION)
    yield Value("compute_type", "bfloat16", f"{NOT_SAID}: chosen for accelerators")
    yield Value("seed", 0, f"{NOT_SAID}: any")


def _steps(row: Row, batch_size: int) -> tuple[int, str]:
    images = f"{TABLE}'s images in batches of {batch_size:,}"
    exact = row.num_images / batch_size
    if row.num_images > 1_000_000_000:
        return round(exact), f"{images}; section 5.1: roughly 550k"
    if row.dataset == "CC12M":
        return round(exact), f"{images}; appendix B: 12k, 20 epochs"
    # The table's other numbers of images are whole thousands of steps, in three digits.
    said = {"Ours": "; appendix A: 55k"}.get(row.dataset, "; appendix C: 60k" if round(exact, -3) == 60_000 else "")
    return int(round(exact, -3)), f"{images}{said}"
