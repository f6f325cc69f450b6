"""A folder in Hugging Face's layout: a BERT of one block with drawn weights, its vocab.txt, and how it pools."""

import json
import pathlib

import jax
import numpy as np
import safetensors.numpy

from lit_precompute.towers.text import BertTextOptions, make_text_tower
from lit_precompute.towers.text.bert.config import config_of_options
from lit_precompute.towers.tokenizers import Vocabulary

WIDTH = 16
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"word{number}" for number in range(20)), "a", "photo", "of"]


def write_bert_folder(folder, *, seed=0) -> str:
    """Writes the folder and returns its path."""
    folder = pathlib.Path(folder)
    (folder / "1_Pooling").mkdir(parents=True)
    options = BertTextOptions(width=WIDTH, depth=1, num_heads=2, mlp_width=32, max_positions=16, head="none")
    vocabulary = Vocabulary(len(PIECES), end_id=3, pad_id=0)
    tower = make_text_tower(options, vocabulary=vocabulary, max_tokens=8, output_width=WIDTH, compute_type="float32")
    drawn = {name: np.asarray(value) for name, value in jax.jit(tower.initialise)(jax.random.key(seed)).items()}
    (folder / "config.json").write_text(json.dumps(config_of_options(options, vocabulary)))
    (folder / "vocab.txt").write_text("\n".join(PIECES) + "\n")
    (folder / "1_Pooling/config.json").write_text(json.dumps({"pooling_mode_mean_tokens": True}))
    safetensors.numpy.save_file(tower.write_parameters(drawn), folder / "model.safetensors")
    return str(folder)
