"""Rows per second of embedding-reader, run by `benchmarks/loader.py` in the environment .venv-bench.

Takes a folder with `vectors/*.npy` and `texts/*.parquet`, a batch size and a number of passes. Each pass reads all
batches with their texts as its documentation shows, in the files' order (it does not shuffle).
"""

import pathlib
import sys
import time

from embedding_reader import EmbeddingReader


def main() -> None:
    """Prints rows and seconds of each pass."""
    folder, batch_size, num_passes = pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    for _ in range(num_passes):
        begin = time.perf_counter()
        reader = EmbeddingReader(
            embeddings_folder=str(folder / "vectors"),
            metadata_folder=str(folder / "texts"),
            meta_columns=["text"],
            file_format="parquet_npy",
        )
        num_rows = sum(len(vectors) for vectors, _ in reader(batch_size=batch_size, show_progress=False))
        print(num_rows, time.perf_counter() - begin, flush=True)


if __name__ == "__main__":
    main()
