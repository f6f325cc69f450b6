import gzip
import io
import pathlib
import pickle
import subprocess
import sys
import tempfile

import fsspec
import numpy as np
import pytest
from PIL import Image

from lit_precompute.precompute.images.errors import ImageError
from lit_precompute.precompute.images.reading import LargeFileError
from lit_precompute.precompute.sources.looking import LookedSource
from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.precompute.sources.spec import SourceColumns
from lit_precompute.schemas.storage import open_file
from tests.precompute.sources.looked import has_labels, look, num_rows, rows_of
from tests.precompute.sources.records.written import example, write_array_record, write_tfrecord

WRITERS = {
    "a.tfrecord": write_tfrecord,
    "a.tfrecord.gz": lambda path, records: write_tfrecord(path, records, "GZIP"),
    "a.array_record": write_array_record,
    "b.array_record": lambda path, records: write_array_record(path, records, "group_size:3"),
    "c.array_record": lambda path, records: write_array_record(path, records, "group_size:2,uncompressed"),
}


def _jpeg(number: int = 0) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.full((4, 4, 3), number, np.uint8)).save(stream, "jpeg")
    return stream.getvalue()


def _rows(looked: LookedSource, rows_per_unit: int = 1000) -> list[tuple[str, tuple[str, ...], str]]:
    return [(row.key, row.texts, row.label) for row in rows_of(looked, rows_per_unit)]


def _memory(folder: pathlib.Path) -> str:
    """Returns the URL of a copy in fsspec's memory, which stands for a store."""
    files = fsspec.filesystem("memory")
    url = f"memory:/{folder}"
    for path in folder.iterdir():
        files.pipe_file(f"{url}/{path.name}", path.read_bytes())
    return url


@pytest.mark.parametrize("place", ["here", "store"])
@pytest.mark.parametrize("name", WRITERS)
def test_rows_of_every_container(tmp_path, name, place):
    images = [_jpeg(number) for number in range(5)]
    records = [
        example({"image/encoded": image, "caption": [f"text {number}", "another"], "image/class/label": number + 1})
        for number, image in enumerate(images)
    ]
    WRITERS[name](tmp_path / name, records)
    path = f"{_memory(tmp_path) if place == 'store' else tmp_path}/{name}"
    looked = look(path, rows_per_unit=2)
    assert _rows(looked) == [(f"{name}/{n}", (f"text {n}", "another"), str(n + 1)) for n in range(5)]
    assert [row.read_image() for row in rows_of(looked)] == images
    assert [row.source for row in rows_of(looked)] == [f"{path}, record {number}" for number in range(5)]
    assert has_labels(looked)
    assert looked.survey.extent == "1 file of records"
    is_one_slice = name.endswith(".gz") or place == "store"
    sizes = [part.num_rows for part in looked.looks[0].slices]
    assert sizes == ([2, 2, 1] if not is_one_slice else [None] if "tfrecord" in name else [5])
    keys = [key for part in looked.looks[0].slices for key, _ in looked.source.keys(part)]
    assert keys == [f"{name}/{number}" for number in range(5)]


def test_slices_can_be_read_alone_and_the_source_is_picklable(tmp_path):
    path = write_tfrecord(tmp_path / "a.tfrecord", [example({"image": b"i", "text": str(n)}) for n in range(7)])
    looked = look(path, rows_per_unit=3)
    source = pickle.loads(pickle.dumps(looked.source))
    *_, last = looked.looks[0].slices
    assert [(row.key, row.texts) for row in source.read(last, looked.survey.tables)] == [("a.tfrecord/6", ("6",))]
    assert len(pickle.dumps(source)) < 2000
    assert num_rows(looked) == 7


