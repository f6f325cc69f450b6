"""BERT and its relatives: post-norm transformers from token ids to one embedding per text.

Promises: the function of transformers' `BertModel`, `RobertaModel`, `XLMRobertaModel` and `DistilBertModel` up to the
last layer, then pooling and a head. Padding is masked wherever the tokenizer pads with an id of its own, whatever that
id is; every real token attends to all real ones. Parameters, norms, residual sums and embeddings are float32 for any
`compute_type`.

Dropout is where `BertModel` has it, for BERT's relatives, too: after the embeddings' norm, of the attention's weights,
and after attention and perceptron. (DistilBERT's own has none after attention.)

Does not: normalise embeddings, or have BERT's `pooler`, a layer for guessing whether one sentence follows
another, which neither LiT nor sentence-transformers uses.

Source: arXiv:1810.04805; transformers, models/bert, roberta and distilbert; flaxformer, architectures/bert, whose
encoder the public LiT models have (with the tanh GELU).
"""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Float32, Int32

from lit_precompute.towers import layers
from lit_precompute.towers.contract import Tower
from lit_precompute.towers.dropout import Dropout, Keys
from lit_precompute.towers.nnx_modules import nnx_tower
from lit_precompute.towers.options import ComputeType
from lit_precompute.towers.text.bert.naming import namings
from lit_precompute.towers.text.bert.options import BertTextOptions
from lit_precompute.towers.text.heads import make_head
from lit_precompute.towers.text.pooling import Take, make_pooling, only_position, pool
from lit_precompute.towers.tokenizers import Vocabulary

_ACTIVATIONS = {"gelu": layers.GELUS["exact"], "gelu_tanh": layers.GELUS["tanh"], "relu": jax.nn.relu}
_draw = nnx.initializers.truncated_normal(0.02)


def _dense(in_features: int, out_features: int, *, compute_type: ComputeType, rngs: nnx.Rngs) -> nnx.Linear:
    return nnx.Linear(in_features, out_features, kernel_init=_draw, dtype=compute_type, rngs=rngs)


def _norm(options: BertTextOptions, rngs: nnx.Rngs) -> nnx.LayerNorm:
    return nnx.LayerNorm(options.width, epsilon=options.norm_epsilon, use_fast_variance=False, rngs=rngs)


