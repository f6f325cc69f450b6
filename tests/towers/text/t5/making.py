"""T5 towers for the oracle's files, from the configurations that transformers saves beside them."""

import dataclasses
import json

import numpy as np

from lit_precompute.towers.contract import Tower
from lit_precompute.towers.text import T5TextOptions, make_text_tower
from lit_precompute.towers.text.t5.config import options_of_config
from lit_precompute.towers.tokenizers import Vocabulary
from tests.oracles import t5 as oracle


def saved_config(file: str) -> dict:
    return json.loads(oracle.CONFIGS.read_text(encoding="utf-8"))[file]


def file_options(file: str, **changes) -> T5TextOptions:
    options = options_of_config(saved_config(file), f"{file}/config.json")
    return dataclasses.replace(options, **{"head": "none", **changes})


def file_tower(file: str, *, compute_type="float32", pad_id="the file's", vocabulary_size=None, **changes) -> Tower:
    """Returns the tower for one of the oracle's files; without a head, so that it gives what the oracle does."""
    options = file_options(file, **changes)
    return make_text_tower(
        options,
        vocabulary=Vocabulary(
            size=vocabulary_size or options.vocabulary_rows,
            end_id=oracle.END,
            pad_id=oracle.FILES[file].pad_id if pad_id == "the file's" else pad_id,
        ),
        max_tokens=16,
        output_width=options.width if options.head == "none" else 12,
        compute_type=compute_type,
    )


def file_parameters(tower: Tower, file: str) -> dict[str, np.ndarray]:
    return tower.read_parameters(oracle.draw_file(file), file)


def golden(case: str, name: str) -> np.ndarray:
    with np.load(oracle.GOLDEN / "outputs.npz") as arrays:
        return arrays[f"{case} {name}"]
