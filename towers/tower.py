"""An image tower: a locked network from images to embeddings, with everything that identifies it.

Promises: `apply` is pure and can be jitted; equal fingerprints mean equal embeddings. Not here: loading towers
(`loading`) and decoding images (`precompute.images`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Array, Float, Float32

from lit_precompute.towers import fingerprint
from lit_precompute.towers.preprocessing import Preprocessing

if TYPE_CHECKING:
    from lit_precompute.schemas import TowerCard


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class ImageTower:
    """An image tower with its parameters.

    Attributes:
      name: what people call it; not part of the fingerprint.
      architecture: the family and its configuration, as JSON.
      preprocessing: from a decoded image to the input of `apply`.
      pooling: which of the network's values the embedding is.
      output_width: length of an embedding.
      num_parameters: of the part that is used; statistics, such as batch norm's means, are not counted.
      weights_sha256: hash of the parameters as loaded, before they are fitted to the resolution.
      parameters: by canonical name; float32, or bfloat16 where the network rounds them to it before all else.
      apply: from parameters and images in the value range of `preprocessing` to embeddings.
    """

    name: str
    architecture: Mapping[str, Any]
    preprocessing: Preprocessing
    pooling: str
    output_width: int
    num_parameters: int
    weights_sha256: str
    parameters: Mapping[str, Float[np.ndarray | Array, "..."]]
    apply: Callable[
        [Mapping[str, Float[Array | np.ndarray, "..."]], Float32[Array | np.ndarray, "n h w 3"]],
        Float32[Array, "n output_width"],
    ]

    def fingerprint(self) -> str:
        """Returns the hash of architecture, preprocessing and weights; see `towers.fingerprint`."""
        return fingerprint.fingerprint(self.architecture, self.preprocessing.to_json(), self.weights_sha256)

    def card(self) -> TowerCard:
        """Returns the tower's card, which a dataset's manifest keeps."""
        from lit_precompute.schemas import TowerCard

        return TowerCard(
            name=self.name,
            architecture=dict(self.architecture),
            weights_sha256=self.weights_sha256,
            preprocessing=self.preprocessing.to_json(),
            output_width=self.output_width,
            pooling=self.pooling,
            num_parameters=self.num_parameters,
            fingerprint=self.fingerprint(),
        )
