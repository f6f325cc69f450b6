"""Runs lit-embed on simulated accelerators: `python -m tests.pipelines.embed.simulated gpu run --source ...`.

XLA_FLAGS sets how many devices of the CPU there are; JAX calls them what the first argument says. Standard output ends
with a line of JSON: for each batch that was embedded the shares of the devices, in rows.
"""

import json
import sys

import jax

from lit_precompute.commands import embed
from lit_precompute.precompute.embedder import Embedder
from tests.towers.tiny_tower import register_tiny_tower


def main():
    """Runs the command; ends with its status."""
    kind = sys.argv.pop(1)
    jax.default_backend = lambda: kind
    shares, start = [], Embedder.start

    def recording(self, batch):
        embeddings = start(self, batch)
        rows = {str(share.device.id): share.data.shape[0] for share in embeddings.addressable_shards}
        shares.append(rows)
        return embeddings

    Embedder.start = recording
    register_tiny_tower()
    try:
        embed.main()
    finally:
        print(json.dumps(shares))


if __name__ == "__main__":
    main()
