"""What follows a text tower's pooling: a linear layer, a perceptron, or nothing."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float32

from lit_precompute.towers.options import ComputeType
from lit_precompute.towers.text.options import Head


class Perceptron(nnx.Module):
    """Two layers with a tanh GELU between them; the hidden one is four times as wide as the input."""

    def __init__(self, width: int, output_width: int, *, compute_type: ComputeType, rngs: nnx.Rngs):
        self.inner = nnx.Linear(width, 4 * width, dtype=compute_type, rngs=rngs)
        self.outer = nnx.Linear(4 * width, output_width, rngs=rngs)

    def __call__(self, inputs: Float32[Array, "n width"]) -> Float32[Array, "n output_width"]:
        """Returns the embeddings."""
        return self.outer(jax.nn.gelu(self.inner(inputs)).astype(jnp.float32))


def make_head(
    head: Head, width: int, output_width: int, *, compute_type: ComputeType, rngs: nnx.Rngs
) -> nnx.Module | None:
    """Returns the module from pooled vectors to embeddings, float32; None for `none`.

    Raises:
      ValueError: without a head, the tower's width is not the embeddings'.
    """
    match head:
        case "linear":
            return nnx.Linear(width, output_width, rngs=rngs)
        case "mlp":
            return Perceptron(width, output_width, compute_type=compute_type, rngs=rngs)
        case "none":
            if width != output_width:
                raise ValueError(
                    "text_tower.head none needs a tower as wide as the image side's embeddings: the tower has "
                    f"{width}, the image side {output_width}; give image_side.head_width {width}, or a text_tower.head"
                )
            return None
