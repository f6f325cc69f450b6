"""The card of an image tower, and the tower's two identities.

Towers of equal *fingerprint* give interchangeable embeddings: it covers everything that an embedding depends on but the
image. Towers of equal *model identity* fit the same tuned models: they are the same network with the same weights,
whatever the crop, resolution or compute type. LiT tunes on crops and evaluates on plain resizes, at 224 pixels and at
288 (arXiv:2111.07991, appendices B and G).
"""

from typing import Any

import pydantic

from lit_precompute.schemas.tables import StrictModel, json_digest

# Fields of an architecture that say how a network is run, not which one it is. `position_resize` is how a ViT's
# learned positions are resized to a resolution that differs from the weights'; at the weights' own it has no effect.
_RUN_FIELDS = ("resolution", "compute_type", "position_resize")
# The field of the architecture that marks a tower which someone names, and nobody here has run.
_DECLARED = "declared"
# `ImageTower.card` always sets these. A card written by hand may lack them, and then does not identify the network.
_NEEDED_FIELDS = {"family", "resolution", "compute_type"}


class TowerCard(StrictModel):
    """The image tower that made the embeddings; embeddings of equal fingerprints are interchangeable.

    Attributes:
      name: its common name.
      architecture: the family and its configuration, including resolution and compute type.
      weights_sha256: of the parameters as read, before any is resized to the resolution.
      preprocessing: from a decoded image to the network's input.
      output_width: numbers in an embedding.
      pooling: which of the network's outputs the embedding is.
      num_parameters: the network's number of parameters.
      fingerprint: hash of architecture (with the pooling), preprocessing and weights.
    """

    name: str
    architecture: dict[str, Any]
    weights_sha256: str
    preprocessing: dict[str, Any]
    output_width: int
    pooling: str
    num_parameters: pydantic.NonNegativeInt
    fingerprint: str

    @classmethod
    def declare(cls, name: str, output_width: int, *, weights: str = "") -> "TowerCard":
        """Returns the card of a tower that is known by name alone, as that of an imported dataset is.

        It has no model identity, and its fingerprint is like no verified tower's: equal declarations are
        interchangeable with each other, and with nothing else.

        Args:
          name: of the tower, as the embeddings' publisher calls it.
          output_width: numbers in an embedding.
          weights: what the publisher calls the weights, if they have a name of their own.
        """
        declared = {"name": name, "weights": weights, "output_width": output_width}
        return cls(
            name=name,
            architecture={_DECLARED: declared},
            weights_sha256="unknown",
            preprocessing={},
            output_width=output_width,
            pooling="unknown",
            num_parameters=0,
            fingerprint=f"{_DECLARED}-{json_digest(declared)}",
        )

    @property
    def is_declared(self) -> bool:
        """Whether the tower is only named: nobody has compared it with the embeddings."""
        return _DECLARED in self.architecture

    @property
    def caution(self) -> str:
        """What is not known of a declared tower, in a sentence; "" for any other."""
        known = f"the tower '{self.name}' is declared, not verified: its weights and preprocessing are not known"
        return known if self.is_declared else ""

    @property
    def model_identity(self) -> str | None:
        """The hash of weights, architecture and pooling; None if the card lacks needed fields, or is declared."""
        if self.is_declared or not self.architecture.keys() >= _NEEDED_FIELDS:
            return None
        return json_digest(self._identity_parts())

    def identity_differences(self, other: "TowerCard") -> dict[str, tuple[Any, Any]]:
        """Returns what makes two towers different networks: this card's value and the other's, by name."""
        return _differences(self._identity_parts(), other._identity_parts())

    def preprocessing_differences(self, other: "TowerCard") -> dict[str, tuple[Any, Any]]:
        """Returns what differs in how the two towers are run: this card's value and the other's, by name."""
        return _differences(self._run_parts(), other._run_parts())

    def _identity_parts(self) -> dict[str, Any]:
        # `architecture` repeats the pooling.
        fields = {name: value for name, value in self.architecture.items() if name not in (*_RUN_FIELDS, "pooling")}
        parts = {f"architecture.{name}": value for name, value in fields.items()}
        return {**parts, "pooling": self.pooling, "weights_sha256": self.weights_sha256}

    def _run_parts(self) -> dict[str, Any]:
        fields = {name: self.architecture[name] for name in _RUN_FIELDS if name in self.architecture}
        return {**fields, **self.preprocessing}


def _differences(one: dict[str, Any], other: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    names = sorted({*one, *other})
    return {name: (one.get(name), other.get(name)) for name in names if one.get(name) != other.get(name)}
