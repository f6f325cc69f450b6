"""Tokenizers of Hugging Face's library: ids against transformers', special tokens, settings beside, and saving."""

import json
import pathlib
import shutil

import numpy as np
import pytest
import tokenizers
from tokenizers import models, pre_tokenizers, processors

from lit_precompute.towers.tokenizers import (
    HuggingFaceOptions,
    HuggingFaceTokenizer,
    SpecialTokens,
    Tokenizer,
    Vocabulary,
    load_tokenizer,
    train_tokenizer,
)
from tests.oracles.texts import make_texts
from tests.oracles.tokenization import EVERY, GOLDEN, LENGTHS, LONG, checksums, digest
from tests.oracles.vocabularies import CASES, unpack

# From the files of each case.
VOCABULARIES = {
    "minilm": Vocabulary(30_522, 102, 0),
    "wordpiece": Vocabulary(8_803, 4, 0),
    "bpe": Vocabulary(1_500, 2, 1),
    "unigram": Vocabulary(2_500, 1, 0),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pathlib.Path]:
    root = tmp_path_factory.mktemp("vocabularies")
    return {case: unpack(case, root / case) for case in CASES}


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return make_texts()


def make(path: pathlib.Path | str, **options: object) -> Tokenizer:
    return train_tokenizer(HuggingFaceOptions(path=str(path), **options), [])  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("case", CASES)
def test_ids_equal_those_of_transformers(case: str, folders: dict[str, pathlib.Path], texts: list[str]):
    """The files' own truncation, padding and sides, which minilm and bpe have, do not count."""
    tokenizer = make(folders[case])
    assert tokenizer.vocabulary == VOCABULARIES[case]
    with np.load(GOLDEN) as golden:
        np.testing.assert_array_equal(tokenizer.encode(texts[::EVERY], 16), golden[f"{case} rows"])
        check(tokenizer, texts[:500], golden[f"{case} checksums"][:500])


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_ids_of_all_texts_equal_those_of_transformers(case: str, folders: dict[str, pathlib.Path], texts: list[str]):
    """On 10,000 texts of 20 scripts, to three lengths."""
    tokenizer = make(folders[case])
    with np.load(GOLDEN) as golden:
        check(tokenizer, texts, golden[f"{case} checksums"])
        for length in LENGTHS:
            np.testing.assert_array_equal(digest(tokenizer.encode(texts, length)), golden[f"{case} {length}"])


def check(tokenizer: Tokenizer, texts: list[str], expected: np.ndarray) -> None:
    wrong = np.flatnonzero(checksums(tokenizer.encode(texts, LONG)) != expected)
    assert not wrong.size, [texts[number] for number in wrong[:5]]


@pytest.mark.parametrize("case", ["minilm", "wordpiece"])
def test_a_vocab_txt_gives_the_ids_of_the_tokenizer_json(
    case: str, folders: dict[str, pathlib.Path], texts: list[str], tmp_path: pathlib.Path
):
    """Cased or uncased: without settings beside it the pieces tell which."""
    shutil.copy(folders[case] / "vocab.txt", tmp_path)
    given, alone = make(folders[case]), make(tmp_path / "vocab.txt")
    assert alone.vocabulary == given.vocabulary
    np.testing.assert_array_equal(alone.encode(texts[:1_000], LONG), given.encode(texts[:1_000], LONG))


@pytest.mark.parametrize(
    ("case", "first", "last", "padding"),
    [("minilm", (101,), (), 0), ("bpe", (0,), (), 1), ("unigram", (), (1,), 1)],
)
def test_rows_are_as_the_papers_towers_had_them(
    case: str, first: tuple[int, ...], last: tuple[int, ...], padding: int, folders: dict[str, pathlib.Path]
):
    """By hand: BERT's have [CLS] and 15 pieces, no [SEP]; the others' end with the end token, which also pads."""
    published, paper = make(folders[case]), make(folders[case], special_tokens="paper")
    assert paper.special_tokens == SpecialTokens(first, last, padding)
    assert paper.pad_id == (None if last else padding)
    long = "the quick brown fox jumps over the lazy dog and " * 3
    short, cut = paper.encode(["a", long], 16).tolist()
    pieces = published.encode(["a", long], 64)[:, len(published.special_tokens.first) :].tolist()
    (count,) = published.pieces(["a"]).counts
    room = 16 - len(first) - len(last)
    assert short == [*first, *pieces[0][:count], *last, *[padding] * (room - count)]
    assert cut == [*first, *pieces[1][:room], *last]


