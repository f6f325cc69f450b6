"""Memory while very large images are decoded, by the system's own account."""

import os
import pathlib
import struct
import subprocess
import sys
import zlib

import pytest

from lit_precompute.precompute.images.limits import LARGE_FILE_BYTES

SIDE = 9_500
MAX_BYTES_PER_PIXEL = 8.5

# Prints the images decoded, the failures, and by how many bytes the peak exceeds what the process began with.
_DECODE = """
import functools, sys
from lit_precompute.precompute.images.ahead import PreparingThreads
from lit_precompute.precompute.images.reading import KeyedRead
from lit_precompute.precompute.sources.files import read_image
from lit_precompute.schemas.storage import open_file
from lit_precompute.towers.preprocessing import Preprocessing
from tests.memory import peak_bytes

resampler, *paths = sys.argv[1:]
small, *large = (KeyedRead(path, functools.partial(read_image, open_file, path)) for path in paths)
preprocessing = Preprocessing(size=32, antialias=True, resampler=resampler)
threads = PreparingThreads([preprocessing], num_workers=4, ahead=20)
list(threads.prepare([small] * 8))
before = peak_bytes()
outcomes = [type(image).__name__ for (image,) in threads.prepare(large)]
print(outcomes.count("ndarray"), outcomes.count("ImageError"), peak_bytes() - before)
"""


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _write_png(path: pathlib.Path, side: int, colour: int, row: bytes, more: bytes = b"", num_rows: int | None = None):
    deflater = zlib.compressobj(1)
    pixels = b"".join(deflater.compress(b"\0" + row) for _ in range(num_rows or side)) + deflater.flush()
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, colour, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + more + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b""))


def _decode(small: pathlib.Path, *large: pathlib.Path, resampler: str = "tensorflow") -> list[int]:
    """Returns how many were decoded, how many failed, and the bytes that it took."""
    command = [sys.executable, "-c", _DECODE, resampler, *map(str, (small, *large))]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return list(map(int, printed.split()))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="other systems return freed memory when they like")
@pytest.mark.parametrize("resampler", ["tensorflow", "torch"])
def test_threads_decode_very_large_images_in_the_memory_of_one(tmp_path, resampler):
    """With alpha, with a transparent palette, without the last row; two of any kind exceed the pixels in flight."""
    small, alpha, palette, cut = (tmp_path / f"{name}.png" for name in ("small", "alpha", "palette", "cut"))
    _write_png(small, 40, 2, bytes(120))
    _write_png(alpha, SIDE, 6, bytes(range(250)) * (4 * SIDE // 250))
    colours = _chunk(b"PLTE", bytes(range(256)) * 3) + _chunk(b"tRNS", bytes(range(256)))
    _write_png(palette, SIDE, 3, bytes(range(250)) * (SIDE // 250), colours)
    _write_png(cut, SIDE, 6, bytes(4 * SIDE), num_rows=SIDE - 1)
    num_images, num_failures, num_bytes = _decode(small, cut, alpha, cut, palette, cut, resampler=resampler)
    assert (num_images, num_failures) == (2, 3)
    assert num_bytes < 10 * SIDE**2  # one takes 8, two at a time would take 14


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="other systems return freed memory when they like")
def test_one_large_file_is_held_at_a_time(tmp_path):
    """Uncompressed images, 271 MB each, one for each of the four threads."""
    small = tmp_path / "small.png"
    _write_png(small, 40, 2, bytes(120))
    large = [tmp_path / f"{number}.bmp" for number in range(4)]
    for path in large:
        path.write_bytes(b"BM" + struct.pack("<IHHIIiiHHIIiiII", 0, 0, 0, 54, 40, SIDE, SIDE, 1, 24, 0, 0, 0, 0, 0, 0))
        os.truncate(path, 54 + 3 * SIDE**2)
    num_images, num_failures, num_bytes = _decode(small, *large)
    assert (num_images, num_failures) == (4, 0)
    assert num_bytes < (MAX_BYTES_PER_PIXEL + 3) * SIDE**2 + 4 * LARGE_FILE_BYTES


# Prints how many heaps glibc has after threads that each needed one, on standard error.
_HEAPS = """
import ctypes, threading
from lit_precompute.precompute.images.libraries import bound_heaps

bound_heaps()
begin = threading.Barrier(40)
def allocate():
    begin.wait()
    ctypes.CDLL(None).malloc(1000)
    begin.wait()
threads = [threading.Thread(target=allocate) for _ in range(40)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
ctypes.CDLL(None).malloc_stats()
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="of glibc")
def test_threads_share_a_few_heaps():
    cores = os.cpu_count() or 1
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC", "GLIBC"))}
    for more, most in (({}, cores + 2), ({"MALLOC_ARENA_MAX": "1"}, 1)):
        command = [sys.executable, "-c", _HEAPS]
        result = subprocess.run(command, check=True, capture_output=True, text=True, env=environment | more)
        assert 1 <= result.stderr.count("Arena ") <= most
