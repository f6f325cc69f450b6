"""An optimizer's state: what checkpoints hold of it, and its memory, which docs/tune.md states."""

import math

import jax
import numpy as np
import optax
import pytest

from lit_precompute.towers.text import ViTTextOptions, make_text_tower
from lit_precompute.towers.tokenizers import Vocabulary
from lit_precompute.tune.model.sides import TrainedParameters
from lit_precompute.tune.optimizers import AdafactorOptions, AdamOptions, LionOptions
from lit_precompute.tune.optimizers.chain import make_optimizer


@pytest.fixture(scope="module")
def base_tower():
    """The parameters of the paper's base size, as shapes alone."""
    tower = make_text_tower(
        ViTTextOptions(),
        vocabulary=Vocabulary(32_000, end_id=1),
        max_tokens=16,
        output_width=768,
        compute_type="float32",
    )
    text = {name: jax.ShapeDtypeStruct(shape, np.float32) for name, shape in tower.parameter_shapes.items()}
    return TrainedParameters(image={}, loss={"log_scale": jax.ShapeDtypeStruct((), np.float32)}, text=text)


@pytest.mark.standard_promotion  # optax's own accumulators
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (AdamOptions(), 8),
        (AdamOptions(momentum_type="bfloat16"), 6),
        (LionOptions(), 4),
        (LionOptions(momentum_type="bfloat16"), 2),
        (AdafactorOptions(), 2),
        (AdafactorOptions(momentum_type="float32"), 4),
        (AdafactorOptions(beta1=0.0), 0),
        (AdamOptions(ema_decay=0.999), 12),
        (AdafactorOptions(ema_decay=0.999, weight_decay=1e-4), 6),
    ],
    ids=str,
)
def test_bytes_for_each_parameter(base_tower, options, expected):
    state = jax.eval_shape(make_optimizer(options, 100).init, base_tower)
    size = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(state))
    num_parameters = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(base_tower))
    assert 110e6 < num_parameters < 111e6
    # Adafactor's row and column means, and vectors that it does not factor.
    assert expected <= size / num_parameters < expected + 0.03


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_without_new_options_checkpoints_are_as_they_were(base_tower, decay):
    """The chain of the versions before there were any."""
    before = optax.chain(
        optax.clip_by_global_norm(1.0),
        optax.scale_by_adam(b1=0.9, b2=0.999, eps=1e-8),
        optax.scale(1e-3),
        *([optax.add_decayed_weights(decay, mask=lambda tree: jax.tree.map(lambda _: True, tree))] if decay else []),
        optax.scale_by_schedule(optax.constant_schedule(1.0)),
        optax.scale(-1.0),
    )
    expected = jax.eval_shape(before.init, base_tower)
    found = jax.eval_shape(make_optimizer(AdamOptions(weight_decay=decay), 100).init, base_tower)
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    assert jax.tree.leaves(found) == jax.tree.leaves(expected)
