"""The texts of a batch: as many for each image, of which some may be absent."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool

from lit_precompute.tune.data.text_source import Texts


class TextBatch(NamedTuple):
    """The texts of a batch's n images, c for each: image i has the texts i*c to i*c + c - 1.

    Attributes:
      inputs: of all n*c texts, as tokens or as stored embeddings; of an absent one those of an empty text, or zeros.
      present: which of its c texts each image has; None: all.
    """

    inputs: Texts
    present: Bool[np.ndarray, "n c"] | None = None
