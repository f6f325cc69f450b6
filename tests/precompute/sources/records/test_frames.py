import gzip
import io
import pathlib
import struct

import google_crc32c
import pytest

from lit_precompute.precompute.sources.records.frames import FRAME_BYTES, open_records, read_frames, scan_frames
from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.schemas.storage import open_file
from tests.precompute.sources.records.written import tf, write_tfrecord

RECORDS = [b"", b"a", bytes(1000), b"\x1f\x8b\x08" * 5_000_000]


def _masked(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def _length(length: int) -> bytes:
    """Returns the header of a record, with a right checksum."""
    return struct.pack("<Q", length) + _masked(struct.pack("<Q", length))


def _bytes(path: str) -> bytes:
    return pathlib.Path(path).read_bytes()


def _read(path: str) -> list[bytes]:
    with open_records(open_file, path) as (stream, _):
        return [frame.data for frame in read_frames(stream, path)]


@pytest.mark.parametrize("compression", ["", "GZIP"])
def test_reads_what_tensorflow_wrote(tmp_path, compression):
    path = write_tfrecord(tmp_path / "a", RECORDS, compression)
    expected = [record.numpy() for record in tf.data.TFRecordDataset(path, compression_type=compression)]
    assert _read(path) == expected == RECORDS


def test_gzip_of_several_members(tmp_path):
    whole = _bytes(write_tfrecord(tmp_path / "a", RECORDS[:3]))
    (tmp_path / "b").write_bytes(gzip.compress(whole[:20]) + gzip.compress(whole[20:]))
    assert _read(str(tmp_path / "b")) == RECORDS[:3]


def test_a_length_that_looks_like_the_mark_of_gzip(tmp_path):
    path = write_tfrecord(tmp_path / "a", [bytes(0x088B1F)])
    assert _bytes(path)[:3] == b"\x1f\x8b\x08"
    assert list(map(len, _read(path))) == [0x088B1F]


def test_scanning_finds_where_records_begin(tmp_path):
    path = write_tfrecord(tmp_path / "a", RECORDS)
    with open_records(open_file, path) as (stream, _):
        offsets = scan_frames(stream, path).tolist()
        assert offsets == [0, 16, 33, 1049, 1049 + len(RECORDS[3]) + FRAME_BYTES]
        assert [frame.data for frame in read_frames(stream, path, offsets[1], offsets[3])] == RECORDS[1:3]


def test_an_empty_file_has_no_records(tmp_path):
    assert _read(write_tfrecord(tmp_path / "a", [])) == []
    assert scan_frames(io.BytesIO(), "a").tolist() == [0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (_length(4) + b"abcd" + b"1234", "a, byte 0: the checksum of a record's data, bytes 12 to 16, must be"),
        (_length(0) + _masked(b"") + b"12345678" + b"1234", "a, byte 16: the length of a record has a wrong checksum"),
        (_length(0) + _masked(b"") + b"123", "a, byte 16: the file is cut off: .* a length"),
        (_length(10) + b"abcd", "a, byte 0: the file is cut off: a record should have 10 bytes"),
        (_length(4) + b"abcd" + b"12", "a, byte 0: the file is cut off"),
        (_length(1 << 29), "a, byte 0: the file is cut off: a record should have 536,870,912 bytes"),
        (_length(1 << 60), "a, byte 0: a record of 1,152,921,504,606,846,976 bytes; at most 1,073,741,824"),
        (_length((1 << 64) - 1), "at most 1,073,741,824"),
    ],
)
def test_damage_names_the_byte_and_takes_no_memory(content, message):
    with pytest.raises(SourceError, match=message):
        list(read_frames(io.BytesIO(content), "a"))


@pytest.mark.parametrize("position", range(0, 40))
def test_any_flipped_bit_is_noticed(tmp_path, position):
    content = bytearray(_bytes(write_tfrecord(tmp_path / "a", [b"abcd", b"efgh"])))
    assert len(content) == 40
    content[position] ^= 1 << position % 8
    (tmp_path / "b").write_bytes(content)
    with pytest.raises(SourceError, match=rf"b, byte {position // 20 * 20}: |b: not a TFRecord file"):
        _read(str(tmp_path / "b"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"path,text\n1.jpg,one\n", "not a TFRecord file: its first length has no right checksum"),
        (b"\x28\xb5\x2f\xfd" * 9, "a zstd file, not a TFRecord file"),
        (b"12345", "not a TFRecord file"),
        (gzip.compress(_length(4) + b"abcd" + _masked(b"abcd"), mtime=0)[:-9], r"damaged gzip \(Compressed file ended"),
        (
            gzip.compress(_length(4) + b"abcd" + _masked(b"abcd"), mtime=0)[:-8] + b"\0" * 8,
            r"damaged gzip \(CRC check failed",
        ),
        (b"\x1f\x8b\x08" + b"\xff" * 30, "damaged gzip"),
    ],
)
def test_other_files_are_refused(tmp_path, content, message):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(SourceError, match=message):
        _read(str(tmp_path / "a"))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SourceError, match="nowhere: cannot be opened"):
        _read(str(tmp_path / "nowhere"))
