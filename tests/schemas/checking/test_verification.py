"""lit-data: every fault is reported, and the exit status says so."""

import base64
import json
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from lit_precompute.schemas import DatasetWriter, EmbeddingDataset, ShardWriter, blocks, captions_table
from lit_precompute.schemas.checking.verification import verify
from lit_precompute.schemas.probes import encode_vector
from lit_precompute.schemas.storage import file_sha256
from tests.schemas.making import SOURCE, card, change_list, change_manifest, rows, write

SHARD = "embeddings/part-00001.arrayrecord"


def _run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "lit_precompute", "data", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def _rewrite(directory, name, change):
    data = bytearray((directory / name).read_bytes())
    (directory / name).write_bytes(change(data))


def _make_right(directory, name):
    """Puts the changed file's size and hash into the manifest: the rule behind the checksum is what is tested."""
    table, shard = name.split("/")[0], int(name.split("part-")[1][:5])

    def change(columns):
        columns[f"{table}.sha256"][shard] = bytes.fromhex(file_sha256(directory / name))
        columns[f"{table}.bytes"][shard] = (directory / name).stat().st_size

    change_list(directory, "shards", change)


def _replace_embeddings(directory, change):
    """Writes the embeddings of a dataset of one block again, changed in a way that no writer of ours allows."""
    with EmbeddingDataset.open(directory) as dataset:
        block = dataset.read_block(0, ["key", "embedding"])
        schema = dataset.manifest.table("embeddings").arrow_schema()
    numbers, scales = (None if array is None else array.copy() for array in block.stored())
    change(numbers, scales)
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(numbers.reshape(-1)), type=schema.field("embedding").type)
    columns = [block["key"], vectors] + ([] if scales is None else [pa.array(scales)])
    name = "embeddings/part-00000.arrow"
    (directory / name).write_bytes(blocks.encode(pa.RecordBatch.from_arrays(columns, schema=schema), compress=False))
    _make_right(directory, name)


@pytest.mark.parametrize("vector_type", ["float32", "float16", "bfloat16", "int8"])
def test_a_sound_dataset_has_no_faults(tmp_path, vector_type):
    write(tmp_path, vector_type=vector_type)
    seen = []
    assert verify(tmp_path, lambda done, total: seen.append((done, total))) == []
    assert seen == [(count, 10) for count in range(1, 11)]  # two shards have no failures


@pytest.mark.parametrize("vector_type", ["float16", "int8"])
def test_a_flipped_byte_anywhere_is_found(tmp_path, vector_type):
    write(tmp_path, vector_type=vector_type)
    size = (tmp_path / SHARD).stat().st_size
    for place in np.random.default_rng(0).integers(0, size, 20):
        flip = lambda data, at=int(place): bytes(data[:at]) + bytes([data[at] ^ 4]) + bytes(data[at + 1 :])  # noqa: E731
        _rewrite(tmp_path, SHARD, flip)
        faults = verify(tmp_path)
        assert any(SHARD in fault and "SHA-256 must be" in fault for fault in faults)
        _rewrite(tmp_path, SHARD, flip)
    assert verify(tmp_path) == []


def test_all_faults_are_reported_not_only_the_first(tmp_path):
    write(tmp_path)
    (tmp_path / "captions/part-00000.arrayrecord").unlink()
    _rewrite(tmp_path, SHARD, lambda data: data[:-1])
    (tmp_path / "stray.txt").write_text("?")
    faults = verify(tmp_path)
    assert len(faults) == 3
    for expected in ("stray.txt: not a file of this dataset", "the file is missing", "got"):
        assert any(expected in fault for fault in faults)


def test_tables_with_different_rows_are_found_even_with_correct_checksums(tmp_path):
    write(tmp_path)
    keys, _, texts, _ = rows(50)
    with ShardWriter(tmp_path, shard=1, tables=[captions_table()], block_rows=8) as writer:
        writer.append("captions", {"key": [*keys[20:39], "another"], "texts": texts[20:40]})
        writer.finish()
    _make_right(tmp_path, "captions/part-00001.arrayrecord")
    (fault,) = verify(tmp_path)
    assert "shard 1: the keys of ['captions', 'embeddings', 'labels'] differ" in fault


