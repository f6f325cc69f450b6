"""The T5 encoders that have names.

Sizes: t5x, examples/t5/{t5_1_0,t5_1_1,mt5}/*.gin. Of the files, which hold a decoder, too, only the encoder is used.
"""

from __future__ import annotations

from lit_precompute.towers.text.entry import TextEntry
from lit_precompute.towers.text.t5.options import T5TextOptions
from lit_precompute.towers.tokenizers import SentencePieceOptions

# name: (width, width of a head, width of the perceptron, blocks, heads)
_T5 = {
    "small": (512, 64, 2048, 6, 8),
    "base": (768, 64, 3072, 12, 12),
    "large": (1024, 64, 4096, 24, 16),
    "3b": (1024, 128, 16_384, 24, 32),
}
_T5_1_1 = {
    "small": (512, 64, 1024, 8, 6),
    "base": (768, 64, 2048, 12, 12),
    "large": (1024, 64, 2816, 24, 16),
    "xl": (2048, 64, 5120, 24, 32),
}
# More than the tokenizers' 32,100 and 250,100 ids: the authors rounded them up to a multiple of 128.
_ENGLISH_ROWS, _MULTILINGUAL_ROWS = 32_128, 250_112


def _options(sizes: tuple[int, int, int, int, int], *, is_gated: bool, rows: int) -> T5TextOptions:
    width, head_width, mlp_width, depth, num_heads = sizes
    return T5TextOptions(
        width=width,
        depth=depth,
        num_heads=num_heads,
        head_width=head_width,
        mlp_width=mlp_width,
        feed_forward="gated_gelu" if is_gated else "relu",
        vocabulary_rows=rows,
    )


def _entry(repository: str, options: T5TextOptions, note: str) -> TextEntry:
    return TextEntry(
        options=options,
        weights=f"hf://{repository}",
        tokenizer=SentencePieceOptions(path=f"hf://{repository}", special_tokens="published"),
        note=note,
    )


def _entries() -> dict[str, TextEntry]:
    entries: dict[str, TextEntry] = {}
    for size, sizes in _T5.items():
        name = f"google-t5/t5-{size}"
        options = _options(sizes, is_gated=False, rows=_ENGLISH_ROWS)
        entries[name] = _entry(
            name, options, "T5 1.0: English web text (C4) and supervised tasks; also French, German, Romanian"
        )
    for size, sizes in _T5_1_1.items():
        name = f"google/t5-v1_1-{size}"
        options = _options(sizes, is_gated=True, rows=_ENGLISH_ROWS)
        entries[name] = _entry(name, options, "T5 1.1: English web text (C4) alone")
    for size, sizes in _T5_1_1.items():
        name = f"google/mt5-{size}"
        options = _options(sizes, is_gated=True, rows=_MULTILINGUAL_ROWS)
        entries[name] = _entry(name, options, "mT5: web text in 101 languages (mC4)")
    name = "sentence-transformers/sentence-t5-base"
    options = _options(_T5["base"], is_gated=False, rows=_ENGLISH_ROWS)
    note = "T5 1.0, tuned on pairs of sentences; its last layer is in another file, and drawn here as any head"
    entries[name] = _entry(name, options, note)
    return entries


ENTRIES = _entries()
