"""What is estimated of a source whose rows are known: rows, shards and bytes, by reading little of it."""

import io
import json
import random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from PIL import Image

from lit_precompute.pipelines.estimates.source_estimate import count_units, estimate_source
from lit_precompute.precompute.sources.looking import look_into
from lit_precompute.precompute.sources.planning import join_slices
from lit_precompute.precompute.sources.source import FileSlice, SourceError
from lit_precompute.precompute.sources.spec import SourceSpec
from lit_precompute.schemas.storage import open_folder
from tests.precompute.sources.webdataset.tars import write_tar


def _jpeg(seed, side=48):
    stream = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)
    Image.fromarray(pixels).save(stream, "JPEG")
    return stream.getvalue()


IMAGES = [_jpeg(seed) for seed in range(16)]


def _tars(folder, rows_of_each):
    """Writes tars of so many samples, images of equal size within 1 %."""
    folder.mkdir()
    for number, rows in enumerate(rows_of_each):
        members = [
            (f"{row:06}.{suffix}", IMAGES[row % 16] if suffix == "jpg" else f"the text of {number}, {row}")
            for row in range(rows)
            for suffix in ("jpg", "txt")
        ]
        write_tar(folder / f"{number:05}.tar", members)
    return folder


def _estimate(path, **options):
    spec = {name: options.pop(name) for name in ("format", "gather") if name in options}
    return estimate_source(SourceSpec(str(path), **spec), **{"rows_per_unit": 1000, **options})


def test_rows_of_tars_are_estimated_within_three_percent(tmp_path):
    rows = [700, 1100, 300, 900, 500]
    found = _estimate(_tars(tmp_path / "tars", rows), rows_per_unit=400)
    assert found.num_rows == pytest.approx(sum(rows), rel=0.03)
    assert not found.is_exact
    assert found.basis == "estimated from the first rows of 3 files and the sizes of all 5"
    looked = look_into(found.source, 400)
    assert found.num_units == pytest.approx(len(looked.units(400)), abs=1)
    assert found.read_bytes == sum(file.num_bytes for file in found.files)
    assert found.image_bytes == pytest.approx(len(IMAGES[0]), rel=0.02)
    assert [table.name for table in found.tables] == [table.name for table in looked.survey.tables]


def test_small_tars_are_counted(tmp_path):
    found = _estimate(_tars(tmp_path / "tars", [60, 20]))
    assert (found.num_rows, found.is_exact, found.basis, found.num_units) == (80, True, "counted", 1)


def test_rows_of_parquet_files_are_counted_where_there_are_few(tmp_path):
    for number in range(3):
        table = pa.table({"image": [IMAGES[row % 16] for row in range(500)], "text": ["a"] * 500})
        pq.write_table(table, tmp_path / f"{number}.parquet")
    found = _estimate(tmp_path, format="parquet")
    assert (found.num_rows, found.is_exact, found.num_units) == (1500, True, 2)


def test_rows_and_images_of_a_table(tmp_path):
    rng = random.Random(0)
    for number in range(20):
        (tmp_path / f"{number}.jpg").write_bytes(IMAGES[number % 16])
    lines = [f"{row % 20}.jpg\t{' '.join(['word'] * rng.randint(3, 12))}\t{row}" for row in range(5000)]
    table = tmp_path / "t.tsv"
    table.write_text("\n".join(["path\ttext\tkey", *lines]) + "\n")
    found = estimate_source(SourceSpec(str(table)), rows_per_unit=1000)
    assert found.num_rows == pytest.approx(5000, rel=0.05)
    assert found.read_bytes == pytest.approx(5000 * np.mean([len(image) for image in IMAGES]), rel=0.1)
    assert found.num_units == pytest.approx(5, abs=1)
    limited = estimate_source(SourceSpec(str(table)), rows_per_unit=1000, limit=1500)
    assert (limited.num_rows, limited.num_units) == (1500, 2)
    assert limited.read_bytes == pytest.approx(found.read_bytes * 1500 / found.num_rows)


