"""Texts in many scripts, for tokenizers: the same on every machine and Python.

Drawn from ranges of code points by raw PCG64 bits, whose stream NumPy keeps. Python's Unicode tables, which change with
its version, are asked only for names that Unicode 3.2 has.
"""

import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np

NUM_TEXTS = 10_000

_SCRIPTS = {
    "latin": [(0x41, 0x5A), (0x61, 0x7A), (0x61, 0x7A), (0x61, 0x7A), (0xC0, 0xD6), (0xD8, 0xF6), (0x100, 0x17F)],
    "vietnamese": [(0x61, 0x7A), (0x1EA0, 0x1EF9)],
    "greek": [(0x391, 0x3A1), (0x3A3, 0x3CE), (0x1F00, 0x1F15)],
    "cyrillic": [(0x410, 0x44F), (0x400, 0x40F), (0x450, 0x45F)],
    "armenian": [(0x531, 0x556), (0x561, 0x587)],
    "hebrew": [(0x5D0, 0x5EA), (0x5B0, 0x5B9)],
    "arabic": [(0x621, 0x63A), (0x641, 0x64A), (0x64B, 0x652), (0x660, 0x669)],
    "devanagari": [(0x905, 0x939), (0x93E, 0x94D)],
    "bengali": [(0x985, 0x98C), (0x993, 0x9A8), (0x9BE, 0x9C4)],
    "tamil": [(0xB85, 0xB8A), (0xB92, 0xB95), (0xBBE, 0xBC2)],
    "telugu": [(0xC05, 0xC0C), (0xC12, 0xC28), (0xC3E, 0xC44)],
    "thai": [(0xE01, 0xE3A), (0xE40, 0xE4E)],
    "tibetan": [(0xF40, 0xF47), (0xF71, 0xF7C)],
    "georgian": [(0x10D0, 0x10F0), (0x10A0, 0x10C5)],
    "ethiopic": [(0x1208, 0x1246), (0x1260, 0x1286)],
    "khmer": [(0x1780, 0x17B3), (0x17B6, 0x17D3)],
    "cherokee": [(0x13A0, 0x13F4)],
    "hangul": [(0xAC00, 0xD7A3), (0x1100, 0x1112), (0x1161, 0x1175)],
    "hiragana and katakana": [(0x3041, 0x3094), (0x30A1, 0x30FA), (0xFF66, 0xFF9D)],
    "han": [(0x4E00, 0x9FA5), (0x3400, 0x34FF), (0x20000, 0x200FF)],
    "emoji": [(0x1F300, 0x1F64F), (0x1F680, 0x1F6C5), (0x1F900, 0x1F93A), (0x2600, 0x26FF), (0x1F1E6, 0x1F1FF)],
    "signs": [
        (0x21, 0x40),
        (0x5B, 0x60),
        (0x7B, 0x7E),
        (0xA1, 0xBF),
        (0x2010, 0x2027),
        (0x3001, 0x3011),
        (0xFF01, 0xFF20),
    ],
    "mathematics": [(0x1D400, 0x1D454), (0x2200, 0x22FF), (0x2460, 0x24EA), (0x2150, 0x218B), (0xFF21, 0xFF5A)],
}
# What is put between, after or into words: white space, controls, invisible and combining characters, odd ones.
_SPACES = [" "] * 12 + ["  ", "\t", "\n", "\r\n", "\xa0", "\u2003", "\u3000", "\u2028", "\x0b", "\x85"]
_ODD = [
    *(
        "\x00",
        "\x01",
        "\x1f",
        "\x7f",
        "\x9f",
        "\xad",
        "\u200b",
        "\u200c",
        "\u200d",
        "\u200e",
        "\u200f",
        "\u202e",
        "\u2066",
    ),
    *(
        "\u0301",
        "\u0308\u0301",
        "\u0327",
        "\u20dd",
        "\u3099",
        "\ufe0f",
        "\ufe0e",
        "\ufeff",
        "\ufffd",
        "\uffff",
        "\ue000",
    ),
    *(
        "\U000e0041",
        "\U000e0067",
        "\U0010fffd",
        "\U0001f3fd",
        "\u2581",
        "\u2585",
        "##",
        "\u0130",
        "\u0131",
        "\u017f",
        "\u1e9e",
    ),
    *("\u03a3", "\u03c2", "\ufb01", "\ufdfa", "\u0f77", "\u0344", "\u212b", "\u2126", "\u1fb3", "\u0345", "\u01c5"),
]
# A family of joiners, a flag, a keycap, a skin tone, and words as in captions.
_PHRASES = [
    "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466",
    "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
    "\U0001f1e9\U0001f1ea",
    "1\ufe0f\u20e3",
    "\U0001f44d\U0001f3fe",
    *("a photo of a", "the", "don't", "it's", "I'LL", "t-shirt", "1,234.56", "$9.99", "www.example.com/a?b=c", "e.g."),
    *("na\u00efve caf\u00e9", "STRASSE stra\u00dfe", "x" * 101, "ab" * 60, "_", "...", "!!!", "<b>", "&amp;"),
]
_NAMED = range(0x21, 0x2600)


class _Draw:
    """Numbers from raw bits."""

    def __init__(self, seed: int):
        """Takes a seed."""
        self._bits = iter(np.random.PCG64(seed).random_raw(1_500_000).tolist())

    def below(self, limit: int) -> int:
        """Returns a number in [0, limit)."""
        return next(self._bits) % limit

    def of(self, choices: Sequence[Any]) -> Any:
        """Returns one of some choices."""
        return choices[self.below(len(choices))]


def make_texts(num_texts: int = NUM_TEXTS) -> list[str]:
    """Returns the texts; fewer are the first of more."""
    draw = _Draw(2026)
    names = [name for code in _NAMED if (name := unicodedata.ucd_3_2_0.name(chr(code), "")) and "CJK" not in name]
    return ["", " ", *(_text(draw, number, names) for number in range(num_texts - 2))]


def _text(draw: _Draw, number: int, names: list[str]) -> str:
    script = list(_SCRIPTS)[number % len(_SCRIPTS)]
    parts: list[str] = []
    for _ in range(1 + draw.below(12)):
        kind = draw.below(20)
        if kind < 12:
            parts.append(_word(draw, script))
        elif kind < 14:
            parts.append(_word(draw, draw.of(list(_SCRIPTS))))
        elif kind < 16:
            name = draw.of(names)
            parts.append(draw.of([name.lower(), name.title(), name]))
        elif kind < 18:
            parts.append(draw.of(_PHRASES))
        else:
            parts.append(draw.of(_ODD))
        parts.append(draw.of(_SPACES))
    return "".join(parts if draw.below(4) == 0 else parts[:-1])


def _word(draw: _Draw, script: str) -> str:
    letters = []
    for _ in range(1 + draw.below(8)):
        first, last = draw.of(_SCRIPTS[script])
        letters.append(chr(first + draw.below(last - first + 1)))
        if draw.below(40) == 0:
            letters.append(draw.of(_ODD))
    return "".join(letters)
