"""Tables of tokens: the pieces of texts, a list of ids for each text of a row, in the column `tokens`.

Those of a named text such as title are in a table of their own, in the column `title_tokens`.

A text of which nothing shows, and of which no row of tokens is made, is the list of -1 alone: the lists of a row are
parallel to the column of the captions that they were made of. A token table is called `tokens-ID`. The
dataset's attachment `tokens-ID.json` describes it.
"""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from lit_precompute.schemas.storage import DatasetError
from lit_precompute.schemas.tables import KEY, ColumnSchema, TableSchema, json_digest

Ids = np.ndarray[Any, np.dtype[np.int32]]
Counts = np.ndarray[Any, np.dtype[np.int64]]

TOKENS, TEXTS = "tokens", "texts"
# The only number in the list of a blank text.
BLANK = -1
_ID_DIGITS = 12
_LIST = pa.list_(pa.field("item", pa.int32(), nullable=False))


@dataclasses.dataclass(frozen=True, kw_only=True)
class TokenTableInfo:
    """What a token table was made with.

    Attributes:
      fingerprint: the tokenizer's.
      tokenizer: the tokenizer in words: its kind and where it came from.
      max_pieces: each text's pieces were cut to so many.
      separator: what a row's texts were joined by, or None if each was tokenised alone.
      field: the column of the captions that the texts are of.
    """

    fingerprint: str
    tokenizer: Mapping[str, Any]
    max_pieces: int
    separator: str | None = None
    field: str = TEXTS

    @property
    def name(self) -> str:
        """The table's name; `tokenizer` is not part of it."""
        content = {name: value for name, value in self.to_json().items() if name != "tokenizer"}
        return f"{TOKENS}-{json_digest(content)[:_ID_DIGITS]}"

    @property
    def attachment(self) -> str:
        """The name of the attachment that has this content."""
        return attachment_name(self.name)

    @property
    def column(self) -> str:
        """The table's column of tokens; tables of several fields can be open together."""
        return TOKENS if self.field == TEXTS else f"{self.field}_{TOKENS}"

    @property
    def table(self) -> TableSchema:
        """The table."""
        columns = [ColumnSchema(name=KEY, type="string"), ColumnSchema(name=self.column, type="list<list<int32>>")]
        return TableSchema(name=self.name, columns=columns)

    def to_json(self) -> dict[str, Any]:
        """Returns the content of the attachment; `field` only of a named text, as versions before named texts wrote."""
        content = dataclasses.asdict(self)
        return content if self.field != TEXTS else {name: content[name] for name in content if name != "field"}

    def to_bytes(self) -> bytes:
        """Returns the attachment."""
        return (json.dumps(self.to_json(), indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()

    @classmethod
    def from_bytes(cls, data: bytes, where: str) -> "TokenTableInfo":
        """Returns what an attachment says.

        Raises:
          DatasetError: it is not the attachment of a token table; the message begins with `where`.
        """
        try:
            return cls(**json.loads(data))
        except (ValueError, TypeError) as error:
            raise DatasetError(f"{where}: does not describe a token table ({error}); derive it again") from error


def attachment_name(table: str) -> str:
    """Returns the name of the attachment that describes a token table."""
    return f"{table}.json"


def is_token_table(name: str) -> bool:
    """Returns whether a table of this name holds tokens."""
    return name.startswith(f"{TOKENS}-")


def to_lists(ids: Ids, counts: Counts) -> pa.ListArray:
    """Returns a list for each text, of all texts' ids and how many each text has."""
    ends = np.concatenate(([0], np.cumsum(counts))).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(ends), pa.array(ids), type=_LIST)


def blank_lists(count: int) -> pa.ListArray:
    """Returns the lists of so many blank texts."""
    return to_lists(np.full(count, BLANK, np.int32), np.ones(count, np.int64))


def from_lists(lists: pa.ListArray) -> tuple[Ids, Counts]:
    """Returns all texts' ids, and how many each text has."""
    return lists.flatten().to_numpy(), np.diff(lists.offsets.to_numpy()).astype(np.int64)


def are_blank(lists: pa.ListArray) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Returns for each text whether it is blank."""
    ids, counts = from_lists(lists)
    blank = counts == 1
    blank[blank] = ids[(np.cumsum(counts) - counts)[blank]] == BLANK
    return blank
