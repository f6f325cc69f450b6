"""What decoders spend, in a thread with a clock of its own (of processes, see test_processes)."""

import functools
import io
import types

import numpy as np
import pytest
from PIL import Image

from lit_precompute.precompute.images import ahead, spent
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


@pytest.fixture
def clock(monkeypatch):
    """The clock of decoders, which goes on when it is told to."""
    clock = types.SimpleNamespace(now_s=0)
    monkeypatch.setattr(spent, "time", types.SimpleNamespace(perf_counter=lambda: clock.now_s))
    return clock


def test_reading_is_told_from_decoding_and_bytes_are_counted(monkeypatch, clock):
    def read(data, max_bytes=None):
        clock.now_s += 1
        return data

    def prepare(*given):
        clock.now_s += 100
        return prepare_at_once(*given)

    prepare_at_once = ahead.prepare
    monkeypatch.setattr(ahead, "prepare", prepare)
    images = [_image(), b"these are words", _image()]
    preparer, counted = PreparingThreads([PREPROCESSING], num_workers=1, ahead=4), Spent()
    outcomes = list(preparer.prepare(keyed(functools.partial(read, data) for data in images), counted))
    assert [isinstance(image, ImageError) for (image,) in outcomes] == [False, True, False]
    assert counted.totals == (3, 200, sum(map(len, images)))
