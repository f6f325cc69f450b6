"""Selections: rows in and out, set operations, the file, and what is wrong with files."""

import hashlib
import json

import numpy as np
import pyarrow as pa
import pytest

from lit_precompute.schemas import DatasetError, Manifest, blocks
from lit_precompute.schemas.sharing.selection import Selection
from tests.schemas.making import write

NUM_ROWS = 50
ROWS = np.array([0, 3, 7, 8, 20, 21, 49])


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return write(tmp_path_factory.mktemp("dataset"), NUM_ROWS)


@pytest.fixture
def selection(manifest):
    return Selection.of_rows(manifest, ROWS, made_by={"keys": "keys.txt"})


def test_rows_and_masks_make_the_same_selection(manifest, selection):
    mask = np.isin(np.arange(NUM_ROWS), ROWS)
    other = Selection.of_rows(manifest, mask, made_by={"keys": "keys.txt"})
    assert other.digest == selection.digest
    assert selection.num_selected == len(ROWS)
    assert selection.rows(0, NUM_ROWS).tolist() == ROWS.tolist()
    assert selection.mask(0, NUM_ROWS).tolist() == mask.tolist()


@pytest.mark.parametrize(("start", "stop"), [(0, 0), (3, 4), (5, 22), (8, 16), (49, 50), (50, 50)])
def test_part_of_the_rows(selection, start, stop):
    assert selection.rows(start, stop).tolist() == [row for row in ROWS.tolist() if start <= row < stop]


@pytest.mark.parametrize(("start", "stop"), [(-1, 3), (4, 3), (0, 51)])
def test_rows_outside_are_refused(selection, start, stop):
    with pytest.raises(IndexError, match=r"\[0, 50\)"):
        selection.rows(start, stop)


@pytest.mark.parametrize("rows", [[3, 3], [4, 2], [-1], [50]])
def test_row_numbers_ascend_within_the_dataset(manifest, rows):
    with pytest.raises(DatasetError, match=r"must ascend and be in \[0, 50\)"):
        Selection.of_rows(manifest, np.array(rows), made_by={})


def test_a_mask_has_a_value_for_each_row(manifest):
    with pytest.raises(DatasetError, match=r"must have 50 rows, got \(49,\)"):
        Selection.of_rows(manifest, np.zeros(49, bool), made_by={})


def test_set_operations_agree_with_sets(manifest, selection):
    other = Selection.of_rows(manifest, np.arange(0, NUM_ROWS, 7), made_by={"every": 7})
    one, two = set(ROWS.tolist()), set(range(0, NUM_ROWS, 7))
    for found, expected in (
        (selection & other, one & two),
        (selection | other, one | two),
        (selection - other, one - two),
        (~selection, set(range(NUM_ROWS)) - one),
    ):
        assert set(found.rows(0, NUM_ROWS).tolist()) == expected
        assert found.num_selected == len(expected)
    assert (selection & other).made_by == {"intersection": [{"keys": "keys.txt"}, {"every": 7}]}
    assert (~selection).made_by == {"complement": {"keys": "keys.txt"}}


def test_selections_of_different_rows_do_not_combine(manifest, selection, tmp_path):
    other = Selection.of_rows(write(tmp_path / "other", 40), np.array([1]), made_by={})
    with pytest.raises(DatasetError, match="the union must be of selections of one dataset"):
        _ = selection | other


def test_a_saved_selection_is_read_back(selection, tmp_path):
    path = tmp_path / "some.selection"
    selection.save(path)
    first = path.read_bytes()
    selection.save(path)
    found = Selection.open(path)
    assert path.read_bytes() == first
    assert found.digest == selection.digest
    assert found.made_by == {"keys": "keys.txt"}
    assert found.rows(0, NUM_ROWS).tolist() == ROWS.tolist()


def test_a_selection_in_a_store(selection, gcs_bucket):
    selection.save(f"{gcs_bucket}/folder/some.selection")
    assert Selection.open(f"{gcs_bucket}/folder/some.selection").digest == selection.digest


