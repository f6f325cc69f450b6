"""A small source of good and bad images, and runs of lit-embed in this process."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

from lit_precompute.commands import embed as command_line
from lit_precompute.pipelines.embed.options import EmbedOptions
from lit_precompute.precompute.options import DecodingOptions
from lit_precompute.precompute.sources.spec import SourceSpec
from lit_precompute.towers.options import ImageTowerOptions
from tests.towers.tiny_tower import NAME, register_tiny_tower, write_weights

BAD = {
    "bad/empty.png": ("empty", b""),
    "bad/words.jpg": ("not-a-picture", b"these are words"),
    "bad/cut.png": ("truncated", None),
    "bad/bomb.png": ("too-large", None),
    "bad/missing.png": ("missing", None),
}


def draw_image(seed):
    """Returns a PNG of noise; the seed determines its size, too."""
    rng = np.random.default_rng(seed)
    height, width = rng.integers(8, 40, 2)
    stream = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def bomb():
    """Returns a PNG of a few bytes that declares 100,000 x 100,000 pixels."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 64)) + chunk(b"IEND", b"")
    )


def write_source(folder, count=40, *, bad=True, labels=True):
    """Writes images, bad ones among them, and their table; returns the table's path."""
    (folder / "bad").mkdir(parents=True, exist_ok=True)
    paths = []
    for number in range(count):
        (folder / f"{number:03d}.png").write_bytes(draw_image(number))
        paths.append(f"{number:03d}.png")
    if bad:
        contents = {"bad/cut.png": draw_image(0)[:60], "bad/bomb.png": bomb()}
        for place, (path, (_, content)) in enumerate(BAD.items()):
            if (data := contents.get(path, content)) is not None:
                (folder / path).write_bytes(data)
            paths.insert(place * 7, path)
    rows = [f"{path}\ttext of {path}\t{'even' if len(path) % 2 else 'odd'}" for path in paths]
    table = folder / "captions.tsv"
    table.write_text("\n".join(["path\ttext\tlabel" if labels else "path\ttext\tother", *rows]) + "\n")
    return table


def arguments(table, output, weights=None, **options):
    """Returns the arguments of lit-embed; keyword arguments become flags."""
    register_tiny_tower()
    weights = weights or write_weights(table.parent / "weights.npz")
    given = {"source": table, "tower": NAME, "weights": weights, "output": output}
    given |= {"rows_per_shard": 8, "batch_size": 4, "decode_workers": 2} | options
    return ["run", *(part for name, value in given.items() for part in (f"--{name.replace('_', '-')}", str(value)))]


def run(monkeypatch, *command):
    """Runs lit-embed in this process and returns its exit status."""
    monkeypatch.setattr("sys.argv", ["lit-embed", *map(str, command)])
    try:
        command_line.main()
    except SystemExit as end:
        return end.code
    return 0


def tiny_options(tmp_path):
    """Returns options of a small job with the tests' tiny tower, whose source and weights are written."""
    register_tiny_tower()
    return EmbedOptions(
        source=SourceSpec(str(write_source(tmp_path / "source"))),
        tower=ImageTowerOptions(name=NAME, weights=write_weights(tmp_path / "weights.npz")),
        output=str(tmp_path / "out"),
        batch_size=4,
        rows_per_shard=8,
        decoding=DecodingOptions(decode_in="threads", decode_workers=2),
    )