def test_all_lengths_work(folders: dict[str, pathlib.Path]):
    tokenizer = make(folders["minilm"])
    rows = {length: tokenizer.encode(["a photo of a dog"], length)[0].tolist() for length in (3, 16, 32, 64)}
    assert rows[3] == [101, 1037, 102]
    assert rows[16] == [101, 1037, 6302, 1997, 1037, 3899, 102, *[0] * 9]
    assert rows[64] == rows[16] + [0] * 48 and rows[32] == rows[16] + [0] * 16
    with pytest.raises(ValueError, match=r"length must be >= 3 \(one piece and 2 special tokens\), got 2"):
        tokenizer.encode(["a"], 2)


def test_the_recipes_lower_case_changes_nothing(folders: dict[str, pathlib.Path]):
    options = HuggingFaceOptions(path=str(folders["wordpiece"]))
    lower, kept = (train_tokenizer(options, [], lower_case=lower_case) for lower_case in (True, False))
    texts = ["LATIN Small Letter", "É"]
    np.testing.assert_array_equal(lower.encode(texts, 16), kept.encode(texts, 16))
    assert lower.lower_case is kept.lower_case is None
    assert not np.array_equal(lower.encode(texts, 16), lower.encode([text.lower() for text in texts], 16))


def write_bert(folder: pathlib.Path, pieces: list[str], config: object = None, more: object = None) -> pathlib.Path:
    folder.mkdir(exist_ok=True)
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece in [*special, *pieces]), encoding="utf-8")
    for name, content in [("tokenizer_config.json", config), ("special_tokens_map.json", more)]:
        if content is not None:
            (folder / name).write_text(json.dumps(content), encoding="utf-8")
    return folder


PIECES = ["e", "é", "É", "E", "猫", "##e", "a", "##b"]


@pytest.mark.parametrize(
    ("config", "lower_case", "expected"),
    [
        ({"do_lower_case": False}, None, [8, 7, 6]),  # E É é, as they are
        ({"do_lower_case": True}, None, [5, 5, 5]),  # lower-casing strips accents, too, as BERT does
        ({"do_lower_case": True, "strip_accents": False}, None, [5, 6, 6]),
        ({"do_lower_case": False, "strip_accents": True}, None, [8, 8, 5]),
        ({"do_lower_case": False}, True, [5, 5, 5]),
        (None, None, [8, 7, 6]),  # the pieces have upper-case letters
        (None, True, [5, 5, 5]),
    ],
)
def test_case_and_accents_are_as_configured(
    config: object, lower_case: bool | None, expected: list[int], tmp_path: pathlib.Path
):
    tokenizer = make(write_bert(tmp_path / "bert", PIECES, config), lower_case=lower_case)
    assert tokenizer.encode(["E É é"], 6).tolist() == [[2, *expected, 3, 0]]


def test_the_settings_beside_a_tokenizer_json_count(folders: dict[str, pathlib.Path], tmp_path: pathlib.Path):
    """As in transformers: BERT's normaliser is set by tokenizer_config.json."""
    shutil.copy(folders["minilm"] / "tokenizer.json", tmp_path)
    assert make(tmp_path).encode(["Photo"], 4)[0, 1] == 6302
    (tmp_path / "tokenizer_config.json").write_text('{"do_lower_case": false}', encoding="utf-8")
    assert make(tmp_path).encode(["Photo"], 4)[0, 1] != 6302
    assert make(tmp_path, lower_case=True).encode(["Photo"], 4)[0, 1] == 6302
    (tmp_path / "tokenizer_config.json").write_text(
        '{"do_lower_case": false, "tokenizer_class": "PreTrainedTokenizerFast"}', encoding="utf-8"
    )
    assert make(tmp_path).encode(["Photo"], 4)[0, 1] == 6302


def write_words(path: pathlib.Path, vocabulary: dict[str, int], *, special: list[str], template: str = "") -> None:
    """Writes a tokenizer.json of whole words."""
    backend = tokenizers.Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.add_special_tokens(special)
    if template:
        used = [(name, vocabulary[name]) for name in vocabulary if name in template.split()]
        backend.post_processor = processors.TemplateProcessing(single=template, special_tokens=used)
    path.write_text(backend.to_str(), encoding="utf-8")


WORDS = {"!": 0, "<unk>": 1, "<end>": 2, "a": 3, "dog": 4, "<pad>": 5, "</s>": 6}