class Attention(nnx.Module):
    """Multi-head attention of every position to every real one."""

    def __init__(self, width: int, num_heads: int, *, compute_type: ComputeType, rngs: nnx.Rngs):
        self.num_heads = num_heads
        self.query, self.key, self.value, self.out = (
            _dense(width, width, compute_type=compute_type, rngs=rngs) for _ in range(4)
        )

    def __call__(
        self,
        queries: Float32[Array, "n queries width"],
        hidden: Float32[Array, "n length width"],
        is_real: Bool[Array, "n length"] | None,
        drop: Dropout,
    ) -> Float[Array, "n queries width"]:
        """Returns, for each query, the projected sum of the real tokens' values, weighted by attention."""
        query, key, value = self.query(queries), self.key(hidden), self.value(hidden)
        heads = (self.num_heads, hidden.shape[-1] // self.num_heads)
        query, key, value = (tokens.reshape(*tokens.shape[:2], *heads) for tokens in (query, key, value))
        return self.out(_attend(query, key, value, is_real, drop).reshape(queries.shape))


def _attend(
    query: Float[Array, "n queries heads width"],
    key: Float[Array, "n length heads width"],
    value: Float[Array, "n length heads width"],
    is_real: Bool[Array, "n length"] | None,
    drop: Dropout,
) -> Float[Array, "n queries heads width"]:
    scores = jnp.einsum("nqhw,nkhw->nhqk", query, key, preferred_element_type=jnp.float32) * query.shape[-1] ** -0.5
    if is_real is not None:
        # Finite, so that a row of nothing but padding is no NaN.
        scores = jnp.where(is_real[:, None, None, :], scores, jnp.finfo(jnp.float32).min)
    powers = jnp.exp(scores - jax.lax.stop_gradient(scores.max(axis=-1, keepdims=True)))
    # Dropped before they are divided by the sum, which is that of all.
    summed = jnp.einsum("nhqk,nkhw->nqhw", drop(powers).astype(value.dtype), value, preferred_element_type=jnp.float32)
    return (summed / powers.sum(axis=-1).swapaxes(1, 2)[..., None]).astype(value.dtype)


class Block(nnx.Module):
    """Attention and a two-layer perceptron, each added to its input and then normed."""

    def __init__(self, options: BertTextOptions, *, compute_type: ComputeType, rngs: nnx.Rngs):
        width = options.width
        self.activation = options.activation
        self.attention = Attention(width, options.num_heads, compute_type=compute_type, rngs=rngs)
        self.attention_norm = _norm(options, rngs)
        self.perceptron_in = _dense(width, options.mlp_width, compute_type=compute_type, rngs=rngs)
        self.perceptron_out = _dense(options.mlp_width, width, compute_type=compute_type, rngs=rngs)
        self.perceptron_norm = _norm(options, rngs)

    def __call__(
        self,
        hidden: Float32[Array, "n length width"],
        is_real: Bool[Array, "n length"] | None,
        drop: Dropout,
        take: Take | None = None,
    ) -> Float32[Array, "n kept width"]:
        """Returns the tokens' vectors after the block: of all tokens, or of those that `take` takes."""
        kept = hidden if take is None else take(hidden)
        kept = self.attention_norm(kept + drop(self.attention(kept, hidden, is_real, drop).astype(jnp.float32)))
        inner = _ACTIVATIONS[self.activation](self.perceptron_in(kept))
        return self.perceptron_norm(kept + drop(self.perceptron_out(inner).astype(jnp.float32)))


class Bert(nnx.Module):
    """From token ids to embeddings; see the module's docstring."""

    def __init__(
        self,
        options: BertTextOptions,
        *,
        vocabulary: Vocabulary,
        output_width: int,
        rngs: nnx.Rngs,
        compute_type: ComputeType = "float32",
    ):
        """Draws the parameters as BERT does, from `rngs.params`."""
        width = options.width
        self.options, self.vocabulary = options, vocabulary
        self.token_embedding = nnx.Embed(
            options.vocabulary_rows or vocabulary.size, width, embedding_init=_draw, rngs=rngs
        )
        self.position_embedding = nnx.Embed(options.max_positions, width, embedding_init=_draw, rngs=rngs)
        self.segment_embedding = (
            nnx.Embed(options.num_segments, width, embedding_init=_draw, rngs=rngs) if options.num_segments else None
        )
        self.embedding_norm = _norm(options, rngs)
        self.blocks = nnx.List([Block(options, compute_type=compute_type, rngs=rngs) for _ in range(options.depth)])
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
        """Returns embeddings, not normalised; `keys` are for dropout."""
        pad_id = self.vocabulary.pad_id
        is_real = None if pad_id is None else tokens != pad_id
        hidden = self.token_embedding(tokens) + self._positions(tokens, is_real)
        if self.segment_embedding is not None:
            hidden += self.segment_embedding.embedding[0]
        drop = Dropout(self.options.dropout, keys)
        hidden = drop(self.embedding_norm(hidden))
        take = only_position(self.options.pooling, tokens, is_real=is_real, end_id=self.vocabulary.end_id)
        for number, block in enumerate(self.blocks, 1):
            hidden = block(hidden, is_real, drop, take if number == self.options.depth else None)
        if take is None:
            end_id = self.vocabulary.end_id
            pooled = pool(self.options.pooling, self.pooling, hidden, tokens, is_real=is_real, end_id=end_id)
        else:
            pooled = hidden[:, 0]
        return pooled if self.head is None else self.head(pooled)

    def _positions(
        self, tokens: Int32[Array, "n length"], is_real: Bool[Array, "n length"] | None
    ) -> Float32[Array, "#n length width"]:
        """Returns the vectors of the tokens' positions."""
        padding, length = self.options.padding_position, tokens.shape[1]
        table = jnp.asarray(self.position_embedding.embedding[...])
        if padding is None:
            return table[None, :length]
        if is_real is None:
            return table[None, padding + 1 : padding + 1 + length]
        counts = is_real.astype(jnp.int32)
        return table[padding + jnp.cumsum(counts, axis=1) * counts]


def make_tower(
    options: BertTextOptions, *, vocabulary: Vocabulary, max_tokens: int, output_width: int, compute_type: ComputeType
) -> Tower:
    """Returns the tower for a vocabulary; see `make_text_tower`.

    Raises:
      ValueError: there are more tokens in a row than positions, or more ids than `vocabulary_rows`.
    """
    if max_tokens > options.longest_text():
        raise ValueError(
            f"text.max_tokens must be <= {options.longest_text()}, the positions of this tower, got {max_tokens}"
        )
    if vocabulary.size > options.vocabulary_rows > 0:
        raise ValueError(
            f"text_tower.vocabulary_rows must be >= {vocabulary.size}, the size of the tokenizer's vocabulary, got "
            f"{options.vocabulary_rows}; give the tower its own tokenizer"
        )
    return nnx_tower(
        lambda rngs: Bert(
            options, vocabulary=vocabulary, output_width=output_width, rngs=rngs, compute_type=compute_type
        ),
        output_width,
        lambda shapes: namings(options, shapes),
        drops_out=options.dropout > 0,
    )
