"""Tokens of a table: bitwise the batches of texts that are tokenised here; and tables that do not fit."""

import dataclasses
import random

import jax
import numpy as np
import pytest
import tokenizers

from lit_precompute.pipelines.tokens import tokenise
from lit_precompute.precompute.deriving.options import DeriveOptions
from lit_precompute.schemas import DatasetWriter, EmbeddingDataset, SourceInfo, captions_table
from lit_precompute.schemas.token_tables import BLANK, TOKENS, TokenTableInfo
from lit_precompute.towers.tokenizers import SentencePieceTokenizer, Tokenizer, WordTokenizer, load_tokenizer
from lit_precompute.towers.tokenizers.huggingface.tokenizer import HuggingFaceTokenizer
from lit_precompute.towers.tokenizers.sentencepiece import train_pieces
from lit_precompute.towers.tokenizers.tokenizer import SpecialTokens, Vocabulary
from lit_precompute.tune.data import text_draws
from lit_precompute.tune.data.batches import BatchSource
from lit_precompute.tune.data.chosen_texts import ChosenTexts
from lit_precompute.tune.data.finding_texts import find_texts, read_info, token_tables
from lit_precompute.tune.data.stored_tokens import StoredTokens
from lit_precompute.tune.data.text_options import TextOptions
from lit_precompute.tune.data.tokenised_texts import TokenisedTexts
from tests.tune.small_runs import tower_card

NUM_ROWS, WIDTH = 200, 64
WORDS = [f"word{number}" for number in range(60)]
TABLES = ["embeddings", "captions"]
TEXT = TextOptions(max_tokens=16)


def draw_texts() -> list[list[str]]:
    """Returns none to three texts for each row, of up to 80 words; some are blank, some nothing but punctuation."""
    draw = random.Random(0)
    odd = ["", " ", "\u200b", "...", "☂ naïve Straße", "HDR"]
    return [
        [
            draw.choice(odd) if draw.random() < 0.2 else " ".join(draw.choices(WORDS, k=draw.choice([1, 5, 20, 80])))
            for _ in range(draw.randrange(4))
        ]
        for _ in range(NUM_ROWS)
    ]


def make_tokenizer(kind: str) -> Tokenizer:
    if kind == "words":
        return WordTokenizer(WORDS)
    if kind == "sentencepiece":
        return SentencePieceTokenizer(train_pieces((text for row in draw_texts() for text in row), 90))
    backend = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({word: number for number, word in enumerate(["[U]", "[C]", "[S]", *WORDS])}, "[U]")
    )
    backend.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    special = SpecialTokens((1,), (2,), 0)
    return HuggingFaceTokenizer(backend, special, Vocabulary(len(WORDS) + 3, 2, 0), where="made")


def write_rows(
    path,
    info: TokenTableInfo | None = None,
    tokens: list[list[list[int]]] | None = None,
    description: bytes | None = None,
):
    """Writes a dataset, perhaps with a table of these tokens."""
    source = SourceInfo(kind="table", path="none", files=[])
    tables = [captions_table(), *([] if info is None else [info.table])]
    options = {"tables": tables, "block_rows": 16, "rows_per_shard": 70}
    with DatasetWriter(path, tower=tower_card(width=WIDTH), source=source, vector_type="float16", **options) as writer:
        columns = {"captions": {"texts": draw_texts()}}
        if info is not None:
            columns[info.name] = {TOKENS: tokens}
            writer.attach(info.attachment, description or info.to_bytes())
        vectors = np.random.default_rng(0).standard_normal((NUM_ROWS, WIDTH)).astype(np.float32)
        writer.write(keys=[f"row{number}" for number in range(NUM_ROWS)], embeddings=vectors, columns=columns)
    return path


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return write_rows(tmp_path_factory.mktemp("datasets") / "base")


