"""Another tower of the tiny family, whose images keep their aspect: a strip is too narrow for it, and for it alone.

Workers elsewhere import it: `--tower tests.pipelines.embed.second_tower:NAME` registers both.
"""

import numpy as np

from lit_precompute.towers.family import Entry
from lit_precompute.towers.preprocessing import IMAGENET_RANGE, Preprocessing
from lit_precompute.towers.registry import register, tower_names
from tests.towers.tiny_tower import FAMILY, PATCH, WIDTH, TinyConfig, register_tiny_tower

NAME = "test/second"
FOLDER = "test-second"
SIZE = 32


def register_second_tower():
    """Gives the tower its name, once."""
    if NAME not in tower_names():
        preprocessing = Preprocessing(
            size=SIZE, resize="short_side", resize_size=1024, crop="central", value_range=IMAGENET_RANGE
        )
        config = TinyConfig(resolution=SIZE, pooling="all")
        register(NAME, Entry(family=FAMILY, config=config, preprocessing=preprocessing))


def write_second_weights(path):
    """Writes the tower's weights as .npz."""
    kernel = np.random.default_rng(7).standard_normal(((SIZE // PATCH) ** 2 * 3, WIDTH)).astype(np.float32)
    np.savez(path, kernel=kernel)
    return str(path)


register_tiny_tower()
register_second_tower()
