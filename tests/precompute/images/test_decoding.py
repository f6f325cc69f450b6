import io
import os
import pickle
import struct
import subprocess
import sys
import threading
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from lit_precompute.precompute.images.decoding import decode
from lit_precompute.precompute.images.errors import ImageError
from lit_precompute.precompute.images.limits import MAX_PIXELS

SHAPES = [(64, 64), (97, 131), (33, 17), (1, 1), (8, 301)]
REASONS = {"empty", "not-a-picture", "truncated", "too-large", "unsupported"}


def _pixels(height: int = 61, width: int = 83, channels: int = 3) -> np.ndarray:
    """An image with gradients, edges and noise: every part of a codec has work to do."""
    rows, columns = np.mgrid[:height, :width]
    waves = [
        127 + 100 * np.sin(columns / (3 + k) + rows / (7 - k)) + 40 * ((rows // 8 + columns // 8) % 2) for k in range(4)
    ]
    noise = np.random.default_rng(height * 1000 + width).normal(0, 12, (height, width, 4))
    return (np.stack(waves, axis=-1) + noise).clip(0, 255).astype(np.uint8)[..., :channels]


def _encoded(image: Image.Image | np.ndarray, format: str, **options) -> bytes:
    buffer = io.BytesIO()
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(buffer, format, **options)
    return buffer.getvalue()


def _png(values: np.ndarray, colour: int, depth: int, extra: bytes = b"") -> bytes:
    """Writes a PNG by hand: Pillow cannot write every kind. `values` are rows of big-endian samples."""
    height, width = values.shape[:2]

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = b"".join(b"\0" + row.tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra
    return start + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def _transparency(body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + b"tRNS" + body + struct.pack(">I", zlib.crc32(b"tRNS" + body))


def _tensorflow(data: bytes) -> np.ndarray:
    """big_vision's `decode`."""
    return tf.io.decode_image(data, channels=3, expand_animations=False).numpy()


def _over_white(colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """The definition in float64, rounded to the nearest integer."""
    opacity = alpha.astype(np.float64)[..., None] / 255
    return np.rint(colour * opacity + 255 * (1 - opacity)).astype(np.uint8)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_matches_tensorflow_to_the_byte(shape, subsampling, progressive):
    data = _encoded(_pixels(*shape), "JPEG", quality=85, subsampling=subsampling, progressive=progressive)
    np.testing.assert_array_equal(decode(data), _tensorflow(data))
    accurate = decode(data, jpeg="accurate")
    np.testing.assert_array_equal(accurate, np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))
    precise = tf.image.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE").numpy()
    np.testing.assert_array_equal(accurate, precise)


def test_the_two_ways_of_decoding_jpegs_differ():
    data = _encoded(_pixels(), "JPEG")
    assert (decode(data) != decode(data, jpeg="accurate")).any()


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_grey_and_cmyk_jpegs_match_tensorflow(mode):
    data = _encoded(Image.fromarray(_pixels()).convert(mode), "JPEG")
    np.testing.assert_array_equal(decode(data), _tensorflow(data))


def test_cmyk_jpegs_are_read_with_and_without_adobes_inversion():
    pixels = _pixels()
    adobe = _encoded(Image.fromarray(pixels).convert("CMYK"), "JPEG", quality=100)
    assert np.abs(decode(adobe).astype(int) - pixels).mean() < 5
    # The same samples without Adobe's mark: they are ink unchanged, and the image becomes its negative.
    start = adobe.index(b"\xff\xee")
    plain = adobe[:start] + adobe[start + 2 + int.from_bytes(adobe[start + 2 : start + 4], "big") :]
    stored = 255 - np.asarray(Image.open(io.BytesIO(plain)), np.float64)  # Pillow inverts in any case
    ink, black = stored[..., :3], stored[..., 3:]
    expected = (255 - ink) * (255 - black) / 255
    assert np.abs(decode(plain, jpeg="accurate") - expected).max() <= 1
    np.testing.assert_array_equal(decode(plain), _tensorflow(plain))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("mode", ["RGB", "L", "P", "1"])
def test_opaque_png_matches_tensorflow_to_the_byte(shape, mode):
    data = _encoded(Image.fromarray(_pixels(*shape)).convert(mode), "PNG")
    np.testing.assert_array_equal(decode(data), _tensorflow(data))


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_low_depth_grey_png_matches_tensorflow(depth):
    packed = np.random.default_rng(depth).integers(0, 256, (9, 5), dtype=np.uint8)
    wide = np.zeros((9, 5 * 8 // depth), np.uint8)  # its shape is the image's, its bytes are not used
    data = _png(wide, 0, depth).split(b"IDAT")[0]
    header = data[:-4]
    body = zlib.compress(b"".join(b"\0" + row.tobytes() for row in packed))
    chunk = struct.pack(">I", len(body)) + b"IDAT" + body + struct.pack(">I", zlib.crc32(b"IDAT" + body))
    data = header + chunk + struct.pack(">I", 0) + b"IEND" + struct.pack(">I", zlib.crc32(b"IEND"))
    np.testing.assert_array_equal(decode(data), _tensorflow(data))
    assert len(np.unique(decode(data))) == 2**depth


@pytest.mark.parametrize(("colour", "channels"), [(0, 1), (2, 3)])
def test_deep_png_keeps_the_high_byte_as_tensorflow_does(colour, channels):
    deep = np.random.default_rng(7).integers(0, 1 << 16, (23, 31, channels)).astype(">u2")
    data = _png(deep, colour, 16)
    expected = np.broadcast_to((deep >> 8).astype(np.uint8), (23, 31, 3))
    np.testing.assert_array_equal(decode(data), expected)
    np.testing.assert_array_equal(_tensorflow(data), expected)


@pytest.mark.parametrize(("colour", "channels"), [(4, 2), (6, 4)])
def test_deep_png_with_alpha_is_laid_over_white(colour, channels):
    deep = np.random.default_rng(8).integers(0, 1 << 16, (23, 31, channels)).astype(">u2")
    high = (deep >> 8).astype(np.uint8)
    expected = _over_white(np.broadcast_to(high[..., :-1], (23, 31, 3)), high[..., -1])
    np.testing.assert_array_equal(decode(_png(deep, colour, 16)), expected)


def test_a_transparent_deep_grey_is_white():
    deep = np.array([[[0x1234], [0x1235], [0x8000]]], ">u2")
    data = _png(deep, 0, 16, _transparency(b"\x12\x34"))
    assert decode(data)[0, :, 0].tolist() == [255, 0x12, 0x80]


def test_a_transparent_deep_colour_is_left_as_it_is():
    deep = np.array([[[0x1234, 0, 0], [0x1235, 0, 0]]], ">u2")
    data = _png(deep, 2, 16, _transparency(b"\x12\x34\0\0\0\0"))
    assert decode(data)[0, :, 0].tolist() == [0x12, 0x12]


def test_a_transparent_colour_is_white():
    colours = np.array([[[10, 20, 30], [10, 20, 31], [0, 0, 0]]], np.uint8)
    data = _png(colours, 2, 8, _transparency(b"\0\x0a\0\x14\0\x1e"))
    assert decode(data)[0].tolist() == [[255, 255, 255], [10, 20, 31], [0, 0, 0]]


@pytest.mark.parametrize(
    ("format", "options"), [("PNG", {}), ("WEBP", {"lossless": True, "exact": True}), ("TIFF", {})]
)
def test_alpha_is_laid_over_white(format, options):
    pixels = _pixels(channels=4)
    expected = _over_white(pixels[..., :3], pixels[..., 3])
    np.testing.assert_array_equal(decode(_encoded(pixels, format, **options)), expected)


def test_grey_with_alpha_is_laid_over_white():
    pixels = _pixels(channels=2)
    data = _encoded(Image.fromarray(pixels, "LA"), "PNG")
    expected = _over_white(np.repeat(pixels[..., :1], 3, axis=2), pixels[..., 1])
    np.testing.assert_array_equal(decode(data), expected)


@pytest.mark.parametrize("format", ["PNG", "GIF"])
def test_a_transparent_palette_entry_is_white(format):
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8), "P")
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    data = _encoded(image, format, transparency=1)
    assert decode(data)[0].tolist() == [[10, 20, 30], [255, 255, 255], [70, 80, 90]]


def test_palette_alphas_are_laid_over_white():
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8), "P")
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    data = _encoded(image, "PNG", transparency=bytes([255, 128, 0]))
    colours, alphas = np.array([[[10, 20, 30], [40, 50, 60], [70, 80, 90]]]), np.array([[255, 128, 0]])
    np.testing.assert_array_equal(decode(data), _over_white(colours, alphas))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_orientation_is_applied(format, orientation):
    pixels = _pixels(24, 40)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 95}}.get(format, {})
    plain = decode(_encoded(pixels, format, **options))
    turned = decode(_encoded(pixels, format, exif=exif, **options))
    # Source: CIPA DC-008 (Exif), tag 274: the corner of the image that the first row and column are at.
    expected = {
        1: plain,
        2: plain[:, ::-1],
        3: plain[::-1, ::-1],
        4: plain[::-1],
        5: plain.transpose(1, 0, 2),
        6: plain.transpose(1, 0, 2)[:, ::-1],
        7: plain.transpose(1, 0, 2)[::-1, ::-1],
        8: plain.transpose(1, 0, 2)[::-1],
    }[orientation]
    np.testing.assert_array_equal(turned, expected)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(_encoded(pixels, format, exif=exif, **options))))
    assert upright is not None and turned.shape[:2] == (upright.height, upright.width)
    assert turned.flags.c_contiguous


