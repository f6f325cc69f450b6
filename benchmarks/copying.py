"""`lit-data copy`, every file verified, relative to a plain recursive copy of the same files by gcsfs and s3fs.

    python -m benchmarks.copying [--shards N] [--rounds N]

To and from the tests' fake GCS and S3 on loopback, which share the machine's cores with both. The peers are the
drivers' own `put` and `get` of the folder, with their defaults: many files at once, no checksums of what arrives,
nothing flushed to the disk. Both run in this process, in turns, each when nothing is left to be written to the disk;
the rate is that of the median round. CPU seconds are this process's own, without the server's.
"""

import argparse
import contextlib
import os
import pathlib
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from lit_precompute.schemas import DatasetWriter, SourceInfo, TowerCard, captions_table
from lit_precompute.schemas.sharing.copying import copy_dataset
from tests.stores.servers import StoreServer, started

GOAL = 0.9
WIDTH, ROWS = 768, 2048  # 3.1 MB of embeddings a shard, and a caption a row
SERVERS = {"gs": "run_gcs.py", "s3": "run_s3.py"}


def write(path: pathlib.Path, num_shards: int) -> int:
    """Writes a dataset; returns its bytes."""
    draw = np.random.default_rng(0)
    tower = TowerCard(
        name="none",
        architecture={"family": "none"},
        weights_sha256="0" * 64,
        preprocessing={},
        output_width=WIDTH,
        pooling="none",
        num_parameters=0,
        fingerprint="0" * 64,
    )
    source = SourceInfo(kind="table", path="none.tsv", files=[])
    with DatasetWriter(path, tower=tower, source=source, tables=[captions_table()], rows_per_shard=ROWS) as writer:
        for shard in range(num_shards):
            keys = [f"{shard:04d}/{row:05d}" for row in range(ROWS)]
            texts = [[f"an image with the number {number}"] for number in draw.integers(0, 1 << 60, ROWS)]
            vectors = draw.standard_normal((ROWS, WIDTH), np.float32)
            writer.write(keys=keys, embeddings=vectors, columns={"captions": {"texts": texts}})
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def driver(server: StoreServer) -> Any:
    """Returns fsspec's driver of a server, as its users make it."""
    import s3fs
    from gcsfs.core import GCSFileSystem  # gcsfs's other one first asks by gRPC what kind of bucket it is

    if server.scheme == "gs":
        return GCSFileSystem(endpoint_url=server.address, token="anon")
    return s3fs.S3FileSystem(endpoint_url=server.address)


class Took(NamedTuple):
    """What a piece of work takes."""

    seconds: float
    cpu_seconds: float


def measured(work: Callable[[], object]) -> Took:
    """Returns what a piece of work takes."""
    os.sync()
    started_s, cpu_s = time.perf_counter(), time.process_time()
    work()
    return Took(time.perf_counter() - started_s, time.process_time() - cpu_s)


def compare(server: StoreServer, dataset: pathlib.Path, num_bytes: int, rounds: int) -> list[float]:
    """Prints rates; returns ours over the driver's, of writing and of reading."""
    files, bucket = driver(server), server.make_bucket()
    here = dataset.parent / server.scheme
    found: dict[str, list[Took]] = {}
    for number in range(rounds):
        local = here / str(number)
        steps = {
            "put": lambda at=f"{bucket}/put-{number}": files.put(f"{dataset}/", f"{at}/", recursive=True),
            "copy to": lambda at=f"{bucket}/copy-{number}": copy_dataset(dataset, at),
            "get": lambda at=number, to=local: files.get(f"{bucket}/put-{at}/", f"{to}-get/", recursive=True),
            "copy from": lambda at=number, to=local: copy_dataset(f"{bucket}/put-{at}", f"{to}-copy"),
        }
        # In turns: whoever comes first in one round comes second in the next.
        order = ("put", "copy to", "get", "copy from") if number % 2 == 0 else ("copy to", "put", "copy from", "get")
        for name in order:
            found.setdefault(name, []).append(measured(steps[name]))
        shutil.rmtree(here)
        files.rm([f"{bucket}/copy-{number}", f"{bucket}/put-{number}"], recursive=True)
    medians = {
        name: Took(*(statistics.median(each) for each in zip(*took, strict=True))) for name, took in found.items()
    }
    return [
        say(server.scheme, ours, peer, medians, num_bytes) for ours, peer in (("copy to", "put"), ("copy from", "get"))
    ]


def say(scheme: str, ours: str, peer: str, medians: dict[str, Took], num_bytes: int) -> float:
    """Prints the rates of one direction; returns ours over the driver's."""
    ratio = medians[peer].seconds / medians[ours].seconds
    cpu_ratio = medians[peer].cpu_seconds / medians[ours].cpu_seconds
    rates = "   ".join(
        f"{name} {num_bytes / medians[name].seconds / 1e6:>6.0f} MB/s, {medians[name].cpu_seconds:.2f} s of CPU"
        for name in (ours, peer)
    )
    sys.stdout.write(f"  {scheme}://  {rates}   ratio {ratio:.2f} (goal >= {GOAL}), by CPU {cpu_ratio:.2f}\n")
    return ratio


def main() -> int:
    """Prints the rates; returns 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--shards", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=7)
    asked = parser.parse_args()
    ratios: list[float] = []
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        dataset = pathlib.Path(name, "dataset")
        num_bytes = write(dataset, asked.shards)
        sys.stdout.write(
            f"a dataset of {asked.shards} shards, {num_bytes / 1e6:.1f} MB; medians of {asked.rounds} rounds\n"
        )
        for scheme, script in SERVERS.items():
            server = stack.enter_context(stack.enter_context(started(scheme, script)).selected())
            ratios += compare(server, dataset, num_bytes, asked.rounds)
    return int(min(ratios) < GOAL)


if __name__ == "__main__":
    sys.exit(main())