def derived(base, folder, kind: str = "words", **changes):
    """Returns a dataset with tokens, opened as the trainer does, and the tokenizer."""
    tokenizer = make_tokenizer(kind)
    tokenizer.save(str(folder / "tokenizer"))
    options = DeriveOptions(base=str(base), output=str(folder / "out"), tokens=str(folder / "tokenizer"), **changes)
    tokenise(options)
    dataset = EmbeddingDataset.open(folder / "out", tables=TABLES)
    return dataset, load_tokenizer(str(folder / "tokenizer"))


def batches(dataset, texts, *, budget: int, rows=None) -> list[list[bytes]]:
    """Returns the arrays of two epochs' batches."""
    loaded = BatchSource(dataset, texts, batch_size=16, seed=3, memory_budget_bytes=budget, rows=rows)
    assert loaded.in_memory == (budget > 100_000)
    steps = range(2 * loaded.num_batches_per_epoch)
    found = [[array.tobytes() for array in jax.tree.leaves(loaded.batch(step))] for step in steps]
    loaded.close()
    told = [loaded.num_rows, loaded.num_rows_without_text, str(loaded.fields), str(loaded.order())]
    return [*found, [str(each).encode() for each in told]]


@pytest.mark.parametrize("choice", ["sample", "join"])
@pytest.mark.parametrize("max_tokens", [16, 32, 64])
@pytest.mark.parametrize("kind", ["words", "sentencepiece", "huggingface"])
def test_batches_are_bitwise_those_of_texts_that_are_tokenised(base, tmp_path, kind, max_tokens, choice):
    text = dataclasses.replace(TEXT, max_tokens=max_tokens, choice=choice, separator=" | ")
    dataset, tokenizer = derived(base, tmp_path, kind, join_texts=" | " if choice == "join" else None)
    found = find_texts(dataset, tokenizer, text)
    assert isinstance(found.source.sources[0], StoredTokens), found.notes
    tokenised = ChosenTexts({"texts": TokenisedTexts(tokenizer, text)}, text)
    for budget, rows in [(14_000, None), (1 << 20, None), (14_000, np.arange(1, NUM_ROWS, 2))]:
        expected = batches(dataset, tokenised, budget=budget, rows=rows)
        assert batches(found.dataset, found.source, budget=budget, rows=rows) == expected


def test_tokenises_some_rows_for_comparison_and_then_none(base, tmp_path, monkeypatch):
    dataset, tokenizer = derived(base, tmp_path)
    texts: list[str] = []
    to_ids = type(tokenizer).to_ids
    monkeypatch.setattr(type(tokenizer), "to_ids", lambda self, given: texts.extend(given) or to_ids(self, given))
    found = find_texts(dataset, tokenizer, TEXT)
    (note,) = found.notes
    assert note.startswith("tokens are read from the table 'tokens-") and note.endswith("; nothing is tokenised")
    assert 0 < len(texts) <= 3 * 3 * 32
    texts.clear()
    batches(found.dataset, found.source, budget=14_000)
    assert not texts


@pytest.mark.parametrize(
    ("tokenizer", "text", "why"),
    [
        (WordTokenizer(WORDS[::-1]), {}, "another tokenizer made it"),
        (None, {"max_tokens": 66}, "has at most 64 pieces of a text, and rows of 66 tokens hold 65"),
        (None, {"choice": "join"}, "the tokens of each text alone, and the recipe wants texts joined by ' '"),
    ],
)
def test_a_table_that_does_not_fit_is_named_and_not_used(base, tmp_path, tokenizer, text, why):
    dataset, own = derived(base, tmp_path)
    found = find_texts(dataset, tokenizer or own, dataclasses.replace(TEXT, **text))
    assert isinstance(found.source.sources[0], TokenisedTexts)
    (note,) = found.notes
    assert why in note and note.endswith("texts are tokenised here")
    assert find_texts(dataset, own, dataclasses.replace(TEXT, max_tokens=65)).dataset is not dataset


