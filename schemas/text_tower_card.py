"""The card of a frozen text tower, and what a dataset says of a table of embeddings that it made.

Embeddings of equal fingerprints are interchangeable: a fingerprint covers everything that an embedding depends on but
the text. A dataset keeps the description of such a table as an attachment named after it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pydantic

from lit_precompute.schemas.tables import StrictModel, json_digest

# Tables of text embeddings are named after it, and have one column of vectors of this name.
TEXT_EMBEDDINGS, TEXT_EMBEDDING = "text-embeddings", "text_embedding"


class TextTowerCard(StrictModel):
    """A text tower with its parameters and its tokenizer.

    Attributes:
      name: its name or folder, as it was given.
      weights: where its parameters were read; "" for where the name says.
      architecture: kind and sizes of the network, with pooling, head and compute type.
      weights_sha256: of the parameters.
      tokenizer: its kind, its fingerprint, and the special tokens of a row.
      max_tokens: length of a row of tokens; longer texts are cut.
      output_width: numbers in an embedding.
      num_parameters: the network's number of parameters.
    """

    name: str
    weights: str
    architecture: dict[str, Any]
    weights_sha256: str
    tokenizer: dict[str, Any]
    max_tokens: int = pydantic.Field(ge=1)
    output_width: int = pydantic.Field(ge=1)
    num_parameters: pydantic.NonNegativeInt

    @property
    def fingerprint(self) -> str:
        """The hash of all but the places."""
        return json_digest(self.model_dump(exclude={"name", "weights"}))

    def differences(self, other: TextTowerCard) -> dict[str, tuple[Any, Any]]:
        """Returns what makes two towers give other embeddings: this card's value and the other's, by dotted name."""
        one, two = (_flat(each.model_dump(exclude={"name", "weights"})) for each in (self, other))
        return {name: (one.get(name), two.get(name)) for name in one | two if one.get(name) != two.get(name)}


def _flat(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the fields, those of objects within as `object.field`."""
    flat: dict[str, Any] = {}
    for name, value in fields.items():
        flat |= {f"{name}.{inner}": each for inner, each in value.items()} if isinstance(value, dict) else {name: value}
    return flat


class TextEmbeddingsInfo(StrictModel):
    """What a table of text embeddings was made with.

    Attributes:
      tower: the text tower.
      field: the captions' column of the texts.
      number: which of a row's texts it was, from 1.
    """

    tower: TextTowerCard
    field: str
    number: int = pydantic.Field(ge=1)


def info_attachment(table: str) -> str:
    """Returns the name of the attachment that describes a table of text embeddings, as `TextEmbeddingsInfo`."""
    return f"{table}.json"


def is_text_embeddings(table: str) -> bool:
    """Returns whether a table of this name holds embeddings of texts."""
    return table.startswith(f"{TEXT_EMBEDDINGS}-")
