"""Memory while very large images are decoded, by the system's own account."""

import pathlib
import struct
import subprocess
import sys
import zlib

import pytest

SIDE = 9_500
MAX_BYTES_PER_PIXEL = 8.5

# Prints the images decoded, the failures, and by how many bytes the peak exceeds what the process began with.
_DECODE = """
import pathlib, resource, sys
from lit_precompute.precompute.images.ahead import PreparingThreads
from lit_precompute.towers.preprocessing import Preprocessing

small, *large = map(pathlib.Path, sys.argv[1:])
threads = PreparingThreads(Preprocessing(size=32, antialias=True), num_workers=4, ahead=20)
list(threads.prepare([small.read_bytes] * 8))
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
before = peak()
outcomes = [type(outcome).__name__ for outcome in threads.prepare([file.read_bytes for file in large])]
print(outcomes.count("ndarray"), outcomes.count("ImageError"), peak() - before)
"""


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _write_png(path: pathlib.Path, side: int, colour: int, row: bytes, more: bytes = b"", num_rows: int | None = None):
    deflater = zlib.compressobj(1)
    pixels = b"".join(deflater.compress(b"\0" + row) for _ in range(num_rows or side)) + deflater.flush()
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, colour, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + more + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b""))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="other systems return freed memory when they like")
def test_threads_decode_very_large_images_in_the_memory_of_one(tmp_path):
    """With alpha, with a transparent palette, without the last row; two of any kind exceed the pixels in flight."""
    small, alpha, palette, cut = (tmp_path / f"{name}.png" for name in ("small", "alpha", "palette", "cut"))
    _write_png(small, 40, 2, bytes(120))
    _write_png(alpha, SIDE, 6, bytes(range(250)) * (4 * SIDE // 250))
    colours = _chunk(b"PLTE", bytes(range(256)) * 3) + _chunk(b"tRNS", bytes(range(256)))
    _write_png(palette, SIDE, 3, bytes(range(250)) * (SIDE // 250), colours)
    _write_png(cut, SIDE, 6, bytes(4 * SIDE), num_rows=SIDE - 1)
    command = [sys.executable, "-c", _DECODE, *map(str, (small, cut, alpha, cut, palette, cut))]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    num_images, num_failures, num_bytes = map(int, printed.split())
    assert (num_images, num_failures) == (2, 3)
    assert num_bytes < MAX_BYTES_PER_PIXEL * SIDE**2
