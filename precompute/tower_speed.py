"""How fast a tower embeds on this process's devices, measured with random parameters: no weights are needed.

Promises: the batch size is chosen as a job chooses it, and images pass to the device and embeddings back, as in a job.
Not here: reading and decoding images, which `pipelines.estimates` times on rows of a source.
"""

from __future__ import annotations

import os

from lit_precompute.precompute.batch_size import DoesNotFitError, probe
from lit_precompute.precompute.machine import device_kind, num_devices
from lit_precompute.towers.catalogue import Speed, describe
from lit_precompute.towers.loading import configured, untrained_tower
from lit_precompute.towers.options import ImageTowerOptions

# The parameters as they are drawn, and on the device, which may be the same memory.
_COPIES = 2


def measure(options: ImageTowerOptions, *, num_rows: int | None = None) -> Speed:
    """Returns how fast a tower is here.

    Args:
      options: the tower; its weights are not read.
      num_rows: number of images of the job, if it is known; much larger batches are not tried.

    Raises:
      ValueError: no such tower, pooling or resolution.
      DoesNotFitError: the tower, or its smallest batch, does not fit the memory.
    """
    name, entry = configured(options)
    needed = _COPIES * 4 * describe(name, entry).num_parameters
    if needed > (there := _host_bytes()):
        raise DoesNotFitError(
            f"{name}: its parameters need {needed / 1e9:.1f} GB here, and this machine has {there / 1e9:.1f} GB; "
            "measure a smaller tower, or on a larger machine"
        )
    chosen = probe(untrained_tower(options), num_rows=num_rows)[-1]
    return Speed(
        images_per_second=chosen.rate,
        batch_size=chosen.batch_size,
        device=device_kind(),
        num_devices=num_devices(),
        compute_type=options.compute_type,
    )


def _host_bytes() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
