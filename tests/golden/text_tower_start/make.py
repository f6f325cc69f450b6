"""Made parameters.json beside it, on 2026-11-28: the parameters that the demo's training starts from, bit for bit.

    python -m tests.golden.text_tower_start.make > parameters.json

By public name the SHA-256 of the little-endian float32 values. The demo's texts hold 2,044 words; the tower gives
1,280 numbers. Versions then: jax 0.10.2, flax 0.12.8.
"""

import hashlib
import json
import pathlib
import sys

import numpy as np

from lit_precompute.towers.tokenizers import Vocabulary
from lit_precompute.tune.data.text_batch import TextBatch
from lit_precompute.tune.model.sides import make_sides
from lit_precompute.tune.recipes import RECIPES
from lit_precompute.tune.training.programs import start_compiling

PATH = pathlib.Path(__file__).with_name("parameters.json")
VOCABULARY_SIZE, WIDTH = 2_044, 1_280


def draw() -> dict[str, np.ndarray]:
    """Returns the parameters by public name."""
    recipe, execution = RECIPES["demo"].recipe, RECIPES["demo"].execution
    sides = make_sides(recipe, width=WIDTH, vocabulary=Vocabulary(VOCABULARY_SIZE, end_id=1), statistics=None)
    tokens = np.zeros((recipe.batch_size, recipe.text.max_tokens), np.int32)
    programs = start_compiling(
        recipe, execution, sides, width=WIDTH, vector_type="float16", texts=TextBatch(tokens), num_steps=120
    )
    drawn = programs.draw().state.parameters.text
    return sides.text.write_parameters({name: np.asarray(value) for name, value in drawn.items()})


def hashes() -> dict[str, str]:
    """Returns what parameters.json holds."""
    return {name: hashlib.sha256(values.astype("<f4").tobytes()).hexdigest() for name, values in sorted(draw().items())}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(hashes(), indent=1) + "\n")
