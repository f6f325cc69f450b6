"""A recipe in words: its values, where they come from, what was published, and the commands that follow it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

from lit_precompute.tune.recipes import NamedRecipe, PaperRecipe
from lit_precompute.tune.recipes.table10 import Row
from lit_precompute.tune.recipes.values import image_weights, num_views

_NAMED = ("title", "description", "tags")


def describe(name: str, purpose: str, row: Row | None = None) -> dict[str, Any]:
    """Returns a recipe for programs; of a row with what it says and its figures."""
    if row is None:
        return {"name": name, "purpose": purpose, "is_trained_here": True, "published": {}}
    figures = {each: getattr(row, each) for each in ("imagenet", "text_to_image", "image_to_text")}
    fields = ("ref", "dataset", "num_images", "setting", "image", "text", "tokenizer", "optimizer", "learning_rate")
    said = {field: getattr(row, field) for field in (*fields, "weight_decay")}
    return {
        "name": name,
        "purpose": purpose,
        "is_trained_here": not row.trains_image_tower,
        "published": figures,
    } | said


def short_values(named: NamedRecipe) -> Iterator[tuple[str, str, str]]:
    """Yields name, value and source of each value; a part's fields are in one line."""
    if isinstance(named, PaperRecipe):
        for path, value, source in named.values:
            yield path, _words(value), source
        return
    for part, value in named.recipe.to_json().items():
        yield part, _words(value), named.source


def published(named: NamedRecipe) -> list[str]:
    """Returns the published figures in words; nothing where there are none."""
    if not isinstance(named, PaperRecipe):
        return []
    row = named.row
    return [
        f"published: {row.imagenet}% ImageNet zero-shot; MSCOCO recall at 1: {row.text_to_image}% text to image, "
        f"{row.image_to_text}% image to text"
    ]


def doubts(named: NamedRecipe) -> list[str]:
    """Returns what is wrong or in doubt about the row."""
    if not isinstance(named, PaperRecipe):
        return []
    return [
        f"note: {each.field} is {each.printed} in Table 10"
        + (f", {each.followed} here" if each.followed != each.printed else "")
        + f": {each.evidence}"
        for each in named.errata
    ]


def commands_of(named: NamedRecipe) -> list[str]:
    """Returns the commands that embed the data and tune on it, with comments."""
    recipe = shlex.quote(named.name)
    if not isinstance(named, PaperRecipe):
        return [f"lit-tune --recipe {recipe} --dataset EMBEDDED --output RUN"]
    row, places = named.row, ["EMBEDDED"]
    lines: list[str] = []
    if similar := image_weights(row).similar:
        lines.append(f"# The paper's weights are not published: give your own, or --tower {similar} without --weights.")
    if views := num_views(row):
        lines.append(f"# The paper crops anew in each of its {views} epochs; with fewer views they are seen again.")
    if row.dataset == "Mixed":
        places = ["CC12M-EMBEDDED", "YFCC-EMBEDDED"]
        lines.append(_embed_command(named, "CC12M", places[0], is_named=False))
        lines.append(_embed_command(named, "YFCC", places[1], is_named=True))
    else:
        lines.append(_embed_command(named, "SOURCE", places[0], is_named=row.dataset in ("CLIP", "YFCC")))
    datasets = " ".join(f"--dataset {place}" for place in places)
    return [*lines, f"lit-tune --recipe {recipe} {datasets} --output RUN"]


def _embed_command(named: PaperRecipe, source: str, output: str, *, is_named: bool) -> str:
    weights, views = image_weights(named.row), num_views(named.row)
    words = [f"lit-embed run --source {source} --tower {weights.tower} --resize square"]
    if weights.similar:
        words.append("--weights FILE")
    if (resolution := named.value("image.resolution")) != 224:
        words.append(f"--resolution {resolution}")
    if views:
        words.append(f"--views {views}")
    if is_named:
        words.append("--named-text " + " ".join(f"{name}={name}" for name in _NAMED))
    return " ".join([*words, f"--output {output}"])


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_words(each)}" for name, each in value.items() if each not in (None, ""))
    if isinstance(value, float):
        return f"{value:g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
