"""A folder as img2dataset 1.47 writes it with --output_format webdataset.

Source: img2dataset/writer.py (`WebDatasetSampleWriter`), downloader.py (`compute_key`, the metadata) and logger.py (the
statistics). A failed download has a row in the Parquet file and nothing in the tar; samples come in the order in which
their downloads ended.
"""

import io
import json
import tarfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from lit_precompute.precompute.images.decoding import decode
from lit_precompute.precompute.sources.opening import make_source
from lit_precompute.precompute.sources.spec import SourceColumns, SourceSpec
from tests.precompute.sources.webdataset.tars import all_rows, has_labels, notes, open_tars, outcome, write_tar


def _jpeg(value: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (8, 8), (value, value, value)).save(stream, "JPEG")
    return stream.getvalue()


def _about(key: str, status: str, caption: object) -> dict[str, object]:
    found = status == "success"
    return {
        "url": f"https://example.org/{key}.jpg",
        "caption": caption,
        "SIMILARITY": 0.31,
        "key": key,
        "status": status,
        "error_message": None if found else "HTTP Error 404: Not Found",
        "width": 8 if found else None,
        "height": 8 if found else None,
        "original_width": 640 if found else None,
        "original_height": 480 if found else None,
        "exif": "{}" if found else None,
        "sha256": "0" * 64 if found else None,
    }


def _write_shard(folder, shard: int, captions: list[object], failed: set[int]) -> None:
    name, rows, members = f"{shard:05d}", [], []
    for number in [*range(1, len(captions)), 0]:
        key = f"{shard:05d}{number:04d}"
        status = "failed_to_download" if number in failed else "success"
        about = _about(key, status, captions[number])
        rows.append(about)
        if status == "success":
            caption = captions[number]
            txt = str(caption) if caption is not None else ""
            members.append((f"{key}.jpg", _jpeg(10 * number)))
            members.append((f"{key}.json", json.dumps(about, indent=4)))
            members.append((f"{key}.txt", txt))
    write_tar(folder / f"{name}.tar", members, tarfile.USTAR_FORMAT)
    plain = [{**row, "caption": str(row["caption"])} for row in rows]
    pq.write_table(pa.Table.from_pylist(plain), folder / f"{name}.parquet")
    stats = {
        "count": len(captions),
        "successes": len(captions) - len(failed),
        "failed_to_download": len(failed),
        "failed_to_resize": 0,
        "duration": 1.5,
        "start_time": 1.0,
        "end_time": 2.5,
        "status_dict": {"success": len(captions) - len(failed), "HTTP Error 404: Not Found": len(failed)},
    }
    (folder / f"{name}_stats.json").write_text(json.dumps(stats, indent=4))


@pytest.fixture
def folder(tmp_path):
    _write_shard(tmp_path, 0, ["a cat", "a dog", None, "a fish"], {3})
    _write_shard(tmp_path, 1, ["a bird", ["two", "captions"]], set())
    return tmp_path


def test_the_folder_is_read(folder):
    looked = open_tars(str(folder))
    rows = all_rows(looked)
    assert [(row.key, row.texts) for row in rows] == [
        ("00000/000000001", ("a dog",)),
        ("00000/000000002", ()),
        ("00000/000000000", ("a cat",)),
        ("00001/000010001", ("two", "captions")),
        ("00001/000010000", ("a bird",)),
    ]
    assert [decode(row.read_image())[0, 0, 0] for row in rows] == [10, 20, 0, 10, 0]
    assert {note for row in rows for note in row.notes} == set()
    assert notes(looked) == {}
    assert not has_labels(looked)
    assert looked.survey.extent == "2 tars"


def test_it_is_recognised_as_tars_although_parquet_and_json_lie_beside_them(folder):
    source = make_source(SourceSpec(str(folder)))
    assert source.kind == "webdataset"
    tars = {path.name: path.stat().st_size for path in folder.glob("*.tar")}
    assert {file.path.rpartition("/")[2]: file.num_bytes for file in source.files()} == tars


def test_other_columns_of_its_metadata_are_named_texts_and_labels(folder):
    columns = SourceColumns(named=("url=url",), label="status")
    rows = all_rows(open_tars(str(folder), columns=columns))
    assert rows[0].named == {"url": ("https://example.org/000000001.jpg",)}
    assert {row.label for row in rows} == {"success"}


def test_arrays_are_images_if_they_are_chosen(tmp_path):
    """As webdataset's writer stores `npy`: without a pickle."""
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    stream, floats = io.BytesIO(), io.BytesIO()
    np.save(stream, pixels)
    np.save(floats, np.zeros(768, np.float32))
    members = [("1.npy", stream.getvalue()), ("1.txt", "t"), ("2.npy", floats.getvalue()), ("3.jpg", b"jpg")]
    path = write_tar(tmp_path / "d.tar", members)
    rows = all_rows(open_tars(path, columns=SourceColumns(image="npy")))
    np.testing.assert_array_equal(decode(rows[0].read_image()), pixels)
    with pytest.raises(ValueError, match=r"a NumPy array of '<f4' \[768\]: images are uint8"):
        decode(rows[1].read_image())
    rows = all_rows(open_tars(path))
    assert outcome(rows[0]) == ("missing", "no image in the sample, only npy, txt; --image-column npy takes the array")
    assert outcome(rows[2]) == b"jpg"
    with pytest.raises(ValueError, match="there are 'npy', 'txt'; --image-column npy takes arrays"):
        open_tars(write_tar(tmp_path / "e.tar", members[:2]))
