"""A tiny frozen text tower under a name of its own: a text ViT of one block, with a list of words."""

import pathlib

import jax
import numpy as np
import safetensors.numpy

from lit_precompute.towers.text import (
    TextEntry,
    ViTTextOptions,
    make_text_tower,
    register_text_entry,
    text_towers,
)
from lit_precompute.towers.tokenizers import WordOptions, train_tokenizer

WIDTH, MAX_TOKENS = 8, 6
OPTIONS = ViTTextOptions(width=WIDTH, depth=1, num_heads=2, mlp_width=16, pooling="average", head="none")
WORDS = [f"word{number}" for number in range(20)]


def write_encoder(folder, name="tiny/encoder", *, seed=0, options=OPTIONS, output_width=WIDTH) -> str:
    """Writes words and drawn weights to a folder, registers them, and returns the tower's name."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "words.txt").write_text("\n".join(WORDS) + "\n")
    tokenizer = WordOptions(path=str(folder / "words.txt"))
    tower = make_text_tower(
        options,
        vocabulary=train_tokenizer(tokenizer, ()).vocabulary,
        max_tokens=MAX_TOKENS,
        output_width=output_width,
        compute_type="float32",
    )
    drawn = {name: np.asarray(value) for name, value in jax.jit(tower.initialise)(jax.random.key(seed)).items()}
    safetensors.numpy.save_file(tower.write_parameters(drawn), folder / "model.safetensors")
    register(folder, name, options)
    return name


def register(folder, name="tiny/encoder", options=OPTIONS) -> None:
    """Registers what `write_encoder` wrote, perhaps in another process."""
    entry = TextEntry(
        options=options,
        weights=str(pathlib.Path(folder) / "model.safetensors"),
        tokenizer=WordOptions(path=str(pathlib.Path(folder) / "words.txt")),
        max_tokens=MAX_TOKENS,
    )
    if text_towers().get(name) != entry:
        register_text_entry(name, entry)
