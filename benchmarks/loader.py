"""The loader compared with embedding-reader: 200,000 rows of 768 float16 with a text each, on the same machine.

    python -m benchmarks.loader       # needs .venv-bench, which `make bench` sets up from requirements/bench.txt

Each figure is the best of six passes over files in the page cache:
- in memory: an epoch of shuffled batches of embeddings and token ids, with all rows resident, within a budget of 4 GiB;
- in windows: the same with a budget of a third of the embeddings, so that every epoch reads and mixes all blocks again;
- embedding-reader: all batches in the files' order (it does not shuffle) with the texts as strings, from .npy and
  Parquet, its fastest layout. It converts float16 to float32.
Our loader tokenizes once, when it opens; that time is printed separately, as is the rate of a first epoch including it.
Bytes on disk are compared with the raw bytes of the embeddings, for the table of embeddings with its keys and for the
whole dataset with captions, failures and manifest.
"""

import pathlib
import random
import subprocess
import sys
import tempfile
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lit_precompute.schemas import DatasetWriter, EmbeddingDataset, SourceInfo, TowerCard, captions_table
from lit_precompute.towers.tokenizers import Tokenizer, WordOptions, train_tokenizer
from lit_precompute.tune.data.batches import BatchSource
from lit_precompute.tune.data.batches_ahead import iterate
from lit_precompute.tune.data.chosen_texts import ChosenTexts
from lit_precompute.tune.data.text_options import TextOptions
from lit_precompute.tune.data.texts import iterate_texts
from lit_precompute.tune.data.tokenised_texts import TokenisedTexts

NUM_ROWS, WIDTH, BATCH_SIZE, NUM_PEER_FILES, NUM_PASSES = 200_000, 768, 4_096, 4, 6
PEER_PYTHON = pathlib.Path(".venv-bench/bin/python")
GOAL_RATIO, GOAL_BYTES = 3.0, 1.03


def make_texts() -> list[str]:
    """Returns captions of 4 to 14 words with very uneven word frequencies."""
    draw = random.Random(0)
    syllables = [first + second for first in "bcdfghklmnprstvw" for second in ("a", "e", "i", "o", "u", "an", "er")]
    words = ["".join(draw.choices(syllables, k=draw.randint(1, 3))) for _ in range(5_000)]
    weights = [1 / (rank + 3) for rank in range(len(words))]
    return [" ".join(draw.choices(words, weights, k=draw.randint(4, 14))) for _ in range(NUM_ROWS)]


def write_both(folder: pathlib.Path) -> EmbeddingDataset:
    """Writes the same rows as our dataset and as embedding-reader's files."""
    texts = make_texts()
    vectors = np.random.default_rng(0).standard_normal((NUM_ROWS, WIDTH), np.float32).astype(np.float16)
    card = TowerCard(
        name="random numbers",
        architecture={},
        weights_sha256="0" * 64,
        preprocessing={},
        output_width=WIDTH,
        pooling="none",
        num_parameters=0,
        fingerprint="0" * 64,
    )
    source = SourceInfo(kind="table", path="none", files=[])
    tables = [captions_table()]
    with DatasetWriter(folder / "dataset", tower=card, source=source, tables=tables, vector_type="float16") as writer:
        for start in range(0, NUM_ROWS, 10_000):
            rows = range(start, start + 10_000)
            writer.write(
                keys=[f"{row:09d}" for row in rows],
                embeddings=vectors[start : start + 10_000],
                columns={"captions": {"texts": [[texts[row]] for row in rows]}},
            )
    for name in ("vectors", "texts"):
        (folder / name).mkdir()
    for number, rows in enumerate(np.array_split(np.arange(NUM_ROWS), NUM_PEER_FILES)):
        np.save(folder / "vectors" / f"{number}.npy", vectors[rows])
        pq.write_table(pa.table({"text": [texts[row] for row in rows]}), folder / "texts" / f"{number}.parquet")
    return EmbeddingDataset.open(folder / "dataset")


def size_of(folder: pathlib.Path) -> int:
    """Returns the size of all files below a folder in bytes."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def peer_rate(folder: pathlib.Path) -> float:
    """Returns embedding-reader's rows per second in its best pass."""
    command = [str(PEER_PYTHON), "benchmarks/loader_peer.py", str(folder), str(BATCH_SIZE), str(NUM_PASSES // 2)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    passes = [(int(rows), float(seconds)) for rows, seconds in map(str.split, output.splitlines())]
    assert all(rows == NUM_ROWS for rows, _ in passes), output
    return max(rows / seconds for rows, seconds in passes)


def our_rates(name: str, dataset: EmbeddingDataset, tokenizer: Tokenizer, budget: int) -> float:
    """Prints and returns rows per second of the best of six epochs."""
    begin = time.perf_counter()
    texts = ChosenTexts({"texts": TokenisedTexts(tokenizer, TextOptions())}, TextOptions())
    source = BatchSource(dataset, texts, batch_size=BATCH_SIZE, seed=0, memory_budget_bytes=budget)
    opened = time.perf_counter()
    num_batches, num_rows, seconds = source.num_batches_per_epoch, 0, []
    for epoch in range(NUM_PASSES):
        start = time.perf_counter()
        num_rows = sum(len(batch.row_numbers) for batch in iterate(source, epoch * num_batches, num_batches))
        seconds.append(time.perf_counter() - start)
    source.close()
    rate, first = num_rows / min(seconds), num_rows / (opened - begin + seconds[0])
    print(
        f"  {name:<18}{rate:>12,.0f} rows/s   opened in {opened - begin:.2f} s; first epoch including that {first:,.0f}"
    )
    return rate


def main() -> int:
    """Prints both ratios; returns 1 if a goal is missed or the peer is not installed."""
    if not PEER_PYTHON.exists():
        print(f"{PEER_PYTHON} is missing: `make bench` sets it up", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        dataset = write_both(folder)
        vector_bytes, all_bytes = (size_of(folder / "dataset" / part) for part in ("embeddings", "."))
        raw = NUM_ROWS * WIDTH * 2
        tokenizer = train_tokenizer(WordOptions(vocabulary_size=8_000), iterate_texts(dataset))
        print(f"loader: {NUM_ROWS:,} rows of {WIDTH} float16 with texts, batches of {BATCH_SIZE:,}")
        theirs = peer_rate(folder)
        print(f"  {'embedding-reader':<18}{theirs:>12,.0f} rows/s   in the files' order")
        resident = our_rates("ours, in memory", dataset, tokenizer, 2**32)
        windowed = our_rates("ours, in windows", dataset, tokenizer, raw // 3)
        theirs = max(theirs, peer_rate(folder))
        dataset.close()
    print(f"  in memory over embedding-reader:  {resident / theirs:.2f} (goal >= {GOAL_RATIO:g})")
    print(f"  in windows over embedding-reader: {windowed / theirs:.2f}")
    print(f"  bytes on disk over raw embedding bytes: {vector_bytes / raw:.4f} (goal <= {GOAL_BYTES:g}), ", end="")
    print(f"with captions and everything else {all_bytes / raw:.4f}")
    return 0 if resident >= GOAL_RATIO * theirs and vector_bytes <= GOAL_BYTES * raw else 1


if __name__ == "__main__":
    sys.exit(main())
