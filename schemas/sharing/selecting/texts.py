"""Criteria of texts: a pattern, a language, a length.

A row matches if any of its texts does.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lit_precompute.schemas.reading.row_block import RowBlock
from lit_precompute.schemas.sharing.selecting.criteria import Criterion
from lit_precompute.schemas.sharing.selection import Mask


class TextPattern(Criterion):
    """Rows of which a text contains what a regular expression describes."""

    name = "pattern"

    def __init__(self, pattern: str, column: str):
        """Takes the expression, in RE2's syntax, and the column of texts.

        Raises:
          ValueError: it is no regular expression.
        """
        self.columns = (column,)
        self._pattern = pattern
        try:
            self._found(pa.array([""]))
        except pa.ArrowInvalid as error:
            raise ValueError(f"pattern must be a regular expression (RE2), got {pattern!r}: {error}") from error

    def matches(self, rows: RowBlock) -> Mask:
        """See `Criterion.matches`."""
        return any_text(rows[self.columns[0]], self._found)

    def _found(self, texts: pa.Array) -> pa.BooleanArray:
        return pc.call_function("match_substring_regex", [texts], pc.MatchSubstringOptions(self._pattern))

    def made_by(self) -> Mapping[str, Any]:
        """See `Criterion.made_by`."""
        return {"pattern": self._pattern, "column": self.columns[0]}


class Languages(Criterion):
    """Rows in one of some languages, by the column that says so: one for each row, or for each of its texts."""

    name = "language"

    def __init__(self, languages: Sequence[str], column: str):
        """Takes the languages as the column has them, in upper or lower case."""
        self.columns = (column,)
        self._languages = list(languages)
        self._wanted = pa.array([language.lower() for language in languages])

    def matches(self, rows: RowBlock) -> Mask:
        """See `Criterion.matches`."""
        return any_text(rows[self.columns[0]], self._found)

    def _found(self, words: pa.Array) -> pa.BooleanArray:
        lower = pc.call_function("utf8_lower", [words])
        return pc.call_function("is_in", [lower], pc.SetLookupOptions(self._wanted))

    def made_by(self) -> Mapping[str, Any]:
        """See `Criterion.made_by`."""
        return {"languages": self._languages, "column": self.columns[0]}


class TextLength(Criterion):
    """Rows of which a text has so many characters (code points), or words (between white space).

    White space around a text does not count, and white space alone is no text.
    """

    def __init__(self, unit: str, least: int | None, most: int | None, column: str):
        """Takes `characters` or `words`, the bounds, both included, and the column of texts.

        Raises:
          ValueError: a bound is below 1, or `most` below `least`.
        """
        self._least, self._most = 1 if least is None else least, most
        if self._least < 1 or (most is not None and most < self._least):
            raise ValueError(f"{unit} of a text must be from 1 on, the most not below the least, got {least} to {most}")
        self.columns = (column,)
        self.name = self._unit = unit

    def matches(self, rows: RowBlock) -> Mask:
        """See `Criterion.matches`."""
        return any_text(rows[self.columns[0]], self._fits)

    def _fits(self, texts: pa.Array) -> Mask:
        texts = pc.call_function("utf8_trim_whitespace", [texts])
        if self._unit == "words":
            lengths = pc.call_function("list_value_length", [pc.call_function("utf8_split_whitespace", [texts])])
        else:
            lengths = pc.call_function("utf8_length", [texts])
        is_text = pc.call_function("not_equal", [texts, pa.scalar("", texts.type)])
        counts = lengths.to_numpy(zero_copy_only=False)
        most = np.iinfo(counts.dtype).max if self._most is None else self._most
        return is_text.to_numpy(zero_copy_only=False) & (self._least <= counts) & (counts <= most)

    def made_by(self) -> Mapping[str, Any]:
        """See `Criterion.made_by`."""
        return {"least": self._least, "most": self._most, "column": self.columns[0]}


def any_text(column: pa.Array, holds: Any) -> Mask:
    """Returns for each row whether something holds of any of its texts; of its only one in a column of strings."""
    if not pa.types.is_list(column.type):
        return np.asarray(holds(column), np.bool_)
    owners = pc.call_function("list_parent_indices", [column]).to_numpy(zero_copy_only=False)
    return np.bincount(owners[np.asarray(holds(column.flatten()), np.bool_)], minlength=len(column)) > 0
