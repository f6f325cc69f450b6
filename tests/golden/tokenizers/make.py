"""Trains the small vocabularies of this folder on the texts of `tests/oracles/texts.py`.

    TEMPORARILY_DISABLE_PROTOBUF_VERSION_CHECK=true .venv/bin/python -m tests.golden.tokenizers.make

(SentencePiece's generated messages want a newer protobuf than is installed, but work.)

Made with tokenizers 0.23.3 and sentencepiece 0.2.3 on 2026-11-29. They are never made anew: another release may learn
other pieces, and the ids beside them are of these.
"""

import base64
import io
import json
import lzma
import pathlib

import sentencepiece
import tokenizers
from sentencepiece import sentencepiece_model_pb2
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers

from tests.oracles.texts import make_texts

FOLDER = pathlib.Path(__file__).parent
_TEXTS = make_texts(3_000)


def word_pieces() -> None:
    """A cased BERT."""
    backend = tokenizers.Tokenizer(models.WordPiece(unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer(lowercase=False)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    backend.train_from_iterator(_TEXTS, trainers.WordPieceTrainer(vocab_size=2_500, special_tokens=special))
    ids = backend.get_vocab()
    pieces = sorted(ids, key=lambda piece: ids[piece])
    folder = _folder("wordpiece")
    (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece in pieces), encoding="utf-8", newline="\n")
    _write_json(folder, tokenizer_class="BertTokenizer", do_lower_case=False)


def byte_pairs() -> None:
    """RoBERTa's kind: bytes, <s> before and </s> behind, 1 pads."""
    backend = tokenizers.Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    special = ["<s>", "<pad>", "</s>", "<unk>", tokenizers.AddedToken("<mask>", lstrip=True)]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=1_500, special_tokens=special, initial_alphabet=alphabet)
    backend.train_from_iterator(_TEXTS, trainer)
    backend.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    # Settings of its own, which must not count.
    backend.enable_truncation(5, direction="left")
    backend.enable_padding(direction="left", pad_id=1, pad_token="<pad>", length=7)
    folder = _folder("bpe")
    _write_packed(folder / "tokenizer.json.xz", backend.to_str().encode())
    tokens = {"bos_token": "<s>", "eos_token": "</s>", "cls_token": "<s>", "sep_token": "</s>", "pad_token": "<pad>"}
    sides = {"padding_side": "left", "truncation_side": "left"}
    _write_json(folder, tokenizer_class="RobertaTokenizer", unk_token="<unk>", **tokens, **sides)


def unigram() -> None:
    """T5's kind with bytes for unknown characters: a SentencePiece model, and the same as a tokenizer.json."""
    content = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(text for text in _TEXTS[:800] if text.strip() and "\u2585" not in text),
        model_writer=content,
        model_type="unigram",
        vocab_size=2_500,
        byte_fallback=True,
        character_coverage=0.98,
        num_threads=8,
        minloglevel=2,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
    )
    folder = _folder("unigram")
    _write_packed(folder / "spiece.model.xz", content.getvalue())
    model = sentencepiece_model_pb2.ModelProto.FromString(content.getvalue())  # pyright: ignore[reportAttributeAccessIssue]
    pieces = [(piece.piece, piece.score) for piece in model.pieces]
    backend = tokenizers.Tokenizer(models.Unigram(pieces, unk_id=2, byte_fallback=True))
    charsmap = normalizers.Precompiled(model.normalizer_spec.precompiled_charsmap)
    spaces = [normalizers.Strip(), normalizers.Replace(tokenizers.Regex(" {2,}"), " ")]
    backend.normalizer = normalizers.Sequence([charsmap, *spaces])
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    backend.add_special_tokens(["<pad>", "</s>", "<unk>"])
    backend.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    # The model has the same table, of 240,000 bytes.
    table = model.normalizer_spec.precompiled_charsmap
    start = content.getvalue().index(table)
    text = backend.to_str().replace(base64.b64encode(table).decode(), f"spiece.model {start} {start + len(table)}")
    _write_packed(folder / "tokenizer.json.xz", text.encode())
    tokens = {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    _write_json(folder, tokenizer_class="PreTrainedTokenizerFast", **tokens)


def _folder(name: str) -> pathlib.Path:
    folder = FOLDER / name
    folder.mkdir(exist_ok=True)
    return folder


def _write_packed(path: pathlib.Path, content: bytes) -> None:
    path.write_bytes(lzma.compress(content, preset=9))


def _write_json(folder: pathlib.Path, **fields: object) -> None:
    (folder / "tokenizer_config.json").write_text(json.dumps(fields, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    word_pieces()
    byte_pairs()
    unigram()
