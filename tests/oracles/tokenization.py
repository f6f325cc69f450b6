"""Reference ids of transformers' tokenizers for 10,000 texts; needs the oracle environment.

    .venv-oracles/bin/python -m tests.oracles.tokenization            # computes afresh and compares with the goldens
    .venv-oracles/bin/python -m tests.oracles.tokenization --write    # writes tests/golden/tokenizers/ids.npz

transformers 5 has a second tokenizer, in Python, for BERT alone. It agrees except where Python's Unicode does not: a
capital sigma at a word's end, and code points that are no characters.
"""

import datetime
import hashlib
import json
import pathlib
import sys
import tempfile
import zlib
from typing import Any

import numpy as np

from tests.oracles.texts import make_texts
from tests.oracles.vocabularies import CASES, FOLDER, unpack

LENGTHS = (16, 32)
LONG = 64
EVERY = 500
GOLDEN = FOLDER / "ids.npz"
_PYTHON_DIFFERS = ("\u03a3", "\uffff")


def checksums(rows: np.ndarray) -> np.ndarray:
    """Returns 16 bits for each row of ids."""
    return np.array([zlib.crc32(row.astype("<i4").tobytes()) & 0xFFFF for row in rows], np.uint16)


def digest(rows: np.ndarray) -> np.ndarray:
    """Returns a hash of all rows."""
    return np.frombuffer(hashlib.sha256(rows.astype("<i4").tobytes()).digest(), np.uint8)


def compute() -> dict[str, np.ndarray]:
    """Returns by "case what": a hash of all rows of each length, 16 bits of each long row, and some rows."""
    texts = make_texts()
    found: dict[str, np.ndarray] = {}
    with tempfile.TemporaryDirectory() as folder:
        for case in CASES:
            files = unpack(case, pathlib.Path(folder) / case)
            rows = {length: _rows(files, texts, length) for length in (*LENGTHS, LONG)}
            found |= {f"{case} {length}": digest(rows[length]) for length in LENGTHS}
            found |= {f"{case} checksums": checksums(rows[LONG]), f"{case} rows": rows[16][::EVERY]}
            if case == "minilm":
                _check_python(files, texts, rows[LONG])
    return found


def _rows(files: pathlib.Path, texts: list[str], length: int) -> np.ndarray:
    import transformers

    sides = {"padding_side": "right", "truncation_side": "right"}
    return _encode(transformers.AutoTokenizer.from_pretrained(str(files), **sides), texts, length)


def _encode(tokenizer: Any, texts: list[str], length: int) -> np.ndarray:
    rows = tokenizer(texts, padding="max_length", truncation=True, max_length=length)["input_ids"]
    return np.array(rows, np.int32)


def _check_python(files: pathlib.Path, texts: list[str], rows: np.ndarray) -> None:
    """Raises AssertionError unless the tokenizer in Python gives the same rows."""
    from transformers.models.bert.tokenization_bert_legacy import BertTokenizerLegacy

    alike = [number for number, text in enumerate(texts) if not any(sign in text for sign in _PYTHON_DIFFERS)]
    slow = _encode(BertTokenizerLegacy.from_pretrained(str(files)), [texts[number] for number in alike], LONG)
    np.testing.assert_array_equal(slow, rows[alike])
    assert len(alike) > 9_400, len(alike)


def write() -> None:
    """Writes the goldens and what they were made with."""
    import tokenizers
    import transformers

    np.savez_compressed(GOLDEN, **compute())  # pyright: ignore[reportArgumentType]
    versions = {"transformers": transformers.__version__, "tokenizers": tokenizers.__version__}
    date = datetime.datetime.now(datetime.UTC).date().isoformat()
    made = {"script": "python -m tests.oracles.tokenization --write", "date": date, **versions}
    GOLDEN.with_name("made.json").write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")


def compare() -> None:
    """Raises AssertionError where fresh ids differ from the goldens."""
    found = compute()
    with np.load(GOLDEN) as golden:
        assert set(golden) == set(found)
        for name, values in found.items():
            np.testing.assert_array_equal(values, golden[name], name)
    sys.stdout.write(f"tokenizers: transformers gives the {len(found)} goldens\n")


if __name__ == "__main__":
    if "--write" in sys.argv[1:]:
        write()
    compare()
