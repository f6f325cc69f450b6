"""Parquet files and TFRecords whose values or bytes lie."""

import io
import struct

import google_crc32c
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf

from tests.faults.hostile.contents import Content, encode, flip, noise


def _png(draw):
    return encode(noise(draw), "PNG")


def _parquet(table, **options):
    stream = io.BytesIO()
    pq.write_table(table, stream, **options)
    return stream.getvalue()


def parquet_values(draw):
    """Sound files with nulls, wrong types, empty lists, long texts and repeated or missing keys."""
    count = draw.randint(4, 12)
    image = draw.choice((None, b"", b"not an image", _png(draw)))
    values = [_png(draw) if draw.random() < 0.6 else image for _ in range(count)]
    made = (
        {"image": pa.array(values, pa.binary())},
        {"image": pa.array([{"bytes": each, "path": None} for each in values])},
        {"image": pa.array(values, pa.large_binary()), "text": pa.array([None] * count, pa.string())},
        {"image": pa.array(values, pa.binary()), "text": pa.array(range(count), pa.int64())},
        {"image": pa.array(values, pa.binary()), "texts": pa.array([[], None, ["a", None]] + [["b"]] * (count - 3))},
        {"image": pa.array(values, pa.binary()), "key": pa.array([str(n) for n in range(count)])},
        {"image": pa.array(values, pa.binary()), "text": pa.array(["x" * 10_000_000] + ["y"] * (count - 1))},
        {"image": pa.nulls(count, pa.binary())},
    )
    options = {
        "row_group_size": draw.choice((1, 3, 100)),
        "compression": draw.choice(("snappy", "gzip", "zstd", "none")),
    }
    return Content(".parquet", _parquet(pa.table(draw.choice(made)), **options), count)


def parquet_damaged(draw):
    """Footers that are cut, of other lengths or with other bytes; pages with other bytes."""
    count = draw.randint(4, 12)
    table = pa.table({"image": [_png(draw) for _ in range(count)], "text": [f"t {n}" for n in range(count)]})
    data = _parquet(table, row_group_size=4, compression=draw.choice(("none", "snappy", "gzip")))
    footer = struct.unpack("<I", data[-8:-4])[0]
    made = (
        lambda: data[: draw.randrange(4, len(data))],
        lambda: data[:-8] + struct.pack("<I", draw.choice((0, 1, footer + 1, footer - 1, 2**32 - 1))) + b"PAR1",
        lambda: flip(draw, data, draw.randint(1, 4), start=len(data) - 8 - footer),
        lambda: flip(draw, data, draw.randint(1, 4), start=4),
        lambda: data[:-4] + b"PARE",
        lambda: data + b"\n",
        lambda: b"PAR1" + draw.randbytes(200) + struct.pack("<I", 100) + b"PAR1",
    )
    return Content(".parquet", draw.choice(made)())


def _frame(data, *, right=True):
    def masked(piece):
        crc = google_crc32c.value(piece)
        return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF ^ (0 if right else 1)

    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", masked(length)) + data + struct.pack("<I", masked(data))


def _example(image):
    features = {"image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[image]))}
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def records(draw):
    """TFRecords with wrong checksums and lengths, cut off, or of something else than examples."""
    frames = [_frame(_example(_png(draw))) for _ in range(6)]
    at = draw.randrange(len(frames))
    made = (
        lambda: _frame(_example(_png(draw)), right=False),
        lambda: frames[at][: draw.randrange(1, len(frames[at]))],
        lambda: struct.pack("<Q", 2**60) + frames[at][8:],
        lambda: flip(draw, frames[at], draw.randint(1, 3)),
        lambda: _frame(b""),
        lambda: _frame(draw.randbytes(100)),
        lambda: _frame(_example(b"not an image")),
        lambda: draw.randbytes(50),
    )
    frames[at] = draw.choice(made)()
    return Content(".tfrecord", b"".join(frames))
