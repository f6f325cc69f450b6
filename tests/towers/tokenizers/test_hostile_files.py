"""Tokenizer files from anyone: whatever is in them, reading gives a tokenizer or one error that names the file."""

import base64
import copy
import json
import pathlib
import random
import subprocess
import sys
from typing import Any

import pytest
import tokenizers
from tokenizers import models, pre_tokenizers, processors

from lit_precompute.towers.tokenizers import HuggingFaceOptions, Tokenizer, load_tokenizer, train_tokenizer


def good_fields() -> dict[str, Any]:
    backend = tokenizers.Tokenizer(models.WordPiece({"[UNK]": 0, "[SEP]": 1, "a": 2, "##b": 3}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.add_special_tokens(["[UNK]", "[SEP]"])
    backend.post_processor = processors.TemplateProcessing(single="$A [SEP]", special_tokens=[("[SEP]", 1)])
    return json.loads(backend.to_str())


def make(path: pathlib.Path) -> Tokenizer:
    return train_tokenizer(HuggingFaceOptions(path=str(path)), [])


def write(folder: pathlib.Path, **changes: object) -> pathlib.Path:
    path = folder / "tokenizer.json"
    path.write_text(json.dumps(good_fields() | changes), encoding="utf-8")
    return path


SEQUENCE = {"Sequence": {"id": "A", "type_id": 0}}
TEMPLATE = {"type": "TemplateProcessing", "pair": [], "special_tokens": {}}
MODEL = good_fields()["model"]
BPE = {"type": "BPE", "unk_token": None, "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": [["a", "b"], ["ab", "ab"]]}
NESTED: Any = {"type": "Lowercase"}
for _ in range(70):
    NESTED = {"type": "Sequence", "normalizers": [NESTED]}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        # Panics of the library's Rust code, while it reads or while it tokenises.
        ({"normalizer": {"type": "Precompiled", "precompiled_charsmap": "AAAA"}}, "precompiled_charsmap"),
        ({"pre_tokenizer": {"type": "FixedLength", "length": 0}}, "chunk size must be non-zero"),
        (
            {"post_processor": {**TEMPLATE, "single": [{"SpecialToken": {"id": "x", "type_id": 0}}, SEQUENCE]}},
            "no entry",
        ),
        ({"model": BPE}, "out of range"),
        # Errors of the library.
        ({"model": {**MODEL, "vocab": {"a": 1}}}, r"Missing \[UNK\] token"),
        ({"model": {**MODEL, "vocab": {"a": -1}}}, "did not match any variant|invalid"),
        ({"model": {**MODEL, "vocab": []}}, "did not match any variant|invalid"),
        ({"model": None}, "."),
        ({"model": {"type": "Unigram", "unk_id": None, "vocab": [["a", -1.0]]}}, "unk_id"),
        ({"normalizer": NESTED}, "recursion limit|nested too deeply"),
        ({"version": "7.0"}, "version"),
    ],
)
def test_an_unusable_tokenizer_is_one_error_that_names_the_file(
    changes: dict[str, object], reason: str, tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str]
):
    path = write(tmp_path, **changes)
    with pytest.raises(ValueError, match=reason) as caught:
        make(path)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)
    assert "panicked" not in capfd.readouterr().err  # nothing of Rust's own report


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "must be UTF-8"),
        (b"[]", "must be a JSON object"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"version": "1.0"}', "cannot use this file"),
        (b'{"format_version": 1, "kind": "words"}', "describes a tokenizer that lit-precompute saved"),
    ],
)
def test_refuses_what_is_not_a_tokenizer_json(content: bytes, reason: str, tmp_path: pathlib.Path):
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=reason) as caught:
        make(path)
    assert str(caught.value).startswith(str(path))


def test_refuses_a_huge_file_unread(tmp_path: pathlib.Path):
    path = tmp_path / "tokenizer.json"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ValueError, match=r"tokenizer\.json: must have at most 67,108,864 bytes, got 1,099,511,627,776"):
        make(path)


def test_refuses_an_id_that_no_table_could_have(tmp_path: pathlib.Path):
    path = write(tmp_path, model={**MODEL, "vocab": {**MODEL["vocab"], "z": 4_000_000_000}})
    with pytest.raises(ValueError, match=r"ids must be in \[0, 16,777,216\), the largest is 4,000,000,000"):
        make(path)


