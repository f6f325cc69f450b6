"""The tests check array shapes in signatures, and array types do not mix."""

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from lit_precompute.precompute.images.preprocessing import prepare
from lit_precompute.towers import layers
from lit_precompute.towers.preprocessing import Preprocessing


def test_arrays_of_wrong_shapes_and_types_are_errors():
    query, key = jnp.zeros((2, 1, 3, 8)), jnp.zeros((2, 5, 3, 8))
    layers.attention(query, key, key)
    with pytest.raises(jaxtyping.TypeCheckError, match="'value'"):
        layers.attention(query, key, key[:, 1:])
    with pytest.raises(jaxtyping.TypeCheckError, match="'weights'"):
        layers.dense({"head/kernel": np.zeros((8, 2), np.float32), "head/bias": np.zeros(2, np.float32)}, "head", query)
    with pytest.raises(jaxtyping.TypeCheckError, match="'image'"):
        prepare(np.zeros((4, 4, 3), np.float32), Preprocessing(size=4))


def test_array_types_do_not_mix():
    with pytest.raises(jax.dtypes.TypePromotionError, match="bfloat16"):
        jnp.ones(2, jnp.bfloat16) + jnp.ones(2)


@pytest.mark.standard_promotion
def test_array_types_mix_where_a_test_allows_it():
    assert (jnp.ones(2, jnp.bfloat16) + jnp.ones(2)).dtype == jnp.float32
