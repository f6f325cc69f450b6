"""How fast this machine embeds: some rows of the source, really read, decoded and embedded.

The tower has random parameters: it is as fast as with its weights, which are not read. What is not timed: writing and
uploading, which a job does beside the device.
"""

import dataclasses
import os
import time
from collections.abc import Callable, Sequence

import numpy as np

from lit_precompute.pipelines.embed.options import EmbedOptions
from lit_precompute.precompute.batch_size import probe, try_batch
from lit_precompute.precompute.embedder import Embedder
from lit_precompute.precompute.embedding import TowerUse, embed_examples, make_preparer
from lit_precompute.precompute.images.ahead import Preparer
from lit_precompute.precompute.images.processes import PreparingProcesses
from lit_precompute.precompute.images.reading import KeyedRead
from lit_precompute.precompute.machine import check_device, device_kind
from lit_precompute.precompute.sources.source import Example
from lit_precompute.towers.loading import untrained_tower

_TOWER_S = 1.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Timing:
    """What was measured with one tower.

    Attributes:
      num_rows: that were embedded.
      num_failures: rows among them that failed.
      seconds: that they took, decoding and embedding at once.
      set_up_s: seconds before: choosing the batch size, compiling, loading what decodes.
      batch_size: images per batch.
      device: what embedded.
      num_cores: of this machine.
      tower_rate: rows per second of the tower alone.
      decoding_rate: rows per second of reading and decoding alone.
    """

    num_rows: int
    num_failures: int
    seconds: float
    set_up_s: float
    batch_size: int
    device: str
    num_cores: int
    tower_rate: float
    decoding_rate: float

    @property
    def rate(self) -> float:
        """Rows per second."""
        return self.num_rows / self.seconds

    @property
    def limit(self) -> str:
        """What limits the rate."""
        return "decoding" if self.decoding_rate < self.tower_rate else "the tower"


def time_rows(
    rows: Sequence[Example],
    options: EmbedOptions,
    *,
    num_rows: int,
    clock: Callable[[], float] = time.perf_counter,
) -> Timing:
    """Returns how fast a tower embeds rows here.

    Args:
      rows: some of the source's.
      options: the tower, and how they are decoded and embedded.
      num_rows: of the source, by which a job chooses its batch size.
      clock: tells seconds.

    Raises:
      DeviceError: this machine has other devices than those asked for.
      DoesNotFitError: a batch does not fit the devices' memory.
    """
    check_device(options.device, options.num_devices)
    made = untrained_tower(options.tower)
    begun_s = clock()
    batch_size = options.batch_size or probe(made, num_rows=num_rows)[-1].batch_size
    embedder = Embedder(made, batch_size=batch_size)
    try_batch(embedder)
    decoding = options.decoding
    uses = [TowerUse(embedder=embedder, num_views=options.views, vector_type=options.vector_type)]
    preparer = make_preparer(
        uses,
        decode_in=decoding.decode_in,
        num_workers=decoding.count_workers(),
        max_pixels=decoding.max_pixels,
        max_pixels_in_flight=decoding.max_pixels_in_flight,
    )
    try:
        # The first images wait until the libraries that decode are loaded, in each of the workers.
        _prepare(preparer, rows[: decoding.count_workers()])
        set_up_s = clock() - begun_s
        begun_s = clock()
        num_failures = sum(len(batch.failures) for _, batch in embed_examples(rows, uses, preparer))
        seconds = clock() - begun_s
        begun_s = clock()
        _prepare(preparer, rows)
        decoding_s = clock() - begun_s
    finally:
        if isinstance(preparer, PreparingProcesses):
            preparer.close()
    return Timing(
        num_rows=len(rows),
        num_failures=num_failures,
        seconds=seconds,
        set_up_s=set_up_s,
        batch_size=batch_size,
        device=device_kind(),
        num_cores=os.cpu_count() or 1,
        tower_rate=tower_rate(embedder, clock) / (1 + options.views),
        decoding_rate=len(rows) / decoding_s,
    )


def _prepare(preparer: Preparer, rows: Sequence[Example]) -> None:
    """Reads and decodes rows."""
    for _ in preparer.prepare(KeyedRead(row.key, row.read_image) for row in rows):
        pass


def tower_rate(embedder: Embedder, clock: Callable[[], float]) -> float:
    """Returns images per second of the tower alone: of the fastest of a few batches, since disturbances only add."""
    fastest_s, begun_s = float("inf"), clock()
    while clock() - begun_s < _TOWER_S:
        batch = embedder.take_batch()
        start_s = clock()
        np.asarray(embedder.start(batch))
        fastest_s = min(fastest_s, clock() - start_s)
        embedder.give_back(batch)
    return embedder.batch_size / fastest_s
