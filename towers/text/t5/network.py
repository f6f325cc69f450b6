"""T5's encoder: from token ids to one embedding per text.

Promises: the same function and parameter names as transformers' T5EncoderModel, MT5EncoderModel and UMT5EncoderModel,
then pooling and a head. Blocks are pre-norm, without biases; norms divide by the root mean square alone; scores of
attention are not scaled by the heads' width, which the initialisers make up for; positions enter by a bias of the
scores, whose buckets tell both directions apart. Padding is masked: no token attends to it. Parameters, norms, residual
sums, scores and embeddings are float32 for any `compute_type`: in half precision, T5's residual sums lose what the
blocks add to them.

Dropout is where T5 has it: of the embeddings, the attention's weights, what the perceptron's second layer reads, all
that is added to the residual sums, and the last norm's outputs.

Does not: decode, or normalise embeddings.

Source: arXiv:1910.10683, arXiv:2002.05202 (the gate), arXiv:2010.11934 (mT5); transformers, models/t5/modeling_t5.py.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Float32, Int32

from lit_precompute.towers.contract import Tower
from lit_precompute.towers.dropout import Dropout, Keys
from lit_precompute.towers.nnx_modules import nnx_tower
from lit_precompute.towers.options import ComputeType
from lit_precompute.towers.text.heads import make_head
from lit_precompute.towers.text.pooling import make_pooling, pool
from lit_precompute.towers.text.t5.naming import namings
from lit_precompute.towers.text.t5.options import T5TextOptions
from lit_precompute.towers.text.t5.positions import RelativePositions
from lit_precompute.towers.tokenizers import Vocabulary


def _project(
    inputs: int | tuple[int, int],
    outputs: int | tuple[int, int],
    deviation: float,
    *,
    compute_type: ComputeType,
    rngs: nnx.Rngs,
) -> nnx.LinearGeneral:
    return nnx.LinearGeneral(
        inputs,
        outputs,
        axis=(-2, -1) if isinstance(inputs, tuple) else -1,
        use_bias=False,
        kernel_init=nnx.initializers.normal(deviation),
        dtype=compute_type,
        rngs=rngs,
    )


class Attention(nnx.Module):
    """Multi-head attention of every position to every unmasked one, without biases or a scale."""

    def __init__(self, options: T5TextOptions, *, compute_type: ComputeType, rngs: nnx.Rngs):
        width, heads = options.width, (options.num_heads, options.head_width)
        project = functools.partial(_project, compute_type=compute_type, rngs=rngs)
        self.query = project(width, heads, (width * options.head_width) ** -0.5)
        self.key = project(width, heads, width**-0.5)
        self.value = project(width, heads, width**-0.5)
        self.out = project(heads, width, (options.num_heads * options.head_width) ** -0.5)

    def __call__(
        self,
        inputs: Float[Array, "n length width"],
        bias: Float32[Array, "1 heads length length"],
        mask: Bool[Array, "n 1 1 length"] | None,
        drop: Dropout,
    ) -> Float[Array, "n length width"]:
        """Returns the projected sum of the unmasked values, weighted by attention, at each position."""
        query, key, value = self.query(inputs), self.key(inputs), self.value(inputs)
        if not drop.is_active:
            return self.out(jax.nn.dot_product_attention(query, key, value, bias=bias, mask=mask, scale=1.0))
        scores = bias + jnp.einsum("nqhw,nkhw->nhqk", query, key, preferred_element_type=jnp.float32)
        if mask is not None:
            scores = jnp.where(mask, scores, jnp.finfo(jnp.float32).min)
        weights = drop(jax.nn.softmax(scores)).astype(value.dtype)
        return self.out(jnp.einsum("nhqk,nkhw->nqhw", weights, value))


class Perceptron(nnx.Module):
    """Two layers with ReLU between them; or with tanh GELU and a gate."""

    def __init__(self, options: T5TextOptions, *, compute_type: ComputeType, rngs: nnx.Rngs):
        width, hidden = options.width, options.mlp_width
        project = functools.partial(_project, compute_type=compute_type, rngs=rngs)
        is_gated = options.feed_forward == "gated_gelu"
        self.into = project(width, hidden, width**-0.5)
        self.gate = project(width, hidden, width**-0.5) if is_gated else None
        self.out = project(hidden, width, hidden**-0.5)

    def __call__(self, inputs: Float[Array, "n length width"], drop: Dropout) -> Float[Array, "n length width"]:
        """Returns the second layer's outputs at each position."""
        if self.gate is None:
            return self.out(drop(jax.nn.relu(self.into(inputs))))
        return self.out(drop(jax.nn.gelu(self.gate(inputs), approximate=True) * self.into(inputs)))


