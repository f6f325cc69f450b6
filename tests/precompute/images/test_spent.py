"""What decoders spend, in threads (of processes, see test_processes): exact bytes, seconds at least as slept."""

import functools
import io
import time

import numpy as np
from PIL import Image

from lit_precompute.precompute.images import ahead
from lit_precompute.precompute.images.ahead import PreparingThreads
from lit_precompute.precompute.images.errors import ImageError
from lit_precompute.precompute.images.spent import Spent
from lit_precompute.towers.preprocessing import Preprocessing, Scale
from tests.precompute.images.reads import keyed

PREPROCESSING = Preprocessing(size=8, resize="square", value_range=Scale(low=-1, high=1))


def _image():
    stream = io.BytesIO()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def _read_slowly(data, max_bytes=None):
    time.sleep(0.02)
    return data


def test_reading_is_told_from_decoding_and_bytes_are_counted():
    images = [_image(), b"these are words", _image()]
    preparer, spent = PreparingThreads([PREPROCESSING], num_workers=2, ahead=4), Spent()
    outcomes = list(preparer.prepare(keyed(functools.partial(_read_slowly, data) for data in images), spent))
    assert [isinstance(image, ImageError) for (image,) in outcomes] == [False, True, False]
    totals = spent.totals
    assert totals.num_bytes == sum(map(len, images))
    assert totals.read_s >= 3 * 0.02
    assert totals.decode_s > 0


def test_decoding_is_told_from_reading(monkeypatch):
    prepare = ahead.prepare

    def prepare_slowly(*given):
        time.sleep(0.05)
        return prepare(*given)

    monkeypatch.setattr(ahead, "prepare", prepare_slowly)
    spent = Spent()
    reads = [lambda max_bytes=None: _image()] * 2
    assert len(list(PreparingThreads([PREPROCESSING], num_workers=2, ahead=4).prepare(keyed(reads), spent))) == 2
    assert spent.totals.decode_s >= 2 * 0.05 > spent.totals.read_s
