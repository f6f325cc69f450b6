"""Tokenizers: ids against SentencePiece itself and scikit-learn's word counts, round trips, and errors."""

import io
import itertools
import json
import logging
import pathlib
import random

import numpy as np
import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import CountVectorizer

from lit_precompute.towers.options import OptionsError, read_options
from lit_precompute.towers.tokenizers import (
    SentencePieceOptions,
    SentencePieceTokenizer,
    Tokenizer,
    TokenizerOptions,
    WordOptions,
    WordTokenizer,
    load_tokenizer,
    train_tokenizer,
)
from lit_precompute.towers.tokenizers.sentencepiece_training import cut_text, sample_texts
from lit_precompute.towers.tokenizers.words import frequent_words

OPTIONS = {"sentencepiece": SentencePieceOptions, "words": WordOptions}


def make_texts(num_texts: int, seed: int = 0) -> list[str]:
    draw = random.Random(seed)
    syllables = [a + b for a in "bdfgklmnprst" for b in "aeiou"]
    words = ["".join(draw.choices(syllables, k=draw.randint(1, 3))) for _ in range(300)]
    return [" ".join(draw.choices(words, k=draw.randint(1, 20))).title() for _ in range(num_texts)]


TEXTS = make_texts(800)
ODD_TEXTS = ["", "   ", "Éclair & CAFÉ", "日本語のテキスト", "a\nb\tc", "🙂 smile", "x" * 500, "zebra", "\x00"]


@pytest.fixture(scope="module")
def pieces() -> SentencePieceTokenizer:
    tokenizer = train_tokenizer(SentencePieceOptions(vocabulary_size=200), TEXTS)
    assert isinstance(tokenizer, SentencePieceTokenizer)
    return tokenizer


@pytest.fixture(scope="module")
def words() -> WordTokenizer:
    tokenizer = train_tokenizer(WordOptions(vocabulary_size=100), TEXTS)
    assert isinstance(tokenizer, WordTokenizer)
    return tokenizer


def sticky(ids: list[int], length: int) -> list[int]:
    """big_vision's `tokenize(eos="sticky", pad_value=1)` in Python; `ids` end with the end token."""
    return ids[: length - 1] + ids[-1:] if len(ids) >= length else ids + [1] * (length - len(ids))


def test_pieces_match_sentencepiece(pieces: SentencePieceTokenizer, tmp_path: pathlib.Path):
    pieces.save(str(tmp_path))
    oracle = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "sentencepiece.model"))
    texts = TEXTS + ODD_TEXTS
    expected = [sticky(oracle.encode(text.lower(), add_eos=True), 16) for text in texts]
    np.testing.assert_array_equal(pieces.encode(texts, 16), np.array(expected, np.int32))
    assert pieces.vocabulary_size == oracle.get_piece_size() == 200
    assert (oracle.pad_id(), oracle.eos_id(), oracle.unk_id(), oracle.bos_id()) == (0, 1, 2, -1)


def test_word_counts_match_scikit_learn():
    counter = CountVectorizer(token_pattern=r"\S+")
    counts = np.asarray(counter.fit_transform(TEXTS).sum(axis=0))[0]
    names = counter.get_feature_names_out()
    expected = [names[i] for i in np.lexsort((names, -counts))][:97]
    assert frequent_words((text.lower() for text in TEXTS), 100) == expected


def test_words_have_their_ranks_as_ids():
    tokenizer = train_tokenizer(WordOptions(), ["a dog, a CAT", "Dog: the_dog", "t-shirt"])
    # dog 3 times, a 2, then cat, the, tshirt in alphabetical order; 2 is unknown, 1 the end.
    assert tokenizer.encode(["dog a CAT the T-Shirt horse"], 8).tolist() == [[3, 4, 5, 6, 7, 2, 1, 1]]
    assert tokenizer.vocabulary_size == 8


