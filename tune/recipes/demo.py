"""The demo's recipe: small data on two cores, whole words, a small tower."""

from lit_precompute.towers.text import ViTTextOptions
from lit_precompute.towers.tokenizers import WordOptions
from lit_precompute.tune.config.execution import Execution
from lit_precompute.tune.config.recipe import Recipe
from lit_precompute.tune.data.text_options import TextOptions
from lit_precompute.tune.model.options import ImageSideOptions
from lit_precompute.tune.optimizers import AdamOptions
from lit_precompute.tune.recipes.named_recipe import NamedRecipe

DEMO = NamedRecipe(
    name="demo",
    purpose="a thousand or two images of a closed domain; about a minute on 2 cores",
    source="chosen on the demo's training rows",
    recipe=Recipe(
        text=TextOptions(choice="sample", max_tokens=12),
        tokenizer=WordOptions(vocabulary_size=8_000),
        text_tower=ViTTextOptions(width=256, depth=1, num_heads=4, mlp_width=1_024, pooling="average"),
        image_side=ImageSideOptions(standardise=True),
        optimizer=AdamOptions(learning_rate=2e-3, weight_decay=1e-4, warmup_steps=20, clip_norm=1.0),
        batch_size=512,
        num_epochs=40,
    ),
    execution=Execution(log_every_steps=10, checkpoint_every_steps=60),
)
