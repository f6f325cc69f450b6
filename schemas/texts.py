"""Texts of rows: which of them show anything, and all of a row's as one.

Blank is what shows nothing: an empty text, white space, control characters, zero-width characters. Punctuation alone is
a text, whatever a tokenizer makes of it: which texts a dataset has must not depend on a model.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Counts = np.ndarray[Any, np.dtype[np.int64]]

# Unicode's separators, control characters, and Default_Ignorable_Code_Point.
_INVISIBLE = (
    r"\p{Z}\p{Cc}\x{AD}\x{34F}\x{61C}\x{115F}\x{1160}\x{17B4}\x{17B5}\x{180B}-\x{180F}\x{200B}-\x{200F}\x{202A}-\x{202E}"
    r"\x{2060}-\x{206F}\x{3164}\x{FE00}-\x{FE0F}\x{FEFF}\x{FFA0}\x{FFF0}-\x{FFF8}\x{1BCA0}-\x{1BCA3}"
    r"\x{1D173}-\x{1D17A}\x{E0000}-\x{E0FFF}"
)


def is_blank(text: str) -> bool:
    """Returns whether a text shows nothing."""
    return not are_texts(pa.array([text]))[0].as_py()


def are_texts(strings: pa.Array) -> pa.BooleanArray:
    """Returns for each string whether it shows anything; a null does not."""
    shows_something = pc.MatchSubstringOptions(f"[^{_INVISIBLE}]")
    return pc.call_function("match_substring_regex", [strings], shows_something).fill_null(False)


def join_texts(strings: pa.Array, counts: Counts, separator: str) -> pa.Array:
    """Returns one string for each row that has any, of all rows' strings and how many each row has."""
    ends = np.cumsum(counts[counts > 0])
    lists = pa.ListArray.from_arrays(np.concatenate(([0], ends)).astype(np.int32), strings)
    return pc.call_function("binary_join", [lists, pa.scalar(separator)])
