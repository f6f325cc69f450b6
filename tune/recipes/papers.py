"""The paper's settings, arXiv:2111.07991, with the text ViT and its SentencePiece of section 5.5."""

import dataclasses

from lit_precompute.towers.text import ViTTextOptions
from lit_precompute.tune.config.execution import Execution
from lit_precompute.tune.config.recipe import Recipe
from lit_precompute.tune.optimizers import AdamOptions
from lit_precompute.tune.recipes.named_recipe import NamedRecipe

_EXECUTION = Execution(micro_batch_size=1_024, memory_budget_bytes=16 << 30, log_every_steps=50)

CC12M = NamedRecipe(
    name="cc12m",
    purpose="the paper's setting for CC12M: ten million pairs, 20 epochs, batches of 16,384",
    # The paper holds out the first 50,000 pairs; here the dataset decides.
    source="arXiv:2111.07991, appendix B",
    recipe=Recipe(
        text_tower=ViTTextOptions(width=768, depth=12, num_heads=12, mlp_width=3072),
        optimizer=AdamOptions(learning_rate=1e-3, weight_decay=1e-4, warmup_steps=2_000, clip_norm=1.0),
        batch_size=16_384,
        num_epochs=20,
        compute_type="bfloat16",
    ),
    execution=_EXECUTION,
)

LIT_BASE = NamedRecipe(
    name="lit-base",
    purpose="the paper's setting for very large data: 900 million pairs (with Adam instead of Adafactor)",
    # No decay. The paper names no clipping; big_vision clips at 1. Adam until Adafactor is a kind of optimizer.
    source="arXiv:2111.07991, appendix A",
    recipe=dataclasses.replace(
        CC12M.recipe,
        optimizer=AdamOptions(learning_rate=1e-3, weight_decay=0.0, warmup_steps=10_000, clip_norm=1.0),
        num_epochs=None,
        num_steps=55_000,
    ),
    execution=_EXECUTION,
)
