"""Rows of a token table, and which tokenizer is meant."""

import pyarrow as pa
import pytest

from lit_precompute.precompute.deriving.tokens import open_tokenizer, token_rows
from lit_precompute.schemas.tables import json_digest
from lit_precompute.schemas.token_tables import TOKENS, TokenTableInfo
from lit_precompute.towers.tokenizers import WordTokenizer

TOKENIZER = WordTokenizer(["a", "b", "c"])  # ids 3, 4 and 5
BLANK = [-1]
TEXTS = [["A b", " ", "c"], [], ["\u200b"], ["!!", "", "d c b a"]]


def made(*, max_pieces=3, separator=None):
    info = TokenTableInfo(fingerprint=TOKENIZER.fingerprint, tokenizer={}, max_pieces=max_pieces, separator=separator)
    keys = [f"key{number}" for number in range(len(TEXTS))]
    rows = pa.RecordBatch.from_pydict({"key": keys, "texts": pa.array(TEXTS, pa.list_(pa.string()))})
    found = token_rows(rows, TOKENIZER, info)
    assert found.schema == info.table.arrow_schema()
    assert found["key"].to_pylist() == keys
    return found[TOKENS].to_pylist()


def test_every_text_has_its_pieces_and_a_blank_one_a_sign():
    """Punctuation alone is a text without pieces, an unknown word is piece 2."""
    assert made() == [[[3, 4], BLANK, [5]], [], [BLANK], [[], BLANK, [2, 5, 4]]]
    assert made(max_pieces=1) == [[[3], BLANK, [5]], [], [BLANK], [[], BLANK, [2]]]


def test_joined_texts_come_first():
    assert made(separator=" ") == [[[3, 4, 5], BLANK], [], [BLANK], [[2, 5, 4], BLANK]]


def test_a_named_texts_tokens_are_in_a_column_and_table_of_their_own():
    info = TokenTableInfo(fingerprint=TOKENIZER.fingerprint, tokenizer={}, max_pieces=3, field="title")
    rows = pa.RecordBatch.from_pydict({"key": ["key0"], "title": pa.array([["a", "c b"]], pa.list_(pa.string()))})
    found = token_rows(rows, TOKENIZER, info)
    assert found.schema == info.table.arrow_schema() and found["title_tokens"].to_pylist() == [[[3], [5, 4]]]
    of_texts = TokenTableInfo(fingerprint=TOKENIZER.fingerprint, tokenizer={}, max_pieces=3)
    assert info.name != of_texts.name and info.name.startswith("tokens-")
    assert TokenTableInfo.from_bytes(info.to_bytes(), "here") == info
    # Tables of `texts` have the name and description that versions without named texts gave them.
    assert b"field" not in of_texts.to_bytes() and TokenTableInfo.from_bytes(of_texts.to_bytes(), "here") == of_texts
    content = {"fingerprint": TOKENIZER.fingerprint, "max_pieces": 3, "separator": None}
    assert of_texts.name == f"tokens-{json_digest(content)[:12]}"


@pytest.mark.parametrize("folder", ["saved", "run/tokenizer"])
def test_a_saved_tokenizer_is_found_in_its_folder_and_in_a_runs(tmp_path, folder):
    TOKENIZER.save(str(tmp_path / folder))
    place = tmp_path / folder.partition("/")[0]
    assert open_tokenizer(str(place), lower_case=True).fingerprint == TOKENIZER.fingerprint


@pytest.mark.parametrize("place", ["no/such/folder/", "missing.model", "nothing", "tokenizer.json"])
def test_what_is_no_tokenizer_is_refused(tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=place):
        open_tokenizer(place, lower_case=True)