def test_folders_and_patterns_and_sharded_names(tmp_path):
    record = [example({"image": b"i", "text": "t"})]
    for name in (
        "x/a.tfrecord-00000-of-00002",
        "x/a.tfrecord-00001-of-00002",
        "y/b.tfrec",
        "x/a.tfrecord.idx",
        "x/n.txt",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_tfrecord(tmp_path / name, record)
    sharded = [f"a.tfrecord-0000{n}-of-00002/0" for n in (0, 1)]
    assert [key for key, *_ in _rows(look(tmp_path / "x"))] == sharded
    assert [key for key, *_ in _rows(look(f"{tmp_path}/x/a.tfrecord-*"))] == sharded
    both = [*(f"x/{key}" for key in sharded), "y/b.tfrec/0"]
    assert [key for key, *_ in _rows(look(f"{tmp_path}/*/*.tfre*[!x]", format="tfrecord"))] == both
    unnamed = write_tfrecord(tmp_path / "train-00000-of-01024", record)
    assert [key for key, *_ in _rows(look(unnamed, format="tfrecord"))] == ["train-00000-of-01024/0"]


def test_img2dataset(tmp_path):
    """As its TFRecordSampleWriter writes: captions that are no string become txt by `str`; failed rows are left out."""
    captions = ["a cat", ["two", "texts"], float("nan"), ""]
    records = [
        example({"key": f"00000000{n}", "jpg": b"i", "txt": str(caption), "caption": caption, "status": "success"})
        for n, caption in enumerate(captions)
    ]
    looked = look(write_tfrecord(tmp_path / "00000.tfrecord", records))
    texts = [("a cat",), ("two", "texts"), (), ()]
    assert _rows(looked) == [(f"00000000{n}", each, "") for n, each in enumerate(texts)]
    assert looked.looks[0].content
    assert not has_labels(looked)
    assert looked.source.look(looked.files[0], 2).key_hashes == b""  # the keys are in the records
    keys = [key for part in looked.looks[0].slices for key, _ in looked.source.keys(part)]
    assert keys == [f"00000000{n}" for n in range(4)]


def test_features_are_chosen_by_name(tmp_path):
    record = {"left": b"l", "image": b"i", "title": "T", "text": "x", "class": "cat", "id": 7, "tags": ["a", " ", "b"]}
    columns = SourceColumns(image="left", text="title", label="class", key="id", named=("keywords=tags",))
    looked = look(write_tfrecord(tmp_path / "a.tfrecord", [example(record)]), columns=columns)
    (row,) = rows_of(looked)
    assert (row.key, row.texts, row.label, row.named) == ("7", ("T",), "cat", {"keywords": ("a", "b")})
    assert row.read_image() == b"l"
    assert looked.source.options == {"columns": columns.recorded()}
    assert [table.name for table in looked.survey.tables] == ["captions", "labels"]
    assert [column.name for column in looked.survey.tables[0].columns] == ["key", "texts", "keywords"]


def test_an_unusable_record_fails_or_loses_words_alone(tmp_path):
    records = [
        example({"image": b"i", "text": ["a", b"\xff"], "label": 0.5}),
        example({"text": "no image"}),
        example({"image": 7, "text": 7, "label": "cat"}),
        example({"image": [b"one", b"two"], "text": []}),
        example({"image": [], "text": "empty"}),
        b"\xff\xff not a protocol buffer",
    ]
    looked = look(write_tfrecord(tmp_path / "a.tfrecord", records))
    rows = rows_of(looked)
    assert [row.texts for row in rows] == [("a",), ("no image",), (), (), ("empty",), ()]
    assert rows[0].notes == ("'text' is not UTF-8, left out", "'label' is a number, left out")
    assert rows[2].notes == ("'text' is a number, left out",)
    assert rows[3].notes == ("another image in 'image', left out",)
    faults = [_fault(row.read_image) for row in rows]
    where = f"{tmp_path}/a.tfrecord, record"
    tried = "image/encoded or image or jpg or png or webp or image_raw"
    assert faults == [
        None,
        ("missing", f"{where} 1: no feature {tried}; there are ['text']"),
        ("unreadable", f"{where} 2: 'image' must be bytes, and is numbers"),
        None,
        ("unreadable", f"{where} 4: 'image' must be bytes, and is numbers"),
        ("unreadable", f"{where} 5: not a tf.Example"),
    ]
    with pytest.raises(LargeFileError):
        rows[3].read_image(2)


def _fault(read) -> tuple[str, str] | None:
    try:
        read()
    except ImageError as error:
        return error.reason, error.message
    return None


GOOD = {"image": b"i", "text": "t"}


@pytest.mark.parametrize(
    ("records", "columns", "message"),
    [
        ([], {}, r"a.tfrecord: no records in 1 file"),
        ([b"\xff\xff"], {}, r"a.tfrecord, record 0: must be a tf.Example"),
        ([GOOD], {"text": "title"}, r"no record has the feature 'title'; there are \['image', 'text'\]"),
        ([GOOD], {"named": ("t=title",)}, r"no record has the feature 'title'"),
        ([{"scan": b"i", "text": "t"}], {}, r"no record has an image, a feature image/encoded .* --image-column"),
        ([{"image": b"i", "story": "t"}], {}, r"no record has a text or label, .*'story'.* --text-column or --label-c"),
        ([{**GOOD, "key": "k"}, GOOD], {}, r"record 1: every record must have a key: no feature 'key'"),
        ([{**GOOD, "key": b"\xff"}], {}, r"record 0: every record must have a key: 'key' is not UTF-8"),
        ([{**GOOD, "key": 0.5}], {}, r"record 0: 'key' must be a string or a whole number, got 0.5"),
        ([{**GOOD, "key": ""}], {}, r"record 0: key 'key' is empty"),
    ],
)
def test_what_cannot_be_a_source_is_refused(tmp_path, records, columns, message):
    encoded = [record if isinstance(record, bytes) else example(record) for record in records]
    path = write_tfrecord(tmp_path / "a.tfrecord", encoded)
    with pytest.raises(SourceError, match=message):
        rows_of(look(path, columns=SourceColumns(**columns)))


def test_repeated_keys_of_records_are_found_in_reading_them(tmp_path):
    path = write_tfrecord(tmp_path / "a.tfrecord", [example({"image": b"i", "text": "t", "key": "k"})] * 2)
    looked = look(path)
    assert [key for part in looked.looks[0].slices for key, _ in looked.source.keys(part)] == ["k", "k"]


def test_a_key_appears_only_where_the_first_record_of_its_file_has_one(tmp_path):
    records = [example({"image": b"i", "text": "t"}), example({"image": b"i", "key": "k"}), example({"image": b"i"})]
    looked = look(write_tfrecord(tmp_path / "a.tfrecord", records), rows_per_unit=1)
    assert [key for key, *_ in _rows(looked)] == [f"a.tfrecord/{number}" for number in range(3)]


@pytest.mark.parametrize("name", WRITERS)
def test_a_flipped_byte_is_an_error_that_names_the_file(tmp_path, name):
    rng = np.random.default_rng(0)
    path = tmp_path / name
    WRITERS[name](path, [example({"image": rng.bytes(3000), "text": "t"}) for _ in range(20)])
    content = bytearray(path.read_bytes())
    looked = look(path)
    content[30_000] ^= 1
    path.write_bytes(content)
    with pytest.raises(SourceError, match=rf"{name}.*(byte|record|gzip).*(damaged|gzip).*copy"):
        rows_of(looked)


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_that_is_cut_off_is_an_error(tmp_path, name):
    path = tmp_path / name
    WRITERS[name](path, [example({"image": bytes(3000), "text": "t"}) for _ in range(20)])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2 + 5])
    with pytest.raises(SourceError, match=rf"{name}.*(cut off|damaged gzip)"):
        rows_of(look(path))


