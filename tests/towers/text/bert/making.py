"""Towers of the family with drawn weights, as the oracle has them."""

import dataclasses

from lit_precompute.towers.contract import Tower
from lit_precompute.towers.text import BertTextOptions, make_text_tower
from lit_precompute.towers.text.bert.config import options_of_config
from lit_precompute.towers.tokenizers import Vocabulary
from tests.oracles import bert as oracle

SMALL = BertTextOptions(width=64, depth=2, num_heads=4, mlp_width=160, max_positions=40)


def make_tower(
    options: BertTextOptions, *, pad_id: int | None = 0, max_tokens=16, output_width=None, compute_type="float32"
) -> Tower:
    return make_text_tower(
        options,
        vocabulary=Vocabulary(oracle.VOCABULARY_SIZE, end_id=2, pad_id=pad_id),
        max_tokens=max_tokens,
        output_width=output_width or options.width,
        compute_type=compute_type,
    )


def options_of(file: str, **changes) -> BertTextOptions:
    """Returns the options of one of the oracle's files, from its `config.json`; no head."""
    found = options_of_config(oracle.read_config(file), "config.json")
    return dataclasses.replace(found, **{"head": "none", **changes})


def tower_of(file: str, *, max_tokens=16, compute_type="float32", **changes) -> Tower:
    """Returns the tower of one of the oracle's files."""
    options = options_of(file, **changes)
    return make_tower(options, pad_id=oracle.PAD_IDS[file], max_tokens=max_tokens, compute_type=compute_type)
