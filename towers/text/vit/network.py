"""The text tower of LiT: a pre-norm transformer from token ids to one embedding per text.

Promises: the same function and parameter names as big_vision's text transformer, which the public LiT and SigLIP
checkpoints use: token embedding plus learned positions, blocks with biases and tanh GELU, a last norm, pooling, a
head. Padding is not masked there, so not here either, and no attention is causal. Parameters, norms, residual sums and
embeddings are float32 for any `compute_type`. Pooling by the last position relies on rows that end in the end token, or
are padded as the tower's own were.

Dropout is where big_vision has it: after attention, and after each layer of the perceptron; none of attention itself.

Does not: normalise embeddings, or mask attention.

Source: big_vision, models/proj/image_text/text_transformer.py and models/vit.py; arXiv:2111.07991.
"""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float32, Int32

from lit_precompute.towers.contract import Tower
from lit_precompute.towers.dropout import Dropout, Keys
from lit_precompute.towers.nnx_modules import nnx_tower
from lit_precompute.towers.options import ComputeType
from lit_precompute.towers.text.heads import make_head
from lit_precompute.towers.text.layers import Attention, perceptron_layer
from lit_precompute.towers.text.pooling import Take, make_pooling, only_position, pool
from lit_precompute.towers.text.vit.naming import namings
from lit_precompute.towers.text.vit.options import ViTTextOptions
from lit_precompute.towers.tokenizers import Vocabulary


class Block(nnx.Module):
    """Attention and a two-layer perceptron, each after a norm and added to its input."""

    def __init__(self, options: ViTTextOptions, *, compute_type: ComputeType, rngs: nnx.Rngs):
        width, mlp_width = options.width, options.mlp_width
        self.attention_norm = nnx.LayerNorm(width, rngs=rngs)
        self.attention = Attention(width, options.num_heads, compute_type=compute_type, rngs=rngs)
        self.perceptron_norm = nnx.LayerNorm(width, rngs=rngs)
        self.perceptron_in = perceptron_layer(width, mlp_width, compute_type=compute_type, rngs=rngs)
        self.perceptron_out = perceptron_layer(mlp_width, width, compute_type=compute_type, rngs=rngs)

    def __call__(
        self, residual: Float32[Array, "n length width"], drop: Dropout, take: Take | None = None
    ) -> Float32[Array, "n kept width"]:
        """Returns the residual stream after the block: of all tokens, or of those that `take` takes."""
        normed = self.attention_norm(residual)
        queries, residual = (normed, residual) if take is None else (take(normed), take(residual))
        residual = residual + drop(self.attention(queries, normed).astype(jnp.float32))
        hidden = drop(jax.nn.gelu(self.perceptron_in(self.perceptron_norm(residual)), approximate=True))
        return residual + drop(self.perceptron_out(hidden).astype(jnp.float32))


class TextViT(nnx.Module):
    """From token ids to embeddings; see the module's docstring."""

    def __init__(
        self,
        options: ViTTextOptions,
        *,
        vocabulary: Vocabulary,
        max_tokens: int,
        output_width: int,
        rngs: nnx.Rngs,
        compute_type: ComputeType = "float32",
    ):
        """Draws the parameters as big_vision does, from `rngs.params`."""
        width = options.width
        self.options, self.end_id, self.max_tokens = options, vocabulary.end_id, max_tokens
        self.token_embedding = nnx.Embed(options.vocabulary_rows or vocabulary.size, width, rngs=rngs)
        positions = (1, options.max_positions or max_tokens, width)
        draw_positions = nnx.initializers.normal(width**-0.5)
        self.position_embedding = nnx.Param(draw_positions(rngs.params(), positions, jnp.float32))
        self.blocks = nnx.List([Block(options, compute_type=compute_type, rngs=rngs) for _ in range(options.depth)])
        self.final_norm = nnx.LayerNorm(width, rngs=rngs)
        self.pooling = make_pooling(
            options.pooling,
            width=width,
            num_heads=options.num_heads,
            mlp_width=options.mlp_width,
            compute_type=compute_type,
            rngs=rngs,
        )
        self.head = make_head(options.head, width, output_width, compute_type=compute_type, rngs=rngs)

    def __call__(self, tokens: Int32[Array, "n length"], keys: Keys | None = None) -> Float32[Array, "n output_width"]:
        """Returns embeddings, not normalised; `keys` are for dropout.

        Raises:
          ValueError: rows of another length than `max_tokens`.
        """
        if tokens.ndim != 2 or tokens.shape[1] != self.max_tokens:
            raise ValueError(f"tokens must be [n, {self.max_tokens}] for this tower, got {list(tokens.shape)}")
        hidden = self.token_embedding(tokens) + self.position_embedding[:, : self.max_tokens]
        take = only_position(self.options.pooling, tokens, is_real=None, end_id=self.end_id)
        drop = Dropout(self.options.dropout, keys)
        for number, block in enumerate(self.blocks, 1):
            hidden = block(hidden, drop, take if number == self.options.depth else None)
        hidden = self.final_norm(hidden)
        if take is None:
            pooled = pool(self.options.pooling, self.pooling, hidden, tokens, is_real=None, end_id=self.end_id)
        else:
            pooled = hidden[:, 0]
        return pooled if self.head is None else self.head(pooled)


def make_tower(
    options: ViTTextOptions, *, vocabulary: Vocabulary, max_tokens: int, output_width: int, compute_type: ComputeType
) -> Tower:
    """Returns the tower; see `make_text_tower`.

    Raises:
      ValueError: rows are longer than the options have positions, or there are more ids than rows of the table.
    """
    longest = options.longest_text()
    if longest is not None and max_tokens > longest:
        raise ValueError(f"text.max_tokens must be <= {longest}, the positions of this tower, got {max_tokens}")
    if vocabulary.size > options.vocabulary_rows > 0:
        raise ValueError(
            f"text_tower.vocabulary_rows must be >= {vocabulary.size}, the size of the tokenizer's vocabulary, got "
            f"{options.vocabulary_rows}; give the tower its own tokenizer"
        )
    return nnx_tower(
        lambda rngs: TextViT(
            options,
            vocabulary=vocabulary,
            max_tokens=max_tokens,
            output_width=output_width,
            rngs=rngs,
            compute_type=compute_type,
        ),
        output_width,
        lambda shapes: namings(options, shapes),
        drops_out=options.dropout > 0,
    )
