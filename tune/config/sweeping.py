"""A sweep: values for fields of a recipe, and the runs that they make, one for each combination.

Promises: a run's name tells its values, and is a folder's name; the same values have the same name, however they are
written. All combinations are checked before any is trained.
"""

import csv
import dataclasses
import hashlib
import itertools
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from lit_precompute.towers.options import OptionsError
from lit_precompute.tune.config.checks import check_recipe
from lit_precompute.tune.config.fields import Scalar, parse_value, value_at, with_values
from lit_precompute.tune.config.recipe import Recipe

MAX_RUNS = 1_000
SEED = "seed"
# Changes shape and tokenizer of the text tower as well.
_WEIGHTS = "text_tower.weights"
_LONGEST_NAME = 200  # a folder's name has at most 255 bytes


@dataclasses.dataclass(frozen=True, kw_only=True)
class Point:
    """One run of a sweep.

    Attributes:
      name: its values in short, such as `learning_rate=0.001,seed=0`.
      values: by path of the field.
      recipe: what is trained.
    """

    name: str
    values: Mapping[str, Scalar]
    recipe: Recipe


def read_axes(texts: Sequence[str], recipe: Recipe) -> dict[str, list[Scalar]]:
    """Returns the values of each field, from texts such as `optimizer.learning-rate=1e-3,8e-4`.

    A value with a comma is put in double quotes: `text.fields="titles,tags",titles`.

    Raises:
      OptionsError: no such field, a field that is given twice, or a value that is not of its type.
    """
    axes: dict[str, list[Scalar]] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        path = name.replace("-", "_").lstrip("_")
        if not path or not equals:
            raise OptionsError(f"--sweep must be FIELD=VALUE,VALUE..., got {text!r}")
        if path in axes:
            raise OptionsError(f"--sweep {path} is given twice; give it once, with all values")
        axes[path] = [parse_value(recipe, path, value) for value in next(csv.reader([values], strict=True), [])]
    return axes


def make_points(recipe: Recipe, axes: Mapping[str, Sequence[Scalar]]) -> list[Point]:
    """Returns the runs: the product of the values, of which the last field's change first.

    Raises:
      OptionsError: no field or no value; a value given twice; too many runs; or a combination that breaks a rule.
    """
    if not axes:
        raise OptionsError("a sweep needs at least one field with values")
    if _WEIGHTS in axes:
        raise OptionsError(
            f"{_WEIGHTS} cannot be swept: the text tower's shape and tokenizer depend on it; run lit-tune for each"
        )
    for path, values in axes.items():
        value_at(recipe, path)
        if not values:
            raise OptionsError(f"{path} has no values to sweep")
    num_runs = math.prod(map(len, axes.values()))
    if num_runs > MAX_RUNS:
        raise OptionsError(f"a sweep has at most {MAX_RUNS:,} runs, got {num_runs:,}; sweep fewer values")
    points = [_point(recipe, dict(zip(axes, each, strict=True))) for each in itertools.product(*axes.values())]
    for path in axes:
        own = {repr(point.values[path]) for point in points}
        if len(own) < len(axes[path]):
            raise OptionsError(f"{path} has the same value twice: {', '.join(map(str, axes[path]))}")
    return points


def without_seed(values: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """Returns the values that runs with other seeds have in common."""
    return {path: value for path, value in values.items() if path != SEED}


def short_names(paths: Sequence[str]) -> dict[str, str]:
    """Returns each path's last part, or the whole path where two end alike."""
    last = {path: path.rpartition(".")[2] for path in paths}
    return {path: name if [*last.values()].count(name) == 1 else path for path, name in last.items()}


def in_words(values: Mapping[str, Any]) -> str:
    """Returns `learning_rate=0.001,seed=0`."""
    names = short_names([*values])
    return ",".join(f"{names[path]}={value}" for path, value in values.items())


def _point(recipe: Recipe, values: Mapping[str, Scalar]) -> Point:
    try:
        made = with_values(recipe, values)
        check_recipe(made)
    except OptionsError as error:
        raise OptionsError(f"{in_words(values)}: {error}") from error
    values = {path: value_at(made, path) for path in values}  # as the recipe has them: 1.0 where 1 was given
    return Point(name=_as_folder(in_words(values)), values=values, recipe=made)


def _as_folder(words: str) -> str:
    """Returns a folder's name: the words, or what of them may be in one and a hash of all."""
    name = re.sub(r"[^\w.=,+-]", "_", words, flags=re.ASCII)[:_LONGEST_NAME]
    return name if name == words else f"{name}-{hashlib.sha256(words.encode()).hexdigest()[:8]}"
