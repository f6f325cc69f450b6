"""Which texts are blank: those that show nothing, whatever a tokenizer makes of them."""

import pyarrow as pa
import pyarrow.compute as pc

# Unicode's separators, control characters, and Default_Ignorable_Code_Point.
_INVISIBLE = (
    r"\p{Z}\p{Cc}\x{AD}\x{34F}\x{61C}\x{115F}\x{1160}\x{17B4}\x{17B5}\x{180B}-\x{180F}\x{200B}-\x{200F}\x{202A}-\x{202E}"
    r"\x{2060}-\x{206F}\x{3164}\x{FE00}-\x{FE0F}\x{FEFF}\x{FFA0}\x{FFF0}-\x{FFF8}\x{1BCA0}-\x{1BCA3}"
    r"\x{1D173}-\x{1D17A}\x{E0000}-\x{E0FFF}"
)


def show_something(strings: pa.Array) -> pa.BooleanArray:
    """Returns which strings are not blank; a null is."""
    options = pc.MatchSubstringOptions(f"[^{_INVISIBLE}]")
    return pc.call_function("match_substring_regex", [strings], options).fill_null(False)