def test_damaged_exif_does_not_lose_the_image():
    data = _encoded(_pixels(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xffgarbage")
    np.testing.assert_array_equal(decode(data), _tensorflow(data))


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_the_first_frame_of_an_animation_is_taken(format):
    frames = [Image.new("RGB", (20, 10), colour) for colour in ((200, 30, 10), (0, 255, 0), (0, 0, 255))]
    options = {"lossless": True} if format == "WEBP" else {}
    data = _encoded(frames[0], format, save_all=True, append_images=frames[1:], **options)
    assert getattr(Image.open(io.BytesIO(data)), "n_frames", 1) == 3
    np.testing.assert_array_equal(decode(data), np.broadcast_to(np.uint8([200, 30, 10]), (10, 20, 3)))


def test_still_gif_and_bmp_match_tensorflow():
    for data in (_encoded(Image.fromarray(_pixels()).convert("P"), "GIF"), _encoded(_pixels(), "BMP")):
        np.testing.assert_array_equal(decode(data), _tensorflow(data))


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "CMYK", "I;16"])
@pytest.mark.parametrize("compression", ["raw", "tiff_deflate"])
def test_tiff_kinds(mode, compression):
    image = Image.fromarray(_pixels()).convert("L" if mode == "I;16" else mode)
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image).astype(np.uint16) * 256 + 77)
    expected = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)) if mode == "I;16" else image
    data = _encoded(image, "TIFF", compression=compression)
    np.testing.assert_array_equal(decode(data), np.asarray(expected.convert("RGB")))


