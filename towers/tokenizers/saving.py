"""A saved tokenizer: a folder with a description in JSON, and for some kinds a model beside it.

Promises: a model is read only from its one name in the description's folder, and only if its hash is as saved.
"""

import hashlib
import json
import pathlib
from collections.abc import Mapping
from typing import Any, TypeVar

FORMAT_VERSION = 1
DESCRIPTION_NAME = "tokenizer.json"
Field = TypeVar("Field")


def write_description(directory: str, **fields: Any) -> pathlib.Path:
    """Writes the description of a directory's tokenizer; creates the directory and returns it."""
    folder = pathlib.Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    content = json.dumps({"format_version": FORMAT_VERSION, **fields}, ensure_ascii=False, indent=1)
    (folder / DESCRIPTION_NAME).write_text(content + "\n", encoding="utf-8")
    return folder


def write_with_model(directory: str, name: str, model: bytes, **fields: Any) -> None:
    """Writes a description, and the model that it names, with its hash."""
    digest = hashlib.sha256(model).hexdigest()
    folder = write_description(directory, **fields, model=name, model_sha256=digest)
    (folder / name).write_bytes(model)


def read_model(fields: Mapping[str, Any], name: str, description: pathlib.Path) -> bytes:
    """Returns the model that was saved beside a description.

    Raises:
      ValueError: the description names another file; the model is missing, or has changed since it was saved.
    """
    if fields.get("model") != name:  # a name from someone else could be of any file of this machine
        raise ValueError(f"{description}: model must be {name!r}, got {fields.get('model')!r}")
    path = description.parent / name
    if not path.is_file():
        raise ValueError(f"{description}: its model {path} is missing")
    model = path.read_bytes()
    digest = hashlib.sha256(model).hexdigest()
    expected = read_field(fields, "model_sha256", str, description)
    if digest != expected:
        raise ValueError(f"{path}: SHA-256 must be {expected} as saved, got {digest}")
    return model


def read_field(fields: Mapping[str, Any], name: str, kind: type[Field], description: pathlib.Path) -> Field:
    """Returns a field of a description.

    Raises:
      ValueError: it is missing, or of another type.
    """
    if not isinstance(value := fields.get(name), kind):
        raise ValueError(f"{description}: {name} must be of type {kind.__name__}, got {value!r}")
    return value
