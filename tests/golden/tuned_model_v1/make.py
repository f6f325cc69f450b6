"""Made the tuned model beside it, and what it embeds, once, on 2026-11-28: format version 1. Never make them anew.

    python -m tests.golden.tuned_model_v1.make DIRECTORY

Versions then: lit-precompute 0.1.0, jax 0.10.2, flax 0.12.8, safetensors 0.8.0.
"""

import dataclasses
import pathlib
import sys
import tempfile

import numpy as np

from lit_precompute.tune.model.options import ImageSideOptions
from lit_precompute.tune.model.tuned_model import TunedModel
from tests.tune.small_runs import RECIPE, WIDTH, train, write_dataset

FOLDER = pathlib.Path(__file__).parent
TEXTS = ["word1 word2 word3", "word4", "", "a word nobody knew", "WORD7, word8"]


def image_vectors() -> np.ndarray:
    """Returns float32 [5, D] in [-4, 4), exact in every format."""
    return ((np.random.PCG64(7).random_raw(5 * WIDTH) >> np.uint64(58)).astype(np.float32).reshape(5, WIDTH) - 32) / 8


def make(directory: pathlib.Path) -> None:
    """Trains a small model with standardisation and a head, and writes it and its embeddings."""
    recipe = dataclasses.replace(RECIPE, image_side=ImageSideOptions(standardise=True, head_width=12))
    with tempfile.TemporaryDirectory() as folder:
        train(write_dataset(pathlib.Path(folder) / "dataset"), f"{folder}/run", recipe)
        model = TunedModel.load(f"{folder}/run")
        model.save(directory / "model")
    np.savez(directory / "embeddings.npz", texts=model.embed_texts(TEXTS), images=model.embed_images(image_vectors()))


if __name__ == "__main__":
    make(pathlib.Path(sys.argv[1]))
