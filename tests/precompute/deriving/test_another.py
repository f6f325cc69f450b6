"""Why an output is refused, for people: files by their paths, options by their flags, no hashes."""

import pytest

from lit_precompute.precompute.deriving.another import another_in_words

FILE = {"path": "/a/t.tsv", "sha256": "0" * 64, "bytes": 5}
OPTIONS = {"format": "tsv", "columns": {"key": "key", "text": "text"}}
CAPTIONS = {"path": "/a/t.tsv", "options": OPTIONS, "files": [FILE]}
VECTORS = {"path": "/b", "digest": "1" * 64, "table": "embeddings"}
DERIVATION = {"base": "2" * 64, "tables": {"captions": CAPTIONS, "embeddings-b": VECTORS}}


def changed(**captions):
    return {**DERIVATION, "tables": {**DERIVATION["tables"], "captions": {**CAPTIONS, **captions}}}


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (DERIVATION, []),
        (
            {**DERIVATION, "base": "3" * 64},
            ["it refers to another dataset, or to this one as it was before it was replaced"],
        ),
        (
            changed(files=[{**FILE, "sha256": "4" * 64}]),
            ["its captions are of /a/t.tsv as it was before it was changed"],
        ),
        (
            changed(path="/c.tsv", files=[{**FILE, "path": "/c.tsv"}]),
            ["its captions are of /a/t.tsv, not of /c.tsv"],
        ),
        (
            changed(options={**OPTIONS, "columns": {"key": "id", "text": "text"}}),
            ["--key-column was 'key' then, and is 'id' now"],
        ),
        (changed(options={**OPTIONS, "gather": True}), ["--gather was not given then"]),
        (
            {"base": "2" * 64, "tables": {"captions": CAPTIONS, "labels": CAPTIONS}},
            ["it also has embeddings-b of /b, which are not asked for", "it has no labels of its own"],
        ),
        (
            {**DERIVATION, "tables": {"captions": CAPTIONS, "embeddings-b": {**VECTORS, "digest": "5" * 64}}},
            ["its embeddings-b are of /b as it was before it was changed"],
        ),
        ({**DERIVATION, "keep_texts": True}, ["--keep-texts was not given then"]),
    ],
)
def test_what_differs(asked, words):
    assert another_in_words(DERIVATION, asked) == words


def test_what_another_probe_has_written():
    probed = {"base": "2" * 64, "probed": {"rows": 64, "source": "images.tar", "mean_cosine": 1.0}}
    words = ["it was written after a probe of 64 rows of images.tar"]
    assert another_in_words(probed, {**probed, "probed": {"rows": 8, "source": "images.tar"}}) == words
