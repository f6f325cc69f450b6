"""Texts embedded by a frozen text tower: a table of their own, made out of core, with the tower's card."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from lit_precompute.precompute.deriving.derivation import derive
from lit_precompute.precompute.deriving.embedding_texts.options import EmbedTextsOptions
from lit_precompute.precompute.deriving.options import DeriveOptions
from lit_precompute.schemas import DatasetWriter, EmbeddingDataset, Manifest, captions_table
from lit_precompute.schemas.checking.verification import verify
from lit_precompute.schemas.claims import ClaimError
from lit_precompute.schemas.storage import DatasetError
from lit_precompute.schemas.text_tower_card import TextEmbeddingsInfo, info_attachment
from lit_precompute.towers.text.encoder import TextEncoder, load_text_encoder
from lit_precompute.towers.text.encoder_options import TextEncoderOptions
from tests.schemas.making import SOURCE, card, files_of
from tests.towers.text.tiny_encoder import WIDTH, WORDS, write_encoder

NAME, TABLE = "tiny/Frozen_Tower", "text-embeddings-frozen_tower"
ROOT = pathlib.Path(__file__).parents[3]
NUM_ROWS, SHARD_ROWS = 50, 20
# Two rows have no text that shows anything, and every third row has a second one.
TEXTS = [
    []
    if row == 7
    else ["  "]
    if row == 8
    else ["\u200b", f"word{row % 20}", "word2"]
    if row % 3 == 0
    else [WORDS[row % 20]]
    for row in range(NUM_ROWS)
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("frozen")
    write_encoder(folder / "encoder", NAME)
    vectors = np.random.default_rng(0).standard_normal((NUM_ROWS, card().output_width)).astype(np.float32)
    with DatasetWriter(
        folder / "base",
        tower=card(),
        source=SOURCE,
        tables=[captions_table(["title"])],
        block_rows=8,
        rows_per_shard=SHARD_ROWS,
    ) as writer:
        for rows in (range(0, 15), range(15, NUM_ROWS)):
            columns = {"texts": [TEXTS[row] for row in rows], "title": [["word9"] for _ in rows]}
            writer.write(
                keys=[f"{row:02}.jpg" for row in rows], embeddings=vectors[rows], columns={"captions": columns}
            )
    return folder


def _options(folder, output, **options):
    return DeriveOptions(
        base=str(folder / "base"), output=str(output), embed_texts=EmbedTextsOptions(tower=NAME, **options)
    )


def _embedded(texts):
    return load_text_encoder(TextEncoderOptions(name=NAME)).embed(texts)


def test_each_row_has_the_embedding_of_its_first_text(folder, tmp_path):
    manifest = derive(_options(folder, tmp_path / "derived")).manifest
    with EmbeddingDataset.open(tmp_path / "derived") as dataset:
        found = dataset.rows(0, NUM_ROWS, ["text_embedding", "key"])
        info = TextEmbeddingsInfo.model_validate_json(dataset.attachment(info_attachment(TABLE)))
    kept = info.tower
    assert (info.field, info.number) == ("texts", 1)
    expected = np.zeros((NUM_ROWS, WIDTH), np.float32)
    firsts = {row: next((text for text in texts if text.startswith("word")), None) for row, texts in enumerate(TEXTS)}
    with_text = [row for row, text in firsts.items() if text]
    expected[with_text] = _embedded([firsts[row] for row in with_text])
    assert found["text_embedding"].dtype == np.float16
    np.testing.assert_allclose(found.vectors("text_embedding"), expected, atol=2e-3)  # stored as float16
    assert not found["text_embedding"][[7, 8]].any()
    assert kept == load_text_encoder(TextEncoderOptions(name=NAME)).card
    notes = {note.what: (note.count, note.first) for note in manifest.notes}
    assert notes == {
        f"{TABLE}: rows with more texts than the one that is embedded (number 1)": (17, "00.jpg"),
        f"{TABLE}: rows without such a text, which have zeros": (2, "07.jpg"),
    }
    recorded = manifest.job["derive"]["tables"][TABLE]
    assert recorded["text_tower"] == {"name": NAME, "fingerprint": kept.fingerprint}
    assert verify(tmp_path / "derived") == []


@pytest.mark.parametrize(
    ("options", "table"),
    [
        ({"number": 2}, f"{TABLE}-2"),
        ({"field": "title", "vector_type": "int8"}, f"{TABLE}-title"),
        ({"name": "mine", "vector_type": "bfloat16"}, "text-embeddings-mine"),
    ],
)
def test_other_texts_are_other_tables(folder, tmp_path, options, table):
    derive(_options(folder, tmp_path / "derived", **options))
    with EmbeddingDataset.open(tmp_path / "derived", tables=[table]) as dataset:
        found = dataset.rows(0, NUM_ROWS).vectors("text_embedding")
    text, rows = {
        "number": ("word2", slice(0, None, 3)),
        "field": ("word9", slice(None)),
        "name": ("word1", slice(1, 2)),
    }[next(iter(options))]
    np.testing.assert_allclose(found[rows], np.repeat(_embedded([text]), len(found[rows]), axis=0), atol=0.03)
    assert found.any(axis=1).sum() == {"number": 17, "field": NUM_ROWS, "name": NUM_ROWS - 2}[next(iter(options))]


def test_a_stopped_run_goes_on_with_the_next_shard_and_gives_the_same_bytes(folder, tmp_path):
    begun = []

    def stop(what, done, total):
        if what == "embedding texts" and done == 48:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        derive(_options(folder, tmp_path / "derived"), stop)
    assert len(list((tmp_path / "derived" / TABLE).iterdir())) == 2
    derive(
        _options(folder, tmp_path / "derived"),
        lambda what, done, total: begun.append(done) if what == "embedding texts" else None,
    )
    assert begun == [20, 40, 48, 50, 50]  # the first shard is there; the last alone is embedded, in two blocks
    derive(_options(folder, tmp_path / "other"))
    assert files_of(tmp_path / "derived") == files_of(tmp_path / "other")
    assert derive(_options(folder, tmp_path / "derived")).was_there


@pytest.mark.slow
def test_the_same_command_after_a_kill_gives_the_same_bytes(folder, tmp_path):
    output = tmp_path / "derived"
    lines = (
        "import time",
        "from tests.towers.text.tiny_encoder import register",
        "from tests.precompute.deriving.test_embedding_texts import NAME, _options, derive",
        "import pathlib",
        f"folder = pathlib.Path({str(folder)!r})",
        "register(folder / 'encoder', NAME)",
        f"begun = lambda: list(pathlib.Path({str(output)!r}).glob({f'{TABLE}/*'!r}))",
        # Once there is a part of the table, it waits to be killed.
        f"derive(_options(folder, {str(output)!r}), lambda what, done, total: time.sleep(3600 if begun() else 0))",
    )
    process = subprocess.Popen([sys.executable, "-c", "\n".join(lines)], cwd=ROOT, env={**os.environ})
    while process.poll() is None and not list(output.glob(f"{TABLE}/*")):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (output / "manifest.json").exists()
    derive(_options(folder, output))
    derive(_options(folder, tmp_path / "other"))
    assert files_of(output) == files_of(tmp_path / "other")


def test_the_card_goes_where_the_table_goes(folder, tmp_path):
    derive(_options(folder, tmp_path / "one"))
    again = DeriveOptions(
        base=str(folder / "base"), output=str(tmp_path / "two"), text_embeddings=(f"renamed={tmp_path / 'one'}",)
    )
    manifest = derive(again).manifest
    assert list(manifest.attachments) == [info_attachment("text-embeddings-renamed")]
    attached = tmp_path / "two" / "attachments" / info_attachment("text-embeddings-renamed")
    assert json.loads(attached.read_text())["tower"]["name"] == NAME
    on_top = DeriveOptions(base=str(tmp_path / "one"), output=str(tmp_path / "three"), labels=_labels(tmp_path))
    assert list(derive(on_top).manifest.attachments) == [info_attachment(TABLE)]
    assert TABLE in [table.name for table in Manifest.read(tmp_path / "three").tables]


def _labels(folder):
    path = folder / "labels.tsv"
    path.write_text("key\tlabel\n" + "".join(f"{row:02}.jpg\tx\n" for row in range(NUM_ROWS)))
    return str(path)


def test_an_embedding_that_cannot_be_stored_leaves_nothing(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(TextEncoder, "start", lambda encoder, tokens: np.full((len(tokens), WIDTH), 1e6, np.float32))
    with pytest.raises(DatasetError, match=r"row '00.jpg': text_embedding\[0\] = 1000000.0 is not a finite float16"):
        derive(_options(folder, tmp_path / "derived"))
    assert not (tmp_path / "derived").exists()


def test_what_cannot_be_embedded_is_refused_and_leaves_nothing(folder, tmp_path):
    with pytest.raises(DatasetError, match="--text-field must be one of texts, title, got 'tags'"):
        derive(_options(folder, tmp_path / "derived", field="tags"))
    assert not (tmp_path / "derived").exists()
    with pytest.raises(DatasetError, match=r"no row has a text number 3 in texts, .* give a smaller --text-number"):
        derive(_options(folder, tmp_path / "derived", number=3))
    assert not (tmp_path / "derived").exists()
    derive(_options(folder, tmp_path / "derived"))
    with pytest.raises(ClaimError, match="vector type was 'float16' then, and is 'float32' now"):
        derive(_options(folder, tmp_path / "derived", vector_type="float32"))


def test_options_that_make_no_sense_are_refused(folder):
    for options, words in [
        ({"number": 0}, "--text-number must be >= 1, got 0"),
        ({"name": "No Name"}, "--text-embeddings-name must be of lower-case letters"),
    ]:
        with pytest.raises(ValueError, match=words):
            EmbedTextsOptions(tower=NAME, **options)
    with pytest.raises(ValueError, match="no tower: add --text-embeddings-of TOWER"):
        EmbedTextsOptions(number=2)
    with pytest.raises(ValueError, match="derive twice, with the new captions first"):
        DeriveOptions(base="a", output="b", captions="c.tsv", embed_texts=EmbedTextsOptions(tower=NAME))