def test_pyarrow_alone_reads_one(selection, tmp_path):
    selection.save(tmp_path / "some.selection")
    with pa.ipc.open_stream((tmp_path / "some.selection").read_bytes()) as stream:
        header, table = json.loads(stream.schema.metadata[b"selection"]), stream.read_all()
    bits = b"".join(table["bits"].to_pylist())
    assert hashlib.sha256(bits).hexdigest() == header["bits_sha256"]
    assert [row for row in range(NUM_ROWS) if bits[row // 8] >> row % 8 & 1] == ROWS.tolist()


def test_a_billion_rows_take_a_bit_each_at_most(manifest, tmp_path):
    """A tenth of a billion here: random rows take their bit, rows in runs next to nothing."""
    num_rows = 100_000_000
    dataset = Selection.of_rows(manifest, ROWS, made_by={}).dataset.model_copy(update={"num_rows": num_rows})
    noise = np.random.default_rng(0).integers(0, 256, num_rows // 8, np.uint8)
    for name, bits, most in (("noise", noise, 1.001), ("runs", np.repeat(noise[:100], num_rows // 800), 0.001)):
        path = tmp_path / name
        Selection(dataset=dataset, bits=bits, made_by={}).save(path)
        assert path.stat().st_size <= most * num_rows / 8
        assert np.array_equal(Selection.open(path).bits, bits)


def test_a_derived_dataset_has_the_rows_of_its_base(selection, manifest, tmp_path):
    same_rows = write(tmp_path / "same", NUM_ROWS, job={"other": "job"})
    assert same_rows.digest != manifest.digest
    selection.check(same_rows)
    with pytest.raises(DatasetError, match=r"^some\.selection: was made of the rows of another dataset"):
        selection.check(write(tmp_path / "other", 40), "some.selection")


def _change(path, change):
    """Writes a selection with another header and bits."""
    with pa.ipc.open_stream(path.read_bytes()) as stream:
        batch = stream.read_next_batch()
    header, values = change(json.loads(batch.schema.metadata[b"selection"]), batch.column(0).to_pylist())
    schema = batch.schema.with_metadata({b"selection": json.dumps(header)})
    path.write_bytes(
        blocks.encode(pa.RecordBatch.from_arrays([pa.array(values, pa.binary())], schema=schema), compress=True)
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda header, values: (header, [values[0][:-1]]), "must have 7 bytes of bits, got 6"),
        (lambda header, values: (header, [values[0][:-1] + b"\xff"]), "rows from 50 on"),
        (lambda header, values: (header, [b"\x01" + values[0][1:]]), "the bits were changed"),
        (lambda header, values: (header | {"num_selected": 3}, values), "digest must be"),
        (lambda header, values: (header | {"format_version": 2}, values), "update lit-precompute"),
        (lambda header, values: (header | {"more": 1}, values), "more: Extra inputs are not permitted"),
        (lambda header, values: (header | {"dataset": {}}, values), "dataset.digest: Field required"),
    ],
)
def test_a_changed_file_is_refused(selection, tmp_path, change, words):
    path = tmp_path / "some.selection"
    selection.save(path)
    _change(path, change)
    with pytest.raises(DatasetError, match=words) as caught:
        Selection.open(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_other_files_are_no_selections(selection, tmp_path):
    path = tmp_path / "some.selection"
    for data in (b"key\ttext\n", b"", b"\xff"):
        path.write_bytes(data)
        with pytest.raises(DatasetError, match=r"some\.selection: not a selection; give a file that `lit-data select`"):
            Selection.open(path)
    batch = pa.RecordBatch.from_pydict({"bits": [1, 2]})
    path.write_bytes(blocks.encode(batch, compress=True))
    with pytest.raises(DatasetError, match="not a selection; give a file that `lit-data select` has written"):
        Selection.open(path)
    with pytest.raises(FileNotFoundError):
        Selection.open(tmp_path / "none.selection")


def test_no_flipped_byte_is_taken_for_another_selection(selection, tmp_path):
    path = tmp_path / "some.selection"
    selection.save(path)
    data = bytearray(path.read_bytes())
    for place in range(len(data)):
        for bit in (1,):
            changed = bytearray(data)
            changed[place] ^= bit
            path.write_bytes(changed)
            try:
                found = Selection.open(path)
            except DatasetError:
                continue
            assert found.digest == selection.digest  # the byte means nothing: padding


def test_the_manifest_read_again_is_the_same_dataset(selection, manifest, tmp_path):
    write(tmp_path / "again", NUM_ROWS)
    selection.check(Manifest.read(tmp_path / "again"))
