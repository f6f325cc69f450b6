"""Pieces of texts as a table stores them, in a column of lists of strings: one character for each piece.

The character of piece `i` is the Unicode code point `i`, or `i + 2048` from 0xD800 on, where Unicode has no characters.



A token table is called `tokens-ID` and has one column, `tokens`, parallel to the column `texts` of the captions that it
was made of. The dataset's attachment `tokens-ID.json` describes it.
"""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lit_precompute.schemas.tables import KEY, ColumnSchema, TableSchema, json_digest
from lit_precompute.towers.tokenizers.pieces import Pieces

TOKENS = "tokens"
# The text of a blank text.
BLANK = "\U0010ffff"
MAX_VOCABULARY = 0x10FFFF - 0x800
_SURROGATES, _NUM_SURROGATES = 0xD800, 0x800
_ID_DIGITS = 12


@dataclasses.dataclass(frozen=True, kw_only=True)
class TokenTableInfo:
    """What a token table was made with.

    Attributes:
      fingerprint: the tokenizer's.
      tokenizer: the tokenizer in words: its kind and where it came from.
      max_pieces: each text's pieces were cut to so many.
      separator: what a row's texts were joined by, or None if each was tokenised alone.
    """

    fingerprint: str
    tokenizer: Mapping[str, Any]
    max_pieces: int
    separator: str | None = None

    @property
    def name(self) -> str:
        """The table's name; `tokenizer` is not part of it."""
        content = {"fingerprint": self.fingerprint, "max_pieces": self.max_pieces, "separator": self.separator}
        return f"{TOKENS}-{json_digest(content)[:_ID_DIGITS]}"

    @property
    def attachment(self) -> str:
        """The name of the attachment that has this content."""
        return f"{self.name}.json"

    @property
    def table(self) -> TableSchema:
        """The table."""
        columns = [ColumnSchema(name=KEY, type="string"), ColumnSchema(name=TOKENS, type="list<string>")]
        return TableSchema(name=self.name, columns=columns)

    def to_bytes(self) -> bytes:
        """Returns the attachment."""
        return (json.dumps(dataclasses.asdict(self), indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()

    @classmethod
    def from_bytes(cls, data: bytes, where: str) -> "TokenTableInfo":
        """Returns what an attachment says.

        Raises:
          ValueError: it is not the attachment of a token table; the message begins with `where`.
        """
        try:
            return cls(**json.loads(data))
        except (ValueError, TypeError) as error:
            raise ValueError(f"{where}: does not describe a token table ({error}); derive it again") from error


def is_token_table(name: str) -> bool:
    """Returns whether a table of this name holds tokens."""
    return name.startswith(f"{TOKENS}-")


def to_strings(pieces: Pieces) -> pa.StringArray:
    """Returns a string for each text."""
    points = pieces.ids.astype("<u4")
    points += np.where(points >= _SURROGATES, np.uint32(_NUM_SURROGATES), np.uint32(0))
    data = points.tobytes().decode("utf-32-le").encode()
    sizes = 1 + (points >= 0x80).astype(np.int64) + (points >= 0x800) + (points >= 0x10000)
    ends = np.concatenate(([0], np.cumsum(sizes)))[np.concatenate(([0], np.cumsum(pieces.counts)))]
    return pa.StringArray.from_buffers(len(pieces.counts), pa.py_buffer(ends.astype(np.int32)), pa.py_buffer(data))


def from_strings(strings: pa.StringArray) -> Pieces:
    """Returns the pieces of texts that are not blank."""
    _, offsets, data = strings.buffers()
    ends = np.frombuffer(offsets, np.int32)[strings.offset : strings.offset + len(strings) + 1]
    text = bytes(data)[ends[0] : ends[-1]].decode() if data is not None and len(strings) else ""
    points = np.frombuffer(text.encode("utf-32-le"), "<u4").astype(np.int32)
    points -= np.where(points >= _SURROGATES, np.int32(_NUM_SURROGATES), np.int32(0))
    counts = np.asarray(pc.call_function("utf8_length", [strings]), np.int64)
    return Pieces(points, counts)


def are_blank(strings: pa.StringArray) -> np.ndarray:
    """Returns for each text whether it is blank."""
    return pc.call_function("equal", [strings, pa.scalar(BLANK)]).to_numpy(zero_copy_only=False)
