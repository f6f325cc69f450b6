"""SentencePiece: pieces of words by a unigram model, given or trained on the texts.

By default rows are as the paper's text ViT had them, of lower-cased texts. `special_tokens="published"` is for the
public models of T5 and mT5: texts in their own case, the end token, then the model's own padding.

Does not: renumber pieces, as XLM-R and its relatives do with their models' ids; it refuses them.
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import sentencepiece

from lit_precompute.schemas.json_files import read_json_object
from lit_precompute.towers.tokenizers.finding import CONFIG_NAME, TokenizerFiles, find_files
from lit_precompute.towers.tokenizers.options import SpecialTokenChoice, TokenizerOptions, check_special_tokens
from lit_precompute.towers.tokenizers.saving import read_field, read_model, write_with_model
from lit_precompute.towers.tokenizers.sentencepiece_training import train_pieces
from lit_precompute.towers.tokenizers.tokenizer import SpecialTokens, Tokenizer

_MODEL = "sentencepiece.model"
# XLM-R's and its relatives' name; their towers' ids are not the model's (fairseq put tokens of its own before them).
_RENUMBERED = "sentencepiece.bpe.model"
_NAMES = ("spiece.model", _MODEL, "tokenizer.model", _RENUMBERED)
# The tokenizers whose ids are those of the model itself, with one end token and nothing before the pieces.
_PLAIN_CLASSES = ("T5Tokenizer", "T5TokenizerFast", "MT5Tokenizer", "MT5TokenizerFast")


@dataclasses.dataclass(frozen=True, kw_only=True)
class SentencePieceOptions(TokenizerOptions):
    """Pieces of words.

    Attributes:
      kind: SentencePiece's unigram model.
      path: a SentencePiece `.model` file, a folder that holds one, or a repository such as google/mt5-base; None trains
        one on the captions.
      vocabulary_size: the most ids to train, including the three special ones; a given file has its own size.
      special_tokens: "paper": the end token, also as padding. "published": as T5 has them, the end token and then the
        model's padding; texts keep their case.
    """

    kind: Literal["sentencepiece"] = "sentencepiece"
    special_tokens: SpecialTokenChoice = "paper"

    def __post_init__(self):
        super().__post_init__()
        check_special_tokens(self.special_tokens)


class SentencePieceTokenizer(Tokenizer):
    """A SentencePiece model, from the content of its `.model` file."""

    unit = "pieces"

    def __init__(
        self,
        model: bytes,
        *,
        lower_case: bool = True,
        special_tokens: SpecialTokenChoice = "paper",
        where: str = "the given bytes",
    ):
        """Takes a model, whether texts are lower-cased ("paper" alone), and the special tokens.

        Raises:
          ValueError: `where` is not a SentencePiece model, or one without an end token.
        """
        if not model:
            raise ValueError(f"{where}: not a SentencePiece model: it is empty")
        try:
            self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        except RuntimeError as error:
            raise ValueError(
                f"{where}: not a SentencePiece model ({len(model):,} bytes); give a .model file"
            ) from error
        self._model, self._choice = model, special_tokens
        self.lower_case = lower_case if special_tokens == "paper" else None
        self.vocabulary_size = self._processor.get_piece_size()
        self.end_id = self._processor.eos_id()
        if self.end_id < 0:
            raise ValueError(
                f"{where}: the SentencePiece model has no end token (eos_id is -1); train one with eos_id=1"
            )

        if special_tokens == "published" and self._processor.pad_id() not in (-1, self.end_id):
            self.pad_id = self._processor.pad_id()

    @property
    def special_tokens(self) -> SpecialTokens:
        """The ids around each text's pieces."""
        return SpecialTokens((), (self.end_id,), self.end_id if self.pad_id is None else self.pad_id)

    def to_ids(self, texts: list[str]) -> list[list[int]]:
        return self._processor.encode(texts, out_type=int, num_threads=-1)

    def save(self, directory: str) -> None:
        # Written as ever where it is as ever.
        choice = {} if self._choice == "paper" else {"special_tokens": self._choice}
        fields = {"kind": "sentencepiece", "lower_case": bool(self.lower_case), **choice}
        write_with_model(directory, _MODEL, self._model, **fields)


def make_tokenizer(options: SentencePieceOptions, texts: Iterable[str], *, lower_case: bool) -> Tokenizer:
    """Returns the tokenizer of a file, or one trained on `texts`, which are already lower-cased; see `registry`."""
    if options.path is None:
        return SentencePieceTokenizer(train_pieces(texts, options.vocabulary_size), lower_case=lower_case)
    files = find_files(options.path, _NAMES, "a tokenizer.json is read by --tokenizer.kind huggingface")
    if options.special_tokens == "published":
        _refuse_renumbered(files)
    return SentencePieceTokenizer(
        files.vocabulary.read_bytes(),
        lower_case=lower_case,
        special_tokens=options.special_tokens,
        where=str(files.vocabulary),
    )


def load_tokenizer(fields: Mapping[str, Any], description: pathlib.Path) -> Tokenizer:
    """Returns the tokenizer that was saved beside its description."""
    model = read_model(fields, _MODEL, description)
    lower_case = read_field(fields, "lower_case", bool, description)
    choice = fields.get("special_tokens", "paper")
    if choice not in ("paper", "published"):
        raise ValueError(f"{description}: special_tokens must be 'paper' or 'published', got {choice!r}")
    where = str(description.with_name(_MODEL))
    return SentencePieceTokenizer(model, lower_case=lower_case, special_tokens=choice, where=where)


def _refuse_renumbered(files: TokenizerFiles) -> None:
    """Raises ValueError if the published tower has other ids, or other special tokens, than its SentencePiece model."""
    name = None
    if (config := files.beside.get(CONFIG_NAME)) is not None:
        name = read_json_object(config, "get the tokenizer's files again").get("tokenizer_class")
    if (name is None and files.vocabulary.name == _RENUMBERED) or (name is not None and name not in _PLAIN_CLASSES):
        raise ValueError(
            f"{files.vocabulary}: {name or 'XLM-R, whose file this is,'} has other ids or special tokens than its "
            "SentencePiece model; give its tokenizer.json with --tokenizer.kind huggingface"
        )
