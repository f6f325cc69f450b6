"""Decoding and resizing on one core, relative to the fastest decoder whose bytes are equal.

    python -m benchmarks.decoding [--images N]

JPEGs of 500 x 375, one in eight progressive, to 224 x 224. The decoders are TensorFlow's kernel, simplejpeg
(libjpeg-turbo) and Pillow, each called directly and followed by the same resize kernel; nothing is checked, no failure
is named. Only decoders that give the same bytes for every image compete. All take turns at each image, and each
image counts with the least CPU time of several rounds.
"""

import argparse
import collections
import functools
import io
import sys
import time
from collections.abc import Callable

import numpy as np
import simplejpeg
import tensorflow as tf
from PIL import Image

from benchmarks import images
from lit_precompute.precompute.images.preprocessing import load
from lit_precompute.precompute.images.resizing import resize
from lit_precompute.towers.preprocessing import Preprocessing

NUM_IMAGES, ROUNDS, SIZE = 32, 25, 224
GOAL = 0.95


def decoders(preprocessing: Preprocessing) -> dict[str, Callable[[bytes], np.ndarray]]:
    """Returns what gives pixels from an encoded image, by the name of the library."""
    is_fast = preprocessing.jpeg == "fast"
    method = "INTEGER_FAST" if is_fast else "INTEGER_ACCURATE"
    return {
        "TensorFlow": lambda data: tf.raw_ops.DecodeJpeg(contents=data, channels=3, dct_method=method).numpy(),
        "simplejpeg": lambda data: simplejpeg.decode_jpeg(data, "RGB", fastdct=is_fast),
        "Pillow": lambda data: np.asarray(Image.open(io.BytesIO(data)).convert("RGB")),
    }


def bare(decode: Callable[[bytes], np.ndarray], data: bytes) -> np.ndarray:
    """Returns an image decoded and resized, without anything else that a job does."""
    return resize(decode(data), SIZE, SIZE, method="bilinear", antialias=False)


def fewest_seconds(ways: dict[str, Callable[[bytes], np.ndarray]], data: list[bytes]) -> dict[str, float]:
    """Returns the CPU seconds that each way needs for all images, each image counted with its fastest round."""
    fewest = collections.defaultdict(lambda: [float("inf")] * len(data))
    for _ in range(ROUNDS):
        for number, each in enumerate(data):
            for name, way in ways.items():
                started = time.process_time()
                way(each)
                fewest[name][number] = min(fewest[name][number], time.process_time() - started)
    return {name: sum(seconds) for name, seconds in fewest.items()}


def compare(preprocessing: Preprocessing, data: list[bytes]) -> float:
    """Prints images per second and core of each way; returns ours over the fastest with the same bytes."""
    ways = {name: functools.partial(bare, decode) for name, decode in decoders(preprocessing).items()}
    ours = [load(each, preprocessing) for each in data]
    is_equal = {name: all(map(np.array_equal, map(way, data), ours)) for name, way in ways.items()}
    ways["ours"] = lambda each: load(each, preprocessing)
    seconds = fewest_seconds(ways, data)
    for name, taken in seconds.items():
        words = "" if is_equal.get(name, True) else "   other bytes"
        sys.stdout.write(f"  {preprocessing.jpeg:<9} {name:<11}{len(data) / taken:>8,.0f} images/s and core{words}\n")
    return min(seconds[name] for name in is_equal if is_equal[name]) / seconds["ours"]


def main() -> int:
    """Prints the ratios; returns 1 if the goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=NUM_IMAGES)
    data = [images.jpeg(number) for number in range(parser.parse_args().images)]
    size = sum(map(len, data)) / len(data) / 1000
    sys.stdout.write(f"decoding {len(data)} JPEGs of 500 x 375 ({size:.0f} KB each) to {SIZE} px\n")
    ratios = [compare(Preprocessing(size=SIZE, jpeg=method), data) for method in ("fast", "accurate")]
    sys.stdout.write(f"  over the fastest equal decoder: {ratios[0]:.2f}, accurate {ratios[1]:.2f} (goal >= {GOAL})\n")
    return int(min(ratios) < GOAL)


if __name__ == "__main__":
    sys.exit(main())