@pytest.mark.parametrize("kind", ["sentencepiece", "words"])
@settings(max_examples=30)
@given(texts=st.lists(st.text(max_size=40), max_size=8), length=st.integers(2, 20))
def test_each_row_is_pieces_then_ends(kind: str, texts: list[str], length: int):
    tokenizer = _TOKENIZERS.setdefault(kind, train_tokenizer(OPTIONS[kind](vocabulary_size=150), TEXTS))
    rows = tokenizer.encode(texts, length)
    assert rows.shape == (len(texts), length) and rows.dtype == np.int32
    assert (rows[:, -1] == 1).all()
    is_end = rows == 1
    # After the first end token there are only end tokens; and every id is below vocabulary_size.
    assert (is_end[:, 1:] >= is_end[:, :-1]).all()
    assert ((rows >= 1) & (rows < tokenizer.vocabulary_size)).all()
    for text, row in zip(texts, rows, strict=True):
        np.testing.assert_array_equal(tokenizer.encode([text], length)[0], row)
    # A longer row starts like a shorter one.
    longer = tokenizer.encode(texts, length + 3)
    np.testing.assert_array_equal(longer[:, : length - 1], rows[:, :-1])


_TOKENIZERS: dict[str, Tokenizer] = {}


@pytest.mark.parametrize("kind", ["sentencepiece", "words"])
def test_ids_are_identical_after_the_round_trip(kind: str, request: pytest.FixtureRequest, tmp_path: pathlib.Path):
    tokenizer = request.getfixturevalue({"sentencepiece": "pieces", "words": "words"}[kind])
    tokenizer.save(str(tmp_path / "new" / "folder"))
    loaded = load_tokenizer(str(tmp_path / "new" / "folder"))
    texts = TEXTS + ODD_TEXTS
    np.testing.assert_array_equal(loaded.encode(texts, 16), tokenizer.encode(texts, 16))
    assert loaded.vocabulary_size == tokenizer.vocabulary_size
    loaded.save(str(tmp_path / "again"))
    for path in (tmp_path / "again").iterdir():
        assert path.read_bytes() == (tmp_path / "new" / "folder" / path.name).read_bytes()


@pytest.mark.parametrize("kind", ["sentencepiece", "words"])
def test_training_twice_gives_the_same_files(kind: str, tmp_path: pathlib.Path):
    for name in ("first", "second"):
        train_tokenizer(OPTIONS[kind](vocabulary_size=150), iter(TEXTS)).save(str(tmp_path / name))
    for path in (tmp_path / "first").iterdir():
        assert path.read_bytes() == (tmp_path / "second" / path.name).read_bytes()


def test_a_given_model_is_used_as_it_is(pieces: SentencePieceTokenizer, tmp_path: pathlib.Path):
    pieces.save(str(tmp_path))
    options = SentencePieceOptions(path=str(tmp_path / "sentencepiece.model"))
    given_model = train_tokenizer(options, ["other texts that must not matter"])
    np.testing.assert_array_equal(given_model.encode(TEXTS, 16), pieces.encode(TEXTS, 16))


def test_a_given_word_list_is_used_in_its_order(tmp_path: pathlib.Path):
    path = tmp_path / "words.txt"
    path.write_text("zebra\ncafé\n\napple\n", encoding="utf-8")
    tokenizer = train_tokenizer(WordOptions(path=str(path)), [])
    assert tokenizer.encode(["Apple CAFÉ zebra"], 4).tolist() == [[5, 4, 3, 1]]


def test_case_is_kept_on_request(tmp_path: pathlib.Path):
    tokenizer = train_tokenizer(WordOptions(), ["Dog dog dog"], lower_case=False)
    tokenizer.save(str(tmp_path))
    assert load_tokenizer(str(tmp_path)).encode(["dog Dog"], 3).tolist() == [[3, 4, 1]]


def test_pads_with_the_end_token_of_the_model():
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS), model_writer=model, vocab_size=150, eos_id=2, bos_id=1, unk_id=0, minloglevel=2
    )
    rows = SentencePieceTokenizer(model.getvalue()).encode([""], 4)
    assert rows.tolist() == [[2, 2, 2, 2]]


@pytest.mark.parametrize(("kind", "noun"), [("sentencepiece", "pieces"), ("words", "words")])
def test_a_small_corpus_shrinks_the_vocabulary_and_says_so(kind: str, noun: str, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING):
        tokenizer = train_tokenizer(OPTIONS[kind](vocabulary_size=32_000), ["a cat", "a dog"])
    assert 4 < tokenizer.vocabulary_size < 20
    assert f"the texts contain only {tokenizer.vocabulary_size} different {noun}" in caplog.text
    assert "not 32,000" in caplog.text


