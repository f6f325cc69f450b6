"""Compressed tables: the same rows, errors that say where, and no more decompressed than needed."""

import gzip
import hashlib
import json
import pathlib
import shutil
import subprocess
import tracemalloc

import pyarrow as pa
import pytest

from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.precompute.sources.table import slicing
from tests.precompute.sources.looked import look, num_rows, read_unit, rows_of

TABLE = "path,text\n" + "".join(f"{number}.jpg,text number {number}\n" for number in range(600))


def _zstd(data: bytes) -> bytes:
    return bytes(pa.compress(data, codec="zstd", asbytes=True))


COMPRESS = {"gz": gzip.compress, "zst": _zstd, "zstd": _zstd}


@pytest.fixture
def put(tmp_path):
    """Returns a function that writes a table compressed by its ending, and returns its path."""

    def put(name: str, text: str = TABLE) -> pathlib.Path:
        path = tmp_path / name
        path.write_bytes(COMPRESS[name.lower().rpartition(".")[2]](text.encode()))
        return path

    return put


@pytest.mark.parametrize("name", ["t.csv.gz", "t.csv.zst", "t.CSV.ZSTD", "t.tsv.gz", "t.jsonl.zst"])
def test_a_compressed_table_has_the_rows_of_the_plain_one(put, name):
    kind = name.lower().split(".")[1]
    text = TABLE.replace(",", "\t") if kind == "tsv" else TABLE
    if kind == "jsonl":
        rows = [line.split(",") for line in TABLE.splitlines()[1:]]
        text = "".join(json.dumps({"path": path, "text": text}) + "\n" for path, text in rows)
    path = put(name, text)
    looked = look(path, rows_per_unit=90)
    assert [(row.key, row.texts) for row in rows_of(looked, 90)] == [
        (f"{number}.jpg", (f"text number {number}",)) for number in range(600)
    ]
    assert [unit.num_rows for unit in looked.units(90)] == [90] * 6 + [60]
    assert looked.looks[0].num_bytes == looked.files[0].num_bytes == path.stat().st_size
    assert looked.looks[0].sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_what_the_usual_tools_write_is_read(tmp_path):
    for tool in ("gzip", "pigz", "bgzip", "zstd", "pzstd"):
        if shutil.which(tool) is None:
            continue
        (tmp_path / "t.csv").write_text(TABLE)
        subprocess.run([tool, "-f", "t.csv"], cwd=tmp_path, check=True, capture_output=True)
        (path,) = tmp_path.glob("t.csv.*")
        assert num_rows(look(path)) == 600
        path.unlink()


@pytest.mark.parametrize("ending", ["gz", "zst"])
def test_several_members_are_one_table_even_in_the_middle_of_a_row(tmp_path, ending):
    data = TABLE.encode()
    pieces = (data[:10], data[10:4321], b"", data[4321:])
    (tmp_path / f"t.csv.{ending}").write_bytes(b"".join(map(COMPRESS[ending], pieces)))
    rows = rows_of(look(tmp_path / f"t.csv.{ending}", rows_per_unit=99), 99)
    assert [row.key for row in rows] == [f"{number}.jpg" for number in range(600)]


def test_zeros_after_gzip_data_are_padding(tmp_path):
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(TABLE.encode()) + bytes(1000))
    assert num_rows(look(tmp_path / "t.csv.gz")) == 600


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: data[:-1], r"the gzip data is cut off, it ends at byte [\d,]+ within a member; fetch"),
        (lambda data: data[: len(data) // 2], r"the gzip data is cut off, it ends at byte [\d,]+ within a member"),
        (lambda data: data[:5], r"the gzip data is cut off, it ends at byte 5 within"),
        (lambda data: data + b"garbage", r"from byte [\d,]+ on the file is not gzip data, which ends there"),
        (lambda data: data[:-8] + b"0000" + data[-4:], r"the gzip data is damaged after byte .*incorrect data check"),
        (lambda data: data[:90] + bytes(900) + data[990:], r"the gzip data is damaged after byte"),
    ],
)
def test_damaged_gzip_data_is_refused_with_the_place(put, change, words):
    path = put("t.csv.gz")
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(SourceError, match=rf"t\.csv\.gz: {words}"):
        look(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data[:-1],
        lambda data: data[: len(data) // 2],
        lambda data: data + b"garbage",
        lambda data: data[:4] + bytes(900) + data[904:],
    ],
)
def test_damaged_zstd_data_is_refused_with_the_place(put, change):
    path = put("t.csv.zst")
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(SourceError, match=r"t\.csv\.zst: the zstd data is damaged or cut off at about byte [\d,]+ \("):
        look(path)


def test_a_name_that_promises_compression_may_hold_plain_text(tmp_path):
    """Some programs decompress what they fetch and keep its name."""
    (tmp_path / "t.csv.gz").write_text(TABLE)
    assert num_rows(look(tmp_path / "t.csv.gz")) == 600


@pytest.mark.parametrize("ending", ["gz", "zst"])
def test_memory_holds_a_piece_whatever_the_ratio(tmp_path, ending):
    blank = b" " * 1_000_000 + b"\n"
    path = tmp_path / f"t.csv.{ending}"
    path.write_bytes(COMPRESS[ending](b"path,text\n" + blank * 40 + b"1.jpg,a\n"))
    assert path.stat().st_size < 200_000
    tracemalloc.start()
    assert num_rows(look(path)) == 1
    assert tracemalloc.get_traced_memory()[1] < 12_000_000
    tracemalloc.stop()


def test_what_is_decompressed_in_vain_grows_with_the_file_and_not_with_its_square(put, monkeypatch):
    monkeypatch.setattr(slicing, "_FREE_BYTES", 1000)
    looked = look(put("t.csv.gz"), rows_per_unit=10)
    slices = looked.looks[0].slices
    total = slices[-1].stop
    assert sum(max(part.start - 1000, 0) for part in slices) <= 17 * total  # of equal size, it would be 30 times
    assert slices[0].num_rows == 10
    assert 20 < (slices[-2].num_rows or 0) < 40  # a sixteenth of what is before it
    assert [row.key for row in rows_of(looked, 10)] == [f"{number}.jpg" for number in range(600)]


def test_plain_tables_are_cut_evenly_however_long(tmp_path, monkeypatch):
    monkeypatch.setattr(slicing, "_FREE_BYTES", 0)
    (tmp_path / "t.csv").write_text(TABLE)
    looked = look(tmp_path / "t.csv", rows_per_unit=30)
    assert [part.num_rows for part in looked.looks[0].slices] == [30] * 20
    assert [row.key for row in read_unit(looked, looked.units(30)[19])] == [f"{n}.jpg" for n in range(570, 600)]