def test_repeated_keys_and_wrong_probes_are_found(tmp_path):
    keys, vectors, texts, _ = rows(50)
    with DatasetWriter(tmp_path, tower=card(), source=SOURCE, tables=[captions_table()]) as writer:
        writer.write(keys=[keys[0], *keys[:-1]], embeddings=vectors, columns={"captions": {"texts": texts}})
    change_manifest(tmp_path, lambda m: m["probes"][3].update(vectors=m["probes"][4]["vectors"]))
    faults = verify(tmp_path)
    assert any("keys must be unique, 1 occur more than once" in fault for fault in faults)
    assert any("row 3 must have the manifest's probe vector, got a different one" in fault for fault in faults)


@pytest.mark.parametrize("vector_type", ["float32", "float16", "bfloat16", "int8"])
def test_a_probe_one_step_from_the_stored_value_is_found(tmp_path, vector_type):
    """By the smallest change of a float32 vector that changes the stored value."""
    write(tmp_path, vector_type=vector_type)
    step = {"float32": 2.0**-20, "float16": 2.0**-9, "bfloat16": 2.0**-6, "int8": 2.0**-5}[vector_type]

    def change(manifest):
        probe = manifest["probes"][20]
        vector = np.frombuffer(base64.b64decode(probe["vectors"]["embeddings"]), "<f4").copy()
        vector[np.argmin(np.abs(vector))] += step
        probe["vectors"]["embeddings"] = encode_vector(vector)

    change_manifest(tmp_path, change)
    (fault,) = verify(tmp_path)
    assert "row 'image-0020': row 20 must have the manifest's probe vector, got a different one" in fault


def test_a_probe_with_the_wrong_key_or_no_vector_is_found(tmp_path):
    write(tmp_path)
    change_manifest(
        tmp_path, lambda m: (m["probes"][3].update(key="other"), m["probes"][4].update(vectors={"embeddings": "?"}))
    )
    first, second = verify(tmp_path)
    assert "row 3 must have the manifest's probe key 'other', got 'image-0003'" in first
    assert "manifest.json: probe of row 4: the vector is not base64" in second


def test_int8_numbers_and_scales_out_of_range_are_found(tmp_path):
    write(tmp_path, 8, vector_type="int8")

    def change(numbers, scales):
        numbers[3, 1], scales[5], scales[6] = -128, -1, np.nan

    _replace_embeddings(tmp_path, change)
    change_manifest(tmp_path, lambda m: m["probes"].clear())
    faults = verify(tmp_path)
    for row, rule in ((3, "within"), (5, "within"), (6, "finite"), (6, "within")):
        assert any(f"row 'image-000{row}': embedding must be {rule}" in fault for fault in faults)
    assert len(faults) == 4


def test_values_that_are_not_finite_are_found(tmp_path):
    """As written by a producer that does not check."""
    write(tmp_path, 8)

    def change(numbers, _):
        numbers[7, 2] = np.inf

    _replace_embeddings(tmp_path, change)
    change_manifest(
        tmp_path, lambda m: m["probes"][7].update(vectors={"embeddings": encode_vector(np.full(6, np.inf))})
    )
    first, second = verify(tmp_path)
    assert "block 0: row 'image-0007': embedding must be finite" in first
    assert "probe of row 7: must be finite" in second


@pytest.mark.slow
def test_the_commands_report_in_words_and_by_exit_status(tmp_path):
    write(tmp_path / "sound")
    sound = _run("verify", tmp_path / "sound")
    assert (sound.returncode, "sound; 50 rows in 3 shards" in sound.stdout) == (0, True)
    info = _run("info", tmp_path / "sound")
    assert info.returncode == 0
    assert "50 = 52 read - 2 failed" in info.stdout
    assert "failed: truncated" in info.stdout
    assert "model identity" in info.stdout
    card_json = json.loads(_run("info", tmp_path / "sound", "--json").stdout)
    assert card_json["ledger"] == {"rows_read": 52, "rows_written": 50, "rows_failed": 2}
    assert card_json["failures"] == {"truncated": 2}
    _rewrite(tmp_path / "sound", SHARD, lambda data: data[:-1])
    broken = _run("verify", tmp_path / "sound")
    assert broken.returncode == 1
    assert f"{SHARD}: must have" in broken.stdout
    nothing = _run("info", tmp_path / "nothing")
    assert nothing.returncode == 2
    assert "there is no directory" in nothing.stderr
    assert "Traceback" not in nothing.stderr + broken.stderr