def test_refuses_tokens_within_a_text(tmp_path: pathlib.Path):
    special = {"[SEP]": {"id": "[SEP]", "ids": [1], "tokens": ["[SEP]"]}}
    twice = {**TEMPLATE, "single": [SEQUENCE, {"SpecialToken": {"id": "[SEP]", "type_id": 0}}, SEQUENCE]}
    path = write(tmp_path, post_processor={**twice, "special_tokens": special})
    with pytest.raises(ValueError, match=r"tokenizer\.json: "):
        make(path)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("tokenizer_config.json", "[]", "must be a JSON object"),
        ("tokenizer_config.json", '{"pad_token": 7}', "pad_token must be a token, got 7"),
        ("tokenizer_config.json", '{"eos_token": {"content": []}}', r"eos_token must be a token, got \[\]"),
        ("tokenizer_config.json", '{"do_lower_case": "no"}', "do_lower_case must be true or false"),
        ("tokenizer_config.json", '{"added_tokens_decoder": [1]}', "must give tokens by id"),
        ("tokenizer_config.json", '{"added_tokens_decoder": {"a": {"content": "b"}}}', "must give tokens by id"),
        ("tokenizer_config.json", '{"added_tokens_decoder": {"9": {"content": "b", "lstrip": 1}}}', "true or false"),
        ("special_tokens_map.json", '{"cls_token": ""}', "cls_token must be a token"),
    ],
)
def test_damaged_settings_are_one_error_that_names_their_file(
    name: str, content: str, reason: str, tmp_path: pathlib.Path
):
    write(tmp_path)
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=reason) as caught:
        make(tmp_path)
    assert str(tmp_path / name) in str(caught.value)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"a\nb\n", r"not BERT's vocabulary: it has no \[UNK\] and no \[CLS\] and no \[SEP\] and no \[PAD\]"),
        (b"\xff\n", "must be UTF-8"),
        (b"", "not BERT's vocabulary"),
    ],
)
def test_refuses_what_is_not_berts_vocabulary(content: bytes, reason: str, tmp_path: pathlib.Path):
    (tmp_path / "vocab.txt").write_bytes(content)
    with pytest.raises(ValueError, match=reason):
        make(tmp_path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"special_tokens": None}, "special_tokens must be of type dict"),
        ({"first": 7}, "first must be of type list"),
        ({"first": ["a"]}, "must be ids"),
        ({"last": [4]}, r"a special token must be in \[0, 4\), got 4"),
        ({"padding": -1}, r"a special token must be in \[0, 4\), got -1"),
        ({"pad_id": 1.5}, "must be ids"),
        ({"pad_id": True}, "must be ids"),
        ({"end_id": None}, "end_id must be of type int"),
        ({"model": "/etc/passwd"}, r"model must be 'huggingface\.json'"),
        ({"model_sha256": "0"}, "SHA-256 must be 0 as saved"),
    ],
)
def test_refuses_a_changed_description(change: dict[str, Any], reason: str, tmp_path: pathlib.Path):
    make(write(tmp_path)).save(str(tmp_path / "saved"))
    path = tmp_path / "saved" / "tokenizer.json"
    fields = json.loads(path.read_text(encoding="utf-8"))
    for name, value in change.items():
        target = fields if name in fields else fields["special_tokens"]
        target[name] = value
    path.write_text(json.dumps(fields), encoding="utf-8")
    with pytest.raises(ValueError, match=reason):
        load_tokenizer(str(tmp_path / "saved"))


def test_what_is_printed_while_a_file_is_read_is_kept(tmp_path: pathlib.Path):
    """Only a panic's report is dropped; and a process without a standard error reads tokenizers, too."""
    path = write(tmp_path)
    program = (
        "from lit_precompute.towers.tokenizers import HuggingFaceOptions, train_tokenizer\n"
        f"print(train_tokenizer(HuggingFaceOptions(path={str(path)!r}), []).vocabulary_size)"
    )
    command = ["bash", "-c", '"$0" -c "$1" 2>&-', sys.executable, program]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout == "4\n"


def mutated(value: Any, draw: random.Random) -> Any:
    """Returns a JSON value with one change somewhere."""
    if isinstance(value, dict) and value and draw.random() < 0.9:
        key = draw.choice(list(value))
        if draw.random() < 0.1:
            return {name: each for name, each in value.items() if name != key}
        return {**value, key: mutated(value[key], draw)}
    if isinstance(value, list) and value and draw.random() < 0.9:
        place = draw.randrange(len(value))
        return [*value[:place], mutated(value[place], draw), *value[place + 1 :]]
    odd = [None, True, -1, 0, 7, 2**31, 2**63, 1e308, "", "a", "[SEP]", [], {}, [[]], {"a": 1}, "\x00", "\ud7ff" * 9]
    return draw.choice(odd)


def fuzz(folder: pathlib.Path, num_files: int) -> int:
    """Reads changed files, and tokenises with those that can be read; returns how many these were."""
    draw = random.Random(5)
    charsmap = base64.b64encode(bytes(range(64))).decode()
    unigram = {
        "type": "Unigram",
        "unk_id": 0,
        "vocab": [["[UNK]", 0.0], ["[SEP]", 0.0], ["a", -1.0]],
        "byte_fallback": True,
    }
    bases = [
        good_fields(),
        good_fields() | {"model": unigram, "normalizer": {"type": "Precompiled", "precompiled_charsmap": charsmap}},
        good_fields() | {"model": {**BPE, "merges": [["a", "b"]]}, "pre_tokenizer": {"type": "ByteLevel"}},
    ]
    num_read = 0
    for number in range(num_files):
        content = copy.deepcopy(bases[number % len(bases)])
        for _ in range(draw.randint(1, 3)):
            content = mutated(content, draw)
        path = folder / "tokenizer.json"
        path.write_text(json.dumps(content), encoding="utf-8")
        try:
            make(path).encode(["a ab", "é 猫", ""], 8)
        except ValueError as error:
            assert str(path) in str(error) or "length must be" in str(error), error
        else:
            num_read += 1
    return num_read


def test_changed_files_give_a_tokenizer_or_an_error_that_names_them(tmp_path: pathlib.Path):
    assert fuzz(tmp_path, 150) > 0


def test_changed_settings_give_a_tokenizer_or_an_error_that_names_them(tmp_path: pathlib.Path):
    write(tmp_path)
    added = {"4": {"content": "[new]", "lstrip": True, "special": True}, "5": {"content": "x y", "normalized": True}}
    config = {"eos_token": {"content": "[SEP]"}, "pad_token": "[UNK]", "added_tokens_decoder": added}
    draw = random.Random(7)
    num_read = 0
    for _ in range(200):
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(mutated(config, draw)), encoding="utf-8")
        try:
            make(tmp_path).encode(["a x y [new]", ""], 8)
        except ValueError as error:
            assert str(tmp_path) in str(error), error
        else:
            num_read += 1
    assert num_read > 0


@pytest.mark.slow
def test_many_changed_files_give_a_tokenizer_or_an_error_that_names_them(tmp_path: pathlib.Path):
    assert fuzz(tmp_path, 5_000) > 0
