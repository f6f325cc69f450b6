"""Tokenizers: from texts to rows of token ids."""

from lit_precompute.towers.tokenizers.huggingface.options import HuggingFaceOptions
from lit_precompute.towers.tokenizers.huggingface.tokenizer import HuggingFaceTokenizer
from lit_precompute.towers.tokenizers.lengths import TextLengths, measure_lengths
from lit_precompute.towers.tokenizers.options import TokenizerOptions
from lit_precompute.towers.tokenizers.registry import find_saved, load_tokenizer, register_tokenizer, train_tokenizer
from lit_precompute.towers.tokenizers.sentencepiece import SentencePieceOptions, SentencePieceTokenizer
from lit_precompute.towers.tokenizers.tokenizer import SpecialTokens, Tokenizer, Vocabulary
from lit_precompute.towers.tokenizers.words import WordOptions, WordTokenizer

__all__ = [
    "HuggingFaceOptions",
    "HuggingFaceTokenizer",
    "SentencePieceOptions",
    "SentencePieceTokenizer",
    "SpecialTokens",
    "TextLengths",
    "Tokenizer",
    "TokenizerOptions",
    "Vocabulary",
    "WordOptions",
    "WordTokenizer",
    "find_saved",
    "load_tokenizer",
    "measure_lengths",
    "register_tokenizer",
    "train_tokenizer",
]