def test_a_file_that_has_changed_since_the_look_is_an_error(tmp_path):
    records = [example({"image": b"i", "text": "t"})] * 3
    path = write_array_record(tmp_path / "a.array_record", records)
    looked = look(path)
    write_array_record(tmp_path / "a.array_record", records[:2])
    with pytest.raises(SourceError, match="had 3 records or more when the job was planned and has 2 now"):
        rows_of(looked)


@pytest.mark.parametrize("content", [b"", b"no records", bytes(200_000)])
def test_other_files_are_no_array_records(tmp_path, content):
    (tmp_path / "a.array_record").write_bytes(content)
    with pytest.raises(SourceError, match=r"a.array_record: no complete ArrayRecord file"):
        look(tmp_path / "a.array_record")


def test_a_look_into_an_array_record_in_a_store_copies_its_ends_alone(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    records = [example({"image": rng.bytes(100_000), "text": str(number)}) for number in range(60)]
    write_array_record(tmp_path / "a.array_record", records)
    url = f"{_memory(tmp_path)}/a.array_record"
    read: list[int] = []
    looked = look(url, opener=_Counting(read))
    assert num_rows(looked) == 60
    assert sum(read) < 2.2e6 < (tmp_path / "a.array_record").stat().st_size
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    assert [row.texts for row in rows_of(looked)] == [(str(number),) for number in range(60)]
    assert list((tmp_path / "scratch").iterdir()) == []


class _Counting:
    """Opens a file that counts the bytes that are read."""

    def __init__(self, read: list[int]):
        self._read = read

    def __call__(self, path: str):
        stream = open_file(path)
        return _CountingStream(stream, self._read)


class _CountingStream(io.RawIOBase):
    def __init__(self, stream, read: list[int]):
        self._stream, self._counts = stream, read

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self._counts.append(len(data))
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._stream.seek(offset, whence)


def test_listing_imports_no_tensorflow(tmp_path):
    path = write_tfrecord(tmp_path / "a.tfrecord", [example({"image": b"i", "text": "t"})])
    program = f"""
import sys
from lit_precompute.precompute.sources.opening import make_source
from lit_precompute.precompute.sources.spec import SourceSpec
make_source(SourceSpec({path!r})).files()
print("tensorflow" in sys.modules)
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["False"]


def test_a_gzip_named_as_if_it_were_none(tmp_path):
    path = write_tfrecord(tmp_path / "a.tfrecord", [example({"image": b"i", "text": "t"})])
    pathlib.Path(path).write_bytes(gzip.compress(pathlib.Path(path).read_bytes()))
    assert _rows(look(path)) == [("a.tfrecord/0", ("t",), "")]
