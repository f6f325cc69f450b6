"""Public SentencePiece models: their special tokens, their case, and those that are not their towers' ids."""

import io
import json
import pathlib

import numpy as np
import pytest
import sentencepiece

from lit_precompute.towers.options import OptionsError, read_options
from lit_precompute.towers.tokenizers import SentencePieceOptions, TokenizerOptions, load_tokenizer, train_tokenizer
from tests.oracles.texts import make_texts
from tests.oracles.vocabularies import unpack


@pytest.fixture(scope="module")
def t5(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A model with T5's special ids, and bytes for unknown characters, as mT5 has them."""
    folder = unpack("unigram", tmp_path_factory.mktemp("t5"))
    (folder / "tokenizer_config.json").unlink()  # it is of the tokenizer.json
    return folder / "spiece.model"


def test_a_published_model_pads_with_its_own_piece_and_keeps_case(t5: pathlib.Path, tmp_path: pathlib.Path):
    tokenizer = train_tokenizer(SentencePieceOptions(path=str(t5), special_tokens="published"), [], lower_case=True)
    oracle = sentencepiece.SentencePieceProcessor(model_file=str(t5))
    assert tokenizer.vocabulary == (oracle.get_piece_size(), oracle.eos_id(), oracle.pad_id()) == (2_500, 1, 0)
    texts = [*make_texts(500), "LATIN Small Letter"]
    expected = [(ids[:15] + [1] + [0] * 16)[:16] for ids in oracle.encode(texts)]
    np.testing.assert_array_equal(tokenizer.encode(texts, 16), np.array(expected, np.int32))
    assert tokenizer.lower_case is None
    tokenizer.save(str(tmp_path))
    loaded = load_tokenizer(str(tmp_path))
    np.testing.assert_array_equal(loaded.encode(texts, 16), tokenizer.encode(texts, 16))
    assert loaded.vocabulary == tokenizer.vocabulary and loaded.lower_case is None


def test_the_same_model_as_the_paper_had_it(t5: pathlib.Path):
    """Lower-cased, padded with end tokens, nothing to mask."""
    tokenizer = train_tokenizer(SentencePieceOptions(path=str(t5)), [])
    assert tokenizer.vocabulary == (2_500, 1, None)
    rows = tokenizer.encode(["LATIN", "latin"], 16)
    np.testing.assert_array_equal(rows[0], rows[1])
    assert (rows[:, -4:] == 1).all()


def test_a_model_without_a_pad_piece_pads_with_the_end(tmp_path: pathlib.Path):
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["a dog and a cat", "the house of the dog"] * 20),
        model_writer=model,
        vocab_size=18,
        eos_id=2,
        bos_id=1,
        unk_id=0,
        minloglevel=2,
    )
    (tmp_path / "spiece.model").write_bytes(model.getvalue())
    tokenizer = train_tokenizer(SentencePieceOptions(path=str(tmp_path), special_tokens="published"), [])
    assert tokenizer.vocabulary == (18, 2, None)
    assert tokenizer.encode([""], 4).tolist() == [[2, 2, 2, 2]]


@pytest.mark.parametrize(
    ("name", "config", "who"),
    [
        ("sentencepiece.bpe.model", None, "XLM-R, whose file this is,"),
        ("sentencepiece.bpe.model", "XLMRobertaTokenizer", "XLMRobertaTokenizer"),
        ("spiece.model", "AlbertTokenizer", "AlbertTokenizer"),
    ],
)
def test_refuses_a_published_tower_that_renumbers_its_model(
    name: str, config: str | None, who: str, t5: pathlib.Path, tmp_path: pathlib.Path
):
    (tmp_path / name).write_bytes(t5.read_bytes())
    if config:
        (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": config}), encoding="utf-8")
    with pytest.raises(ValueError, match=rf"{name}: {who} has other ids .* --tokenizer\.kind huggingface"):
        train_tokenizer(SentencePieceOptions(path=str(tmp_path), special_tokens="published"), [])
    # With the model's own ids, a text tower may still be trained from scratch.
    assert train_tokenizer(SentencePieceOptions(path=str(tmp_path)), []).vocabulary_size == 2_500


def test_special_tokens_are_of_a_known_choice():
    with pytest.raises(OptionsError, match=r"tokenizer\.special_tokens must be one of \['paper', 'published'\]"):
        read_options(TokenizerOptions, {"kind": "huggingface", "special_tokens": "all"}, "tokenizer")
    with pytest.raises(ValueError, match="must be 'paper' or 'published', got 'all'"):
        SentencePieceOptions(special_tokens="all")  # pyright: ignore[reportArgumentType]
