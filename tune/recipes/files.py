"""Recipes in files of the user's own: TOML, with a comment at each value, or JSON.

Promises: what is written is read back as the same recipe and execution settings. An unknown key, a value of the wrong
type and one that breaks a rule is an error that names the file. TOML has no null: there "None" stands for it, as it
does in flags.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import os
import pathlib
import re
import textwrap
import tomllib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from lit_precompute.schemas.storage import write_text_atomically
from lit_precompute.towers.options import OptionsError, read_options
from lit_precompute.tune.config.execution import Execution
from lit_precompute.tune.config.recipe import Recipe
from lit_precompute.tune.recipes.named_recipe import NamedRecipe

SUFFIXES = (".toml", ".json")
_KEYS = ("purpose", "source", "recipe", "execution")
_NONE = "None"
_WIDTH = 118


def read_recipe(path: str | os.PathLike[str]) -> NamedRecipe:
    """Returns the recipe of a file; what the file leaves out has the defaults of `Recipe` and `Execution`.

    Raises:
      OptionsError: it is not TOML or JSON, an unknown key, a value of the wrong type or one that breaks a rule.
      OSError: it cannot be read.
    """
    path = pathlib.Path(path)
    try:
        content = _parse(path)
        if unknown := [key for key in content if key not in _KEYS]:
            raise OptionsError(
                f"{unknown[0]} is not a part of a recipe's file; choose from {', '.join(_KEYS)} (a recipe's values are "
                "in the part recipe)"
            )
        if "recipe" not in content:
            raise OptionsError("the part 'recipe' is missing; `lit-tune recipes new` writes such a file")
        return NamedRecipe(
            name=str(path),
            purpose=str(content.get("purpose", "")),
            source=str(content.get("source", path)),
            recipe=Recipe.from_json(_with_one_duration(content["recipe"])),
            execution=read_options(Execution, content.get("execution", {})),
        )
    except OptionsError as error:
        raise OptionsError(f"{path}: {error}") from error


def write_recipe(named: NamedRecipe, path: str | os.PathLike[str]) -> None:
    """Writes a recipe and its execution settings, with all values, to a new file.

    Args:
      named: the recipe.
      path: of a `.toml` or `.json` file.

    Raises:
      OptionsError: the file's name has another ending.
      FileExistsError: there is such a file already.
    """
    path = pathlib.Path(path)
    _check_suffix(path)
    if path.exists():
        raise FileExistsError(f"{path} exists already; choose another name, or remove it")
    if path.suffix == ".json":
        parts = {"recipe": named.recipe.to_json(), "execution": dataclasses.asdict(named.execution)}
        words = json.dumps({"purpose": named.purpose, "source": named.source, **parts}, indent=1) + "\n"
    else:
        words = "\n".join(_toml(named)) + "\n"
    write_text_atomically(path, words)


def _check_suffix(path: pathlib.Path) -> None:
    if path.suffix not in SUFFIXES:
        raise OptionsError(f"{path}: the name of a recipe's file must end in {' or '.join(SUFFIXES)}")


def _parse(path: pathlib.Path) -> Mapping[str, Any]:
    _check_suffix(path)
    text = path.read_bytes()
    try:
        words = text.decode("utf-8-sig")  # Windows' editors begin a file with a mark
        is_json = path.suffix == ".json"
        content = json.loads(words, object_pairs_hook=_once_each) if is_json else _with_nulls(tomllib.loads(words))
    except ValueError as error:
        raise OptionsError(f"not {path.suffix[1:].upper()}: {error}") from error
    if not isinstance(content, dict):
        raise OptionsError(f"must hold the parts {', '.join(_KEYS)}, got {content!r}")
    return content


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Returns an object of JSON, whose parser would keep the last of equal keys."""
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} is given twice")
    return content


def _with_one_duration(content: Any) -> Any:
    """Returns a recipe's content in which steps that are given replace the epochs by default, as flags do."""
    if isinstance(content, dict) and content.get("num_steps") is not None:
        return {"num_epochs": None, **content}
    return content


def _with_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _with_nulls(each) for key, each in value.items()}
    return None if value == _NONE else value


def _toml(named: NamedRecipe) -> Iterator[str]:
    yield f"# A recipe for `lit-tune --recipe FILE`, from {named.name}. Flags override what is here."
    yield f"purpose = {_literal(named.purpose)}"
    yield f"source = {_literal(named.source)}"
    for name, part in (("recipe", named.recipe), ("execution", named.execution)):
        yield from _table(name, part, named.source_of)


def _table(path: str, options: Any, source_of: Callable[[str], str]) -> Iterator[str]:
    """Yields a table of TOML: first its values, then its parts' own tables."""
    values = {field.name: getattr(options, field.name) for field in dataclasses.fields(options)}
    yield ""
    yield f"[{path}]"
    for name, value in values.items():
        if dataclasses.is_dataclass(value):
            continue
        comment = _help(type(options), name)
        if source := source_of(f"{path}.{name}".removeprefix("recipe.")):
            comment = f"{comment} [{source}]"
        yield from (f"# {line}" for line in textwrap.wrap(comment, _WIDTH))
        yield f"{name} = {_literal(value)}"
    for name, value in values.items():
        if dataclasses.is_dataclass(value):
            yield from _table(f"{path}.{name}", value, source_of)


def _help(options: type, name: str) -> str:
    """Returns what the section Attributes of the options, or of what they derive from, says of a field."""
    for each in options.__mro__:
        found = re.search(rf"^  {name}: (.*(?:\n {{4}}.*)*)", inspect.cleandoc(each.__doc__ or ""), re.MULTILINE)
        if found:
            return " ".join(found[1].split())
    return ""


def _literal(value: Any) -> str:
    if value is None:
        return f'"{_NONE}"'
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value)
