"""Titles that a camera gave: names of files, which say nothing of the image.

Source: arXiv:2111.07991, appendix C: titles that start with DSC, IMG or Picture, consist of the word image alone, or
consist of more than half digits are left out. Prefixes are compared as they are written there, since cameras write them
so and a sentence may begin with "Imgur" or "dsc"; the word image in any case. White space around a title and within it
is not counted, so that a date with spaces is what it is with hyphens.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_PREFIXES = r"^\s*(DSC|IMG|Picture)"
_WORD = r"(?i)^\s*image\s*$"


def are_camera_names(strings: pa.Array) -> pa.BooleanArray:
    """Returns for each string whether it is a name that a camera gives; a null is not."""
    matches = (
        pc.call_function("match_substring_regex", [strings], pc.MatchSubstringOptions(pattern))
        for pattern in (_PREFIXES, _WORD)
    )
    starts, is_word = matches
    counts = (
        pc.call_function("count_substring_regex", [strings], pc.MatchSubstringOptions(pattern))
        for pattern in (r"\p{Nd}", r"\S")
    )
    num_digits, num_visible = (np.asarray(each.fill_null(0)) for each in counts)
    is_number = pa.array(2 * num_digits > num_visible)
    either = pc.call_function("or", [pc.call_function("or", [starts, is_word]), is_number])
    return either.fill_null(False)
