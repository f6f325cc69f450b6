"""A dataset with the text embeddings of a tiny frozen text tower, and a recipe of heads over both sides."""

import dataclasses
import os
import pathlib
import subprocess
import sys

from lit_precompute.precompute.deriving.derivation import derive
from lit_precompute.precompute.deriving.embedding_texts.options import EmbedTextsOptions
from lit_precompute.precompute.deriving.options import DeriveOptions
from lit_precompute.schemas.vectors import VectorType
from lit_precompute.towers.heads import GatedHeadOptions, ResidualHeadOptions
from lit_precompute.towers.text import StoredTextOptions, text_towers
from lit_precompute.tune.model.options import ImageSideOptions
from tests.towers.text.tiny_encoder import write_encoder
from tests.tune.small_runs import RECIPE, ROOT, write_dataset

ENCODER, TABLE = "tiny/for-frozen-runs", "text-embeddings-for-frozen-runs"
FROZEN_RECIPE = dataclasses.replace(
    RECIPE,
    text_tower=StoredTextOptions(table=TABLE, head=ResidualHeadOptions(depth=2, expansion=2, dropout=0.3)),
    image_side=ImageSideOptions(standardise=True, head_width=12, head=GatedHeadOptions(expansion=2)),
    num_steps=20,
)


def write_frozen(folder, *, vector_type: VectorType = "float16", encoder=ENCODER) -> str:
    """Writes a dataset to a folder, and beside it the text tower unless it has this name already; returns its path."""
    folder = pathlib.Path(folder)
    if encoder not in text_towers():
        write_encoder(folder / "encoder", encoder)
    embed = EmbedTextsOptions(tower=encoder, vector_type=vector_type)
    derive(DeriveOptions(base=write_dataset(folder / "base"), output=str(folder / "dataset"), embed_texts=embed))
    return str(folder / "dataset")


def start_training(dataset, output) -> subprocess.Popen:
    """Starts the recipe's training in a process of its own."""
    lines = (
        "from tests.tune.frozen_runs import FROZEN_RECIPE",
        "from tests.tune.small_runs import train",
        f"train({str(dataset)!r}, {str(output)!r}, FROZEN_RECIPE)",
    )
    return subprocess.Popen([sys.executable, "-c", "\n".join(lines)], cwd=ROOT, env={**os.environ})