def test_a_folder_of_images_is_counted(tmp_path):
    for number in range(30):
        (tmp_path / f"{number}.jpg").write_bytes(IMAGES[number % 16])
        (tmp_path / f"{number}.txt").write_text("a text")
    found = _estimate(tmp_path)
    assert (found.num_rows, found.is_exact) == (30, True)
    assert found.read_bytes == pytest.approx(30 * np.mean([len(image) for image in IMAGES]), rel=0.02)


def test_rows_that_only_reading_tells_are_asked_for(tmp_path):
    members = [(f"{row:06}.jpg", b"x") for row in range(1200)]
    path = write_tar(tmp_path / "a.tar", members)
    spec = SourceSpec(path, whole_tars=True)
    with pytest.raises(SourceError, match="only reading its files tells; give --rows N"):
        estimate_source(spec, rows_per_unit=100)
    found = estimate_source(spec, rows_per_unit=100, given_rows=1200)
    assert (found.num_rows, found.basis, found.num_units) == (1200, "as given by --rows", 1)


def test_a_source_without_a_readable_row_is_an_error(tmp_path):
    (tmp_path / "t.csv").write_text("image,text\n1.jpg,a\n")
    with pytest.raises(SourceError, match="no column 'path'; there are"):
        estimate_source(SourceSpec(str(tmp_path / "t.csv")), rows_per_unit=10)


@pytest.mark.parametrize("seed", range(20))
def test_shards_are_counted_as_a_job_makes_them(seed):
    rng = random.Random(seed)
    most = rng.choice([1, 7, 100])
    files = [rng.randint(0, 3 * most) for _ in range(rng.randint(1, 40))]
    slices = [
        FileSlice(path=str(number), start=start, stop=min(start + most, rows), num_rows=min(most, rows - start))
        for number, rows in enumerate(files)
        for start in range(0, rows, most)
    ]
    assert count_units(files, most) == len(list(join_slices(slices, most)))


@pytest.fixture
def asked(monkeypatch):
    """What the memory driver was asked for: (path, bytes)."""
    answers = []
    cat_file = MemoryFileSystem.cat_file

    def recording(self, path, start=None, end=None, **options):
        data = cat_file(self, path, start=start, end=end, **options)
        answers.append((path, len(data)))
        return data

    monkeypatch.setattr(MemoryFileSystem, "cat_file", recording)
    return answers


def test_little_is_read_of_tars_in_a_store(tmp_path, bucket, asked):
    """Six tars of 100 images of 200 kB: of each of three, headers and a few images at most."""
    image = random.Random(0).randbytes(200_000)
    members = [
        (f"{row:04}.{suffix}", image if suffix == "jpg" else f"text {row}")
        for row in range(100)
        for suffix in ("jpg", "txt")
    ]
    data = (tmp_path / "a.tar", write_tar(tmp_path / "a.tar", members))[0].read_bytes()
    for number in range(6):
        open_folder(bucket).write(f"{number}.tar", data)
    asked.clear()
    found = estimate_source(SourceSpec(f"{bucket}/*.tar"), rows_per_unit=1000)
    assert found.num_rows == pytest.approx(600, rel=0.02)
    assert found.read_bytes == pytest.approx(6 * len(data))
    assert len({path for path, _ in asked}) <= 3
    assert sum(num_bytes for _, num_bytes in asked) < 0.12 * 6 * len(data)


def test_a_faulty_file_beyond_the_first_is_noted(tmp_path):
    (tmp_path / "0.jsonl").write_text("".join(json.dumps({"path": f"{n}.png", "text": "a"}) + "\n" for n in range(9)))
    (tmp_path / "1.jsonl").write_text("not json\n")
    found = _estimate(tmp_path, format="jsonl", given_rows=9)
    assert len(found.notes) == 1
    assert "1.jsonl, line 1" in found.notes[0]