@pytest.mark.parametrize(
    ("config", "special", "expected", "pad_id"),
    [
        # The pad token is that of a text's end (CLIP, GPT): nothing to mask.
        ({"pad_token": "<end>"}, ["<end>"], [4, 2, 2, 2], None),
        # It is a piece of ordinary texts, as id 0 is in open_clip's vocabulary.
        ({"pad_token": "!"}, ["<end>"], [4, 2, 0, 0], None),
        ({"pad_token": "<pad>"}, ["<end>", "<pad>"], [4, 2, 5, 5], 5),
        ({"pad_token": {"content": "<pad>", "special": True}}, ["<end>"], [4, 2, 5, 5], 5),
        # No configuration: the name tells; and without a pad token the end pads.
        (None, ["<end>", "<pad>"], [4, 2, 5, 5], 5),
        (None, ["<end>"], [4, 2, 5, 5], None),
    ],
)
def test_only_a_dedicated_pad_piece_is_masked(
    config: object, special: list[str], expected: list[int], pad_id: int | None, tmp_path: pathlib.Path
):
    write_words(tmp_path / "tokenizer.json", WORDS, special=special, template="$A <end>")
    if config is not None:
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    tokenizer = make(tmp_path)
    assert tokenizer.encode(["dog"], 4).tolist() == [expected]
    assert tokenizer.vocabulary == Vocabulary(7, 2, pad_id)


def test_the_end_token_is_named_beside_the_file_or_in_it(tmp_path: pathlib.Path):
    write_words(tmp_path / "tokenizer.json", WORDS, special=[])
    assert make(tmp_path).end_id == 6
    (tmp_path / "special_tokens_map.json").write_text('{"eos_token": "<end>", "bos_token": null}', encoding="utf-8")
    assert make(tmp_path).end_id == 2
    paper = make(tmp_path, special_tokens="paper")
    assert paper.encode(["a dog a dog", "dog"], 4).tolist() == [[3, 4, 3, 2], [4, 2, 2, 2]]
    write_words(tmp_path / "alone.json", {"<unk>": 0, "a": 1}, special=[])
    (tmp_path / "special_tokens_map.json").unlink()
    with pytest.raises(ValueError, match=r"alone\.json: it names no end token; put its tokenizer_config\.json beside"):
        make(tmp_path / "alone.json")


def test_added_tokens_extend_the_vocabulary(tmp_path: pathlib.Path):
    write_words(tmp_path / "tokenizer.json", WORDS, special=["<end>"], template="$A <end>")
    added = {"7": {"content": "[new]", "special": False}, "8": {"content": "[pad]", "special": True}}
    config = {"added_tokens_decoder": added, "pad_token": "[pad]"}
    path = tmp_path / "tokenizer_config.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    tokenizer = make(tmp_path)
    assert tokenizer.vocabulary == Vocabulary(9, 2, 8)
    assert tokenizer.encode(["dog[new]dog"], 6).tolist() == [[4, 7, 4, 2, 8, 8]]
    path.write_text(json.dumps({"added_tokens_decoder": {"9": {"content": "[new]"}}}), encoding="utf-8")
    with pytest.raises(ValueError, match=r"the added token '\[new\]' must have the id 9, but gets 7"):
        make(tmp_path)


def test_a_gap_in_the_ids_counts(tmp_path: pathlib.Path):
    write_words(tmp_path / "tokenizer.json", {"<unk>": 0, "</s>": 1, "a": 40}, special=[])
    assert make(tmp_path).vocabulary_size == 41


@pytest.mark.parametrize("choice", ["paper", "published"])
@pytest.mark.parametrize("case", CASES)
def test_ids_are_identical_after_the_round_trip(
    case: str, choice: str, folders: dict[str, pathlib.Path], texts: list[str], tmp_path: pathlib.Path
):
    tokenizer = make(folders[case], special_tokens=choice)
    tokenizer.save(str(tmp_path / "saved"))
    loaded = load_tokenizer(str(tmp_path / "saved"))
    assert isinstance(loaded, HuggingFaceTokenizer)
    assert (loaded.vocabulary, loaded.special_tokens) == (tokenizer.vocabulary, tokenizer.special_tokens)
    np.testing.assert_array_equal(loaded.encode(texts[:500], 16), tokenizer.encode(texts[:500], 16))
    loaded.save(str(tmp_path / "again"))
    for path in (tmp_path / "again").iterdir():
        assert path.read_bytes() == (tmp_path / "saved" / path.name).read_bytes()


def test_special_tokens_do_not_change_what_pieces_are(folders: dict[str, pathlib.Path]):
    """So that one table of tokens serves both."""
    published, paper = make(folders["bpe"]), make(folders["bpe"], special_tokens="paper")
    assert published.fingerprint == paper.fingerprint != make(folders["wordpiece"]).fingerprint