@pytest.mark.parametrize("change", ["a piece", "a text", "a blank text"])
def test_a_table_of_other_texts_is_not_used(base, tmp_path, change):
    """Its name and fingerprint are right; its last rows are not."""
    dataset, tokenizer = derived(base, tmp_path)
    (name,) = token_tables(dataset)
    info = read_info(dataset, name)
    with EmbeddingDataset.open(dataset.path, tables=[info.name]) as opened:
        tokens = [row[TOKENS] for row in opened.rows(0, NUM_ROWS).to_rows()]
    with EmbeddingDataset.open(write_rows(tmp_path / "same", info, tokens), tables=TABLES) as same:
        assert isinstance(find_texts(same, tokenizer, TEXT).source.sources[0], StoredTokens)
    row = max(row for row, own in enumerate(tokens) if any(text not in ([], [BLANK]) for text in own))
    place = next(place for place, text in enumerate(tokens[row]) if text not in ([], [BLANK]))
    text = tokens[row][place]
    wrong = {"a piece": [[5, *text]], "a text": [text, text], "a blank text": [[BLANK]]}[change]
    tokens[row] = [*tokens[row][:place], *wrong, *tokens[row][place + 1 :]]
    with EmbeddingDataset.open(write_rows(tmp_path / "wrong", info, tokens), tables=TABLES) as dataset:
        found = find_texts(dataset, tokenizer, TEXT)
        assert isinstance(found.source.sources[0], TokenisedTexts)
        assert "its tokens are not those of the dataset's texts (rows " in found.notes[0]


@pytest.mark.parametrize(
    ("content", "why"),
    [(b"{}", "does not describe a token table"), (b"changed", "must have"), (None, "the file is missing")],
)
def test_a_table_without_a_sound_description_is_not_used(base, tmp_path, content, why):
    dataset, tokenizer = derived(base, tmp_path)
    (name,) = token_tables(dataset)
    info = read_info(dataset, name)
    if content == b"{}":
        other = write_rows(tmp_path / "other", dataclasses.replace(info, tokenizer={}), [[]] * NUM_ROWS, b"{}")
        dataset = EmbeddingDataset.open(other, tables=TABLES)
    elif content is None:
        (tmp_path / "out/attachments" / info.attachment).unlink()
    else:
        (tmp_path / "out/attachments" / info.attachment).write_bytes(content)
    found = find_texts(dataset, tokenizer, TEXT)
    assert isinstance(found.source.sources[0], TokenisedTexts)
    assert why in found.notes[0]


def naive_row(pieces: list[int], tokenizer: Tokenizer, length: int) -> list[int]:
    """Returns the row of tokens of one text's pieces, by lists alone."""
    first, last, padding = tokenizer.special_tokens
    row = [*first, *pieces[: length - len(first) - len(last)], *last]
    return row + [padding] * (length - len(row))


@pytest.mark.parametrize("kind", ["sentencepiece", "huggingface"])
@pytest.mark.parametrize(("max_tokens", "budget"), [(16, 1 << 20), (3, 14_000), (16, 14_000)])
def test_batches_equal_a_plain_assembly_of_the_tables_lists(base, tmp_path, kind, max_tokens, budget):
    """In memory, in windows beside all tokens, and in windows alone."""
    dataset, tokenizer = derived(base, tmp_path, kind)
    found = find_texts(dataset, tokenizer, dataclasses.replace(TEXT, max_tokens=max_tokens))
    (column,) = found.source.columns
    lists = found.dataset.rows(0, NUM_ROWS, [column])[column].to_pylist()
    shown = [[pieces for pieces in row if pieces != [BLANK]] for row in lists]
    source = BatchSource(found.dataset, found.source, batch_size=16, seed=3, memory_budget_bytes=budget)
    assert source.num_rows == sum(map(bool, shown))
    for step in range(2 * source.num_batches_per_epoch):
        batch, epoch = source.batch(step), step // source.num_batches_per_epoch
        counts = np.array([len(shown[row]) for row in batch.row_numbers])
        drawn = text_draws.draw_texts(3, epoch, batch.row_numbers, counts)[:, 0]
        expected = [
            naive_row(shown[row][text], tokenizer, max_tokens)
            for row, text in zip(batch.row_numbers, drawn, strict=True)
        ]
        assert batch.texts.inputs.tolist() == expected
    source.close()