def test_lossy_webp_and_jpeg_inside_tiff_are_what_pillow_reads():
    for data in (_encoded(_pixels(), "WEBP", quality=80), _encoded(_pixels(), "TIFF", compression="jpeg")):
        np.testing.assert_array_equal(decode(data), np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))


def _fault(data: bytes, **options) -> ImageError:
    with pytest.raises(ImageError) as caught:
        decode(data, **options)
    return caught.value


def test_faults_have_reasons():
    assert _fault(b"").reason == "empty"
    page = _fault(b"<!DOCTYPE html><html>404</html>")
    assert page.reason == "not-a-picture"
    assert "b'<!DOCTYPE html><'" in str(page)
    assert _fault(b"\0" * 1000).reason == "not-a-picture"
    assert _fault(b"\0\0\0\x20ftypavif" + b"\0" * 100).reason == "unsupported"
    floats = _encoded(Image.fromarray(np.zeros((4, 4), np.float32)), "TIFF")
    assert _fault(floats).reason == "unsupported"
    assert "'F'" in str(_fault(floats))


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
@pytest.mark.parametrize("part", [0.02, 0.5, 0.9])
def test_a_cut_file_is_truncated(format, part):
    data = _encoded(_pixels(200, 200), format)
    error = _fault(data[: max(int(len(data) * part), 12)])
    assert error.reason == "truncated"
    assert format in str(error)


def test_errors_survive_pickling():
    error = pickle.loads(pickle.dumps(_fault(b"")))
    assert (error.reason, str(error)) == ("empty", "the file has no bytes")


def _bombs() -> list[bytes]:
    """Files of a few bytes that declare 4 gigapixels or as many as the format can."""
    side = 65_000
    png = _png(np.zeros((1, 1), np.uint8), 0, 8)
    png = png[:16] + struct.pack(">II", side, side) + png[24:29]
    png += struct.pack(">I", zlib.crc32(png[12:29])) + b"\0\0\0\0IEND\xaeB`\x82"
    jpeg = bytearray(_encoded(_pixels(8, 8), "JPEG"))
    start = jpeg.index(b"\xff\xc0")
    jpeg[start + 5 : start + 9] = struct.pack(">HH", side, side)
    gif = bytearray(_encoded(Image.new("P", (8, 8)), "GIF"))
    gif[6:10] = struct.pack("<HH", side, side)
    webp = b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + (16382).to_bytes(3, "little") * 2
    lossless = bytearray(_encoded(_pixels(8, 8), "WEBP", lossless=True))
    lossless[21:25] = struct.pack("<I", 16382 | 16382 << 14)
    lossy = bytearray(_encoded(_pixels(8, 8), "WEBP"))
    lossy[26:30] = struct.pack("<HH", 16382, 16382)
    bmp = bytearray(_encoded(_pixels(8, 8), "BMP"))
    bmp[18:26] = struct.pack("<II", side, side)
    return [png, bytes(jpeg), bytes(gif), webp, bytes(lossless), bytes(lossy), bytes(bmp)]