class Block(nnx.Module):
    """Attention and a perceptron, each after a norm and added to its input."""

    def __init__(self, options: T5TextOptions, *, has_positions: bool, compute_type: ComputeType, rngs: nnx.Rngs):
        self.relative_positions = RelativePositions(options, rngs=rngs) if has_positions else None
        self.attention_norm = nnx.RMSNorm(options.width, epsilon=options.norm_epsilon, rngs=rngs)
        self.attention = Attention(options, compute_type=compute_type, rngs=rngs)
        self.perceptron_norm = nnx.RMSNorm(options.width, epsilon=options.norm_epsilon, rngs=rngs)
        self.perceptron = Perceptron(options, compute_type=compute_type, rngs=rngs)

    def __call__(
        self,
        residual: Float32[Array, "n length width"],
        bias: Float32[Array, "1 heads length length"],
        mask: Bool[Array, "n 1 1 length"] | None,
        drop: Dropout,
    ) -> Float32[Array, "n length width"]:
        """Returns the residual stream after the block."""
        attended = self.attention(self.attention_norm(residual), bias, mask, drop)
        residual = residual + drop(attended.astype(jnp.float32))
        return residual + drop(self.perceptron(self.perceptron_norm(residual), drop).astype(jnp.float32))


class T5Encoder(nnx.Module):
    """From token ids to embeddings; see the module's docstring."""

    def __init__(
        self,
        options: T5TextOptions,
        *,
        vocabulary: Vocabulary,
        output_width: int,
        rngs: nnx.Rngs,
        compute_type: ComputeType = "float32",
    ):
        """Draws the parameters as T5's authors do, from `rngs.params`."""
        self.options, self.vocabulary = options, vocabulary
        rows = options.vocabulary_rows or vocabulary.size
        self.token_embedding = nnx.Embed(rows, options.width, embedding_init=nnx.initializers.normal(1.0), rngs=rngs)
        self.blocks = nnx.List(
            [
                Block(
                    options,
                    has_positions=number == 0 or options.relative_positions == "per_block",
                    compute_type=compute_type,
                    rngs=rngs,
                )
                for number in range(options.depth)
            ]
        )
        self.final_norm = nnx.RMSNorm(options.width, epsilon=options.norm_epsilon, rngs=rngs)
        self.pooling = make_pooling(
            options.pooling,
            width=options.width,
            num_heads=options.num_heads,
            mlp_width=options.mlp_width,
            compute_type=compute_type,
            rngs=rngs,
        )
        self.head = make_head(options.head, options.width, output_width, compute_type=compute_type, rngs=rngs)

    def __call__(self, tokens: Int32[Array, "n length"], keys: Keys | None = None) -> Float32[Array, "n output_width"]:
        """Returns embeddings, not normalised; `keys` are for dropout."""
        end_id, pad_id = self.vocabulary.end_id, self.vocabulary.pad_id
        is_real = None if pad_id is None else tokens != pad_id
        mask = None if is_real is None else is_real[:, None, None, :]
        drop = Dropout(self.options.dropout, keys)
        hidden, bias = drop(self.token_embedding(tokens)), None
        for block in self.blocks:
            if block.relative_positions is not None:
                bias = block.relative_positions(tokens.shape[1])
            assert bias is not None  # the first block has some
            hidden = block(hidden, bias, mask, drop)
        hidden = drop(self.final_norm(hidden))
        pooled = pool(self.options.pooling, self.pooling, hidden, tokens, is_real=is_real, end_id=end_id)
        return pooled if self.head is None else self.head(pooled)


def make_tower(
    options: T5TextOptions, *, vocabulary: Vocabulary, max_tokens: int, output_width: int, compute_type: ComputeType
) -> Tower:
    """Returns the tower; see `make_text_tower`. Rows may have any length: there is no table of positions.

    Raises:
      ValueError: the vocabulary has more ids than the options' table has rows.
    """
    del max_tokens
    if 0 < options.vocabulary_rows < vocabulary.size:
        raise ValueError(
            f"text_tower.vocabulary_rows must be >= the tokenizer's {vocabulary.size:,} ids, got "
            f"{options.vocabulary_rows:,}; give the tokenizer that the tower was trained with"
        )
    return nnx_tower(
        lambda rngs: T5Encoder(
            options, vocabulary=vocabulary, output_width=output_width, rngs=rngs, compute_type=compute_type
        ),
        output_width,
        lambda shapes: namings(options, shapes),
        drops_out=options.dropout > 0,
    )
