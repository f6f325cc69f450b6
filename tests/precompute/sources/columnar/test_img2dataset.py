"""What img2dataset 1.47.0 writes: its own files gave the same rows when these tests were written."""

import pathlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lit_precompute.precompute.sources.opening import recognise_source
from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.precompute.sources.spec import SourceSpec
from tests.precompute.sources.columnar.reading import Found, look, read

_STRINGS = ("caption", "url", "key", "status", "error_message", "exif", "sha256")
_SIZES = ("width", "height", "original_width", "original_height")
_SCHEMA = pa.schema({**dict.fromkeys(_STRINGS, pa.string()), **dict.fromkeys(_SIZES, pa.int32())})
# In the order in which downloads ended.
_ROWS = [
    {"key": "000001", "caption": "one", "status": "success"},
    {"key": "000000", "caption": "", "status": "success"},
    {"key": "000003", "caption": "three", "status": "failed_to_download", "error_message": "HTTP Error 404: Not Found"},
    {"key": "000002", "caption": None, "status": "failed_to_resize", "error_message": "Image decoding error"},
]
_EXPECTED = [
    Found("000001", b"image 000001", ("one",), ""),
    Found("000000", b"image 000000", (), ""),
    Found("000003", "missing: no image: failed_to_download: HTTP Error 404: Not Found", ("three",), ""),
    Found("000002", "missing: no image: failed_to_resize: Image decoding error", (), ""),
]


def _write(folder: pathlib.Path, kind: str, ending: str = "jpg", schema: pa.Schema = _SCHEMA) -> pathlib.Path:
    folder.mkdir()
    rows = [{name: row.get(name) for name in schema.names} for row in _ROWS]
    if kind == "parquet":
        schema = schema.append(pa.field(ending, pa.binary()))
        for row in rows:
            row[ending] = f"image {row['key']}".encode() if row["status"] == "success" else None
    pq.write_table(pa.Table.from_pylist(rows, schema), folder / "00000.parquet", row_group_size=3)
    (folder / "00000_stats.json").write_text("{}")
    if kind == "files":
        (folder / "00000").mkdir()
        for row in rows[:2]:
            (folder / f"00000/{row['key']}.{ending}").write_bytes(f"image {row['key']}".encode())
            (folder / f"00000/{row['key']}.txt").write_text(row.get("caption") or "")
            (folder / f"00000/{row['key']}.json").write_text("{}")
    return folder


@pytest.mark.parametrize("ending", ["jpg", "png", "webp"])
def test_parquet_and_files_give_the_same_rows(tmp_path, ending):
    parquet, files = _write(tmp_path / "parquet", "parquet", ending), _write(tmp_path / "files", "files", ending)
    assert read(parquet) == _EXPECTED == read(files) == read(files, rows=1)
    assert look(files).survey.extent == "1 folder of images"


def test_an_image_that_was_removed_is_a_failed_row(tmp_path):
    folder = _write(tmp_path / "files", "files")
    (folder / "00000/000001.jpg").unlink()
    assert read(folder)[0].image == f"missing: no such file: {folder}/00000/000001.jpg"


def test_images_without_captions_are_taken(tmp_path):
    schema = pa.schema([field for field in _SCHEMA if field.name != "caption"])
    for kind in ("parquet", "files"):
        assert {row.texts for row in read(_write(tmp_path / kind, kind, schema=schema))} == {()}


def test_tars_beside_their_metadata_stay_tars(tmp_path):
    folder = _write(tmp_path / "webdataset", "webdataset")
    (folder / "00000.tar").write_bytes(b"")
    assert recognise_source(SourceSpec(str(folder))).name == "webdataset"


def test_a_folder_of_another_program_is_refused(tmp_path):
    (tmp_path / "0").mkdir()
    pq.write_table(pa.table({"key": ["a"]}), tmp_path / "0.parquet")
    with pytest.raises(
        SourceError, match=r"0\.parquet: not written by img2dataset: there must be error_message, height"
    ):
        look(tmp_path)
