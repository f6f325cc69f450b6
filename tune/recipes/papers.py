"""The paper's settings, arXiv:2111.07991, under short names, with towers and tokenizers that need no download.

Table 10 has no row of CC12M with a text ViT: there `cc12m` differs from all of them.
"""

from lit_precompute.towers.text import ViTTextOptions
from lit_precompute.tune.config.recipe import Recipe
from lit_precompute.tune.optimizers import AdamOptions
from lit_precompute.tune.recipes.named_recipe import NamedRecipe
from lit_precompute.tune.recipes.paper_recipe import EXECUTION, make_recipe

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
    execution=EXECUTION,
)

LIT_BASE = NamedRecipe(
    name="lit-base",
    purpose="the paper's setting for very large data: 900 million pairs, with Adafactor and without decay",
    source="arXiv:2111.07991, table 10 (tab2-ours-Lu-vit-b32-vit-base-sp) and appendix A",
    recipe=make_recipe("tab2-ours-Lu-vit-b32-vit-base-sp").recipe,
    execution=EXECUTION,
)
