"""A frozen text tower with its parameters and its tokenizer: from texts to embeddings.

Promises: `load_text_encoder` gives a tower that is checked against its file's parameters, or an error that names every
one that does not fit. Embeddings are not normalised. A row of a full batch depends on its own text alone.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float32, Int32

from lit_precompute.schemas.text_tower_card import TextTowerCard
from lit_precompute.towers.contract import Tower
from lit_precompute.towers.fingerprint import hash_weights
from lit_precompute.towers.options import ComputeType
from lit_precompute.towers.text.encoder_options import DEFAULT_MAX_TOKENS, TextEncoderOptions
from lit_precompute.towers.text.options import TransformerOptions
from lit_precompute.towers.text.registry import make_text_tower, resolve_text_tower
from lit_precompute.towers.tokenizers import Tokenizer, Vocabulary, train_tokenizer
from lit_precompute.towers.weights.finding import find_weights
from lit_precompute.towers.weights.links import Arrays
from lit_precompute.towers.weights.matching import match_parameters
from lit_precompute.towers.weights.naming import inside_root, read_names
from lit_precompute.towers.weights.reading import read_weights

# Texts in the compiled shape. On CPUs more do not pay.
BATCH_SIZE = 64


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class TextEncoder:
    """A frozen text tower.

    Attributes:
      card: what it is.
      tower: the network, over rows of tokens.
      parameters: of the network.
      tokenizer: from texts to tokens.
    """

    card: TextTowerCard
    tower: Tower
    parameters: dict[str, np.ndarray]
    tokenizer: Tokenizer

    def tokens(self, texts: Sequence[str]) -> Int32[np.ndarray, "n length"]:
        """Returns rows of tokens, cut or padded to the card's `max_tokens`."""
        return self.tokens_and_cuts(texts)[0]

    def tokens_and_cuts(self, texts: Sequence[str]) -> tuple[Int32[np.ndarray, "n length"], Bool[np.ndarray, " n"]]:
        """Returns rows of tokens, and which texts are longer and were cut."""
        pieces = self.tokenizer.pieces(list(texts))
        is_cut = pieces.counts > self.tokenizer.max_pieces(self.card.max_tokens)
        return self.tokenizer.assemble(pieces, self.card.max_tokens), is_cut

    def start(self, tokens: Int32[np.ndarray, "n length"]) -> Float32[Array, "n width"]:
        """Starts to embed a batch of at most `BATCH_SIZE` rows of tokens; returns before the result is computed."""
        padding = ((0, BATCH_SIZE - len(tokens)), (0, 0))
        return self._function(np.pad(tokens, padding, mode="edge"))[: len(tokens)]

    def embed(self, texts: Sequence[str]) -> Float32[np.ndarray, "n width"]:
        """Returns embeddings, not normalised."""
        found = np.empty((len(texts), self.card.output_width), np.float32)
        for start in range(0, len(texts), BATCH_SIZE):
            piece = texts[start : start + BATCH_SIZE]
            found[start : start + len(piece)] = np.asarray(self.start(self.tokens(piece)))
        return found

    def program(self) -> str:
        """Returns what the tower computes, as StableHLO: changes to its code show here."""
        tokens = jax.ShapeDtypeStruct((BATCH_SIZE, self.card.max_tokens), np.int32)
        return jax.jit(self._apply).lower(self.parameters, tokens).as_text()

    @functools.cached_property
    def _function(self) -> Callable[[np.ndarray], jax.Array]:
        return functools.partial(jax.jit(self._apply), jax.device_put(self.parameters))

    def _apply(self, parameters: dict[str, jax.Array], tokens: jax.Array) -> jax.Array:
        # Accelerators would round float32 products' inputs to fewer bits, so that embeddings depend on the machine.
        exact = self.card.architecture["compute_type"] == "float32"
        with jax.default_matmul_precision("highest" if exact else "default"):
            return self.tower.apply(parameters, tokens).astype(jnp.float32)


def load_text_encoder(options: TextEncoderOptions) -> TextEncoder:
    """Returns a frozen text tower.

    Raises:
      ValueError: no such tower, or its tokenizer or its options cannot be used.
      WeightsError: its parameters cannot be had or read, or are another tower's.
    """
    name, entry = resolve_text_tower(options.name)
    if entry is None:
        raise ValueError(
            f"text tower {options.name!r}: a file of weights does not tell its tower and its tokenizer; give a folder "
            "with config.json and tokenizer.json, or a name of `lit-tune towers` and the file as its weights"
        )
    place = options.weights or entry.weights
    if not place:
        raise ValueError(f"text tower {name!r} is an architecture without published weights; give a file")
    tower_options = entry.options
    if not isinstance(tower_options, TransformerOptions):
        raise ValueError(f"text tower {name!r}: a tower of kind {tower_options.kind!r} does not tell its width")
    if options.pooling is not None:
        tower_options = dataclasses.replace(tower_options, pooling=options.pooling)
    tokenizer = train_tokenizer(entry.tokenizer, ())
    max_tokens = options.max_tokens or entry.max_tokens or DEFAULT_MAX_TOKENS
    arrays = inside_root(read_weights(find_weights(place)), "" if options.weights else entry.root)
    tower_options, tower = _fitting_tower(
        tower_options, arrays, vocabulary=tokenizer.vocabulary, max_tokens=max_tokens, compute_type=options.compute_type
    )
    found = read_names(tower.namings, arrays, tower.parameter_shapes)
    parameters = match_parameters(found, tower.parameter_shapes, f"{place} for {name!r}")
    architecture = {**dataclasses.asdict(tower_options), "compute_type": options.compute_type}
    for field in ("weights", "head_start", "dropout"):  # a place, and what only training asks
        del architecture[field]
    card = TextTowerCard(
        name=name,
        weights=options.weights or "",
        architecture=json.loads(json.dumps(architecture)),
        weights_sha256=hash_weights(parameters),
        tokenizer={
            "kind": entry.tokenizer.kind,
            "fingerprint": tokenizer.fingerprint,
            "special_tokens": {name: str(value) for name, value in tokenizer.special_tokens._asdict().items()},
        },
        max_tokens=max_tokens,
        output_width=tower.output_width,
        num_parameters=sum(value.size for value in parameters.values()),
    )
    return TextEncoder(card=card, tower=tower, parameters=parameters, tokenizer=tokenizer)


def _fitting_tower(
    options: TransformerOptions, arrays: Arrays, *, vocabulary: Vocabulary, max_tokens: int, compute_type: ComputeType
) -> tuple[TransformerOptions, Tower]:
    """Returns the tower with the head that its file has, if it has one, and its options."""

    def make(options: TransformerOptions, output_width: int) -> Tower:
        return make_text_tower(
            options, vocabulary=vocabulary, max_tokens=max_tokens, output_width=output_width, compute_type=compute_type
        )

    if options.head != "none":
        tower = make(options, options.width)
        found = read_names(tower.namings, arrays, tower.parameter_shapes)
        kernels = [name for name in tower.parameter_shapes if name.startswith("head/") and name.endswith("kernel")]
        if all(name in found for name in kernels):
            return options, make(options, found[kernels[-1]].shape[-1])
        options = dataclasses.replace(options, head="none")
    return options, make(options, options.width)