def test_a_sample_is_uniform_and_reproducible():
    texts = [str(number) for number in range(4_000)]
    sample = sample_texts(iter(texts), 1_000)
    assert sample == sample_texts(iter(texts), 1_000)
    assert len(set(sample)) == 1_000
    # Four standard deviations of a hypergeometric share: 250 +- 48 from each quarter.
    quarters = np.histogram([int(text) for text in sample], bins=4, range=(0, 4_000))[0]
    assert (abs(quarters - 250) < 48).all()


def _pieces_of_sentencepiece(texts: list[str], vocabulary_size: int) -> list[str]:
    """Returns what SentencePiece itself learns from texts, by the settings of T5's ids."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts),
        model_writer=model,
        vocab_size=vocabulary_size,
        hard_vocab_limit=False,
        num_threads=8,
        minloglevel=2,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
    )
    return _pieces(sentencepiece.SentencePieceProcessor(model_proto=model.getvalue()))


def _pieces(processor: sentencepiece.SentencePieceProcessor) -> list[str]:
    return [processor.id_to_piece(number) for number in range(processor.get_piece_size())]


def _trained_pieces(texts: list[str], folder: pathlib.Path, vocabulary_size: int = 200) -> list[str]:
    train_tokenizer(SentencePieceOptions(vocabulary_size=vocabulary_size), texts, lower_case=False).save(str(folder))
    return _pieces(sentencepiece.SentencePieceProcessor(model_file=str(folder / "sentencepiece.model")))


def test_long_texts_are_trained_on_whole(tmp_path: pathlib.Path):
    """By hand: words of seven letters and a space, 8 bytes each, so that 524 of them are the most below 4,192 bytes."""
    draw = random.Random(1)
    words = ["".join(draw.choices("abcdefghij", k=7)) for _ in range(1_300)]
    parts = [" ".join(words[:524]), " ".join(words[524:1048]), " ".join(words[1048:])]
    assert _trained_pieces([" ".join(words)], tmp_path) == _pieces_of_sentencepiece(parts, 200)


def test_one_long_text_is_enough(tmp_path: pathlib.Path):
    """Also without white space; a caption of 100,000 letters would otherwise be skipped without a word."""
    assert "xxxxxxxxxxxxxxxx" in _trained_pieces(["x" * 100_000], tmp_path / "letters")
    assert "猫" in _trained_pieces(["猫が好き" * 50_000], tmp_path / "cats")


def test_a_reserved_sign_costs_only_itself(tmp_path: pathlib.Path):
    texts = ["zebra \u2585 zebra", "zebra"]
    assert _trained_pieces(texts, tmp_path, 60) == _pieces_of_sentencepiece(["zebra zebra", "zebra"], 60)


@given(text=st.text(st.sampled_from("aé猫🦄 \n"), max_size=60), max_bytes=st.integers(4, 12))
def test_the_parts_of_a_text_are_the_text(text: str, max_bytes: int):
    parts = list(cut_text(text, max_bytes))
    assert "".join(parts) == text
    assert all(len(part.encode()) <= max_bytes for part in parts)
    # A part that ends within a word is one that no white space could have ended.
    for part, after in itertools.pairwise(parts):
        assert after[0] in " \n" or not any(sign in part[1:] for sign in " \n")


@pytest.mark.parametrize("kind", ["sentencepiece", "words"])
@pytest.mark.parametrize("texts", [[], ["", "  "], ["\u3000\xa0", "\x1f"]])
def test_refuses_an_empty_corpus(kind: str, texts: list[str]):
    with pytest.raises(ValueError, match="no text contains a word"):
        train_tokenizer(OPTIONS[kind](), texts)


def test_refuses_a_vocabulary_too_small_for_the_characters():
    with pytest.raises(ValueError, match="vocabulary of 8 cannot be trained on 1 texts"):
        train_tokenizer(SentencePieceOptions(vocabulary_size=8), ["the quick brown fox jumps over the lazy dog"])


@pytest.mark.parametrize("kind", ["sentencepiece", "words"])
def test_refuses_a_missing_file(kind: str, tmp_path: pathlib.Path):
    with pytest.raises(ValueError, match=r"nowhere\.model': no such file"):
        train_tokenizer(OPTIONS[kind](path=str(tmp_path / "nowhere.model")), [])


@pytest.mark.parametrize("content", [b"", b"not a model at all"])
def test_refuses_what_is_not_a_sentencepiece_model(content: bytes, tmp_path: pathlib.Path):
    path = tmp_path / "given.model"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"given\.model: not a SentencePiece model"):
        train_tokenizer(SentencePieceOptions(path=str(path)), [])


def test_refuses_a_model_without_an_end_token():
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS), model_writer=model, vocab_size=150, eos_id=-1, minloglevel=2
    )
    with pytest.raises(ValueError, match="no end token"):
        SentencePieceTokenizer(model.getvalue())


def test_refuses_a_word_list_that_is_not_one(tmp_path: pathlib.Path):
    path = tmp_path / "words.txt"
    for content, message in [
        (b"\xff\xfe", "must be UTF-8"),
        (b"\n", "at least one word"),
        (b"a\nb\na", "'a' occurs 2"),
    ]:
        path.write_bytes(content)
        with pytest.raises(ValueError, match=message):
            train_tokenizer(WordOptions(path=str(path)), [])


def test_refuses_a_changed_or_incomplete_directory(pieces: SentencePieceTokenizer, tmp_path: pathlib.Path):
    with pytest.raises(ValueError, match=r"no tokenizer\.json"):
        load_tokenizer(str(tmp_path))
    pieces.save(str(tmp_path))
    model, description = tmp_path / "sentencepiece.model", tmp_path / "tokenizer.json"
    model.write_bytes(model.read_bytes() + b"\0")
    with pytest.raises(ValueError, match="SHA-256 must be"):
        load_tokenizer(str(tmp_path))
    model.unlink()
    with pytest.raises(ValueError, match="is missing"):
        load_tokenizer(str(tmp_path))
    fields = json.loads(description.read_text(encoding="utf-8"))
    for change, message in [({"format_version": 2}, "must be 1, got 2"), ({"kind": "bytes"}, "kind must be one of")]:
        description.write_text(json.dumps(fields | change), encoding="utf-8")
        with pytest.raises(ValueError, match=message):
            load_tokenizer(str(tmp_path))


@pytest.mark.parametrize("name", ["../elsewhere/sentencepiece.model", "/etc/passwd", "sentencepiece.model/", 7])
def test_refuses_a_model_outside_its_folder(pieces: SentencePieceTokenizer, tmp_path: pathlib.Path, name: object):
    """Even where that file is the right one."""
    pieces.save(str(tmp_path / "tokenizer"))
    pieces.save(str(tmp_path / "elsewhere"))
    description = tmp_path / "tokenizer/tokenizer.json"
    fields = json.loads(description.read_text(encoding="utf-8"))
    description.write_text(json.dumps(fields | {"model": name}), encoding="utf-8")
    with pytest.raises(ValueError, match=r"tokenizer\.json: model must be 'sentencepiece\.model', got"):
        load_tokenizer(str(tmp_path / "tokenizer"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not JSON"),
        ("[1]", "must be a JSON object, got list"),
        ("[" * 200_000, r"not JSON \(nested too deeply\); copy the tokenizer again"),
        ("[" * 101 + "]" * 101, r"not JSON \(nested too deeply\)"),
        ("9" * 5_000, r"not JSON \(a number has thousands of digits\)"),
        ('{"format_version": 1, "kind": "words"}', "words must be of type list, got None"),
        ('{"format_version": 1, "kind": "words", "words": [7]}', "words must be a list of words"),
        ('{"format_version": 1, "kind": "words", "words": ["a"]}', "lower_case must be of type bool, got None"),
        ('{"format_version": 1, "kind": ["words"]}', "kind must be one of"),
    ],
)
def test_refuses_a_description_that_is_not_one(tmp_path: pathlib.Path, content: str, message: str):
    (tmp_path / "tokenizer.json").write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=rf"tokenizer\.json: {message}"):
        load_tokenizer(str(tmp_path))


def test_refuses_impossible_options(words: WordTokenizer):
    with pytest.raises(
        OptionsError,
        match=r"tokenizer\.kind must be one of \['sentencepiece', 'words', 'huggingface'\], got 'syllables'",
    ):
        read_options(TokenizerOptions, {"kind": "syllables"}, "tokenizer")
    with pytest.raises(OptionsError, match=r"tokenizer\.kind must be 'words' here, got 'sentencepiece'"):
        WordOptions(kind="sentencepiece")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="vocabulary_size must be >= 4, got 3"):
        SentencePieceOptions(vocabulary_size=3)
    with pytest.raises(ValueError, match="length must be >= 2"):
        words.encode(["dog"], 1)