@pytest.mark.parametrize("number", range(7))
def test_bombs_are_refused_by_what_they_declare(number):
    error = _fault(_bombs()[number])
    assert error.reason == "too-large"
    assert "pixels; at most 178,956,970 are decoded" in str(error)


def test_the_limit_of_pixels_is_an_argument():
    data = _encoded(_pixels(20, 30), "PNG")
    assert decode(data, max_pixels=600).shape == (20, 30, 3)
    assert str(_fault(data, max_pixels=599)) == "declares 30 x 20 pixels; at most 599 are decoded"
    assert MAX_PIXELS == Image.MAX_IMAGE_PIXELS * 2


def test_a_side_of_over_a_million_pixels_is_too_large():
    """As for libpng; a decoder holds several whole rows at up to 8 bytes a pixel."""
    strip = np.zeros((1, 1_000_001), np.uint8)
    assert _fault(_png(strip, 0, 8)).reason == "too-large"
    assert "at most 1,000,000 a side" in str(_fault(_png(strip.T, 0, 8)))
    assert decode(_png(strip[:, 1:], 0, 8)).shape == (1, 1_000_000, 3)


def _valid_files() -> list[bytes]:
    pixels = _pixels(24, 31, 4)
    exif = Image.Exif()
    exif[0x0112] = 6
    rgb = Image.fromarray(pixels[..., :3])
    files = [_encoded(rgb, format) for format in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")]
    files += [_encoded(pixels, format) for format in ("PNG", "WEBP", "TIFF")]
    files += [_encoded(rgb, "JPEG", progressive=True, exif=exif), _encoded(rgb.convert("CMYK"), "JPEG")]
    files += [_encoded(rgb, "TIFF", compression=kind) for kind in ("tiff_lzw", "jpeg", "packbits")]
    files += [_encoded(rgb, format, save_all=True, append_images=[rgb.rotate(90)]) for format in ("GIF", "WEBP", "PNG")]
    files += [_png(np.zeros((5, 7, 1), ">u2"), 0, 16, _transparency(b"\x12\x34")), _encoded(rgb, "PNG", exif=exif)]
    return files


VALID_FILES = _valid_files()


@settings(max_examples=600)
@given(data=st.data())
def test_damaged_files_give_an_image_or_an_image_error(data):
    """Cuts and byte flips; the words of the error are the same each time, for they are written to the dataset."""
    content = bytearray(data.draw(st.sampled_from(VALID_FILES)))
    # Damage to the header finds more than damage to the pixels.
    places = st.one_of(st.integers(0, min(120, len(content) - 1)), st.integers(0, len(content) - 1))
    for place, value in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), max_size=6)):
        content[place] = value
    content = bytes(content[: data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))])
    outcomes = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2):
            try:
                image = decode(content, max_pixels=1 << 20)
                assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3
                outcomes.append(image.tobytes())
            except ImageError as error:
                assert error.reason in REASONS
                assert " at 0x" not in str(error)
                outcomes.append((error.reason, str(error)))
    assert outcomes[0] == outcomes[1]


def test_threads_decode_alike_and_leave_no_trace_in_the_filters_of_warnings():
    files = [content for content in VALID_FILES for _ in range(20)]
    expected = [decode(content).tobytes() for content in files]
    filters, threads = list(warnings.filters), set(threading.enumerate())
    with ThreadPoolExecutor(8) as pool:
        assert [image.tobytes() for image in pool.map(decode, files)] == expected
    assert warnings.filters == filters
    assert set(threading.enumerate()) <= threads


@pytest.mark.slow
def test_a_fresh_process_decodes_without_output_on_standard_error():
    """Progress lines share the terminal: TensorFlow's notes and libjpeg's complaints must not."""
    program = (
        "import sys; from lit_precompute.precompute.images.decoding import ImageError, decode\n"
        "data = sys.stdin.buffer.read(); decode(data)\n"
        "try: decode(data[:-40])\n"
        "except ImageError as error: print(error.reason)"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    result = subprocess.run(
        [sys.executable, "-c", program],
        input=_encoded(_pixels(), "JPEG"),
        capture_output=True,
        check=True,
        env=environment,
    )
    assert result.stdout.split() == [b"truncated"]
    assert result.stderr.decode() == ""
