"""The datasets of a mixture, what a training sees of each, and what they need to go together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int64

from lit_precompute.tune.data.chosen_texts import ChosenTexts
from lit_precompute.tune.data.joined_dataset import Blocks, JoinedDataset, common_type, join_datasets


class Part(NamedTuple):
    """One dataset of a mixture.

    Attributes:
      dataset: the dataset.
      texts: of it.
      rows: ascending numbers of the rows to use; None: all.
      views: of its images; none: the dataset's own embeddings are trained on.
    """

    dataset: Blocks
    texts: ChosenTexts
    rows: Int64[np.ndarray, "_"] | None
    views: Sequence[Blocks] = ()

    @property
    def images(self) -> Sequence[Blocks]:
        """What embeddings are read of."""
        return self.views or (self.dataset,)


class Share(NamedTuple):
    """What a training sees of one dataset.

    Attributes:
      path: of the dataset.
      num_rows: usable rows.
      num_epochs: passes over them.
      num_views: of each image, of which each epoch draws one; 0: its own embedding is trained on.
    """

    path: str
    num_rows: int
    num_epochs: float
    num_views: int


def of_one_type(parts: Sequence[Part]) -> list[Part]:
    """Returns the parts with embeddings of one type, for which the step is compiled."""
    wanted = common_type([image for part in parts for image in part.images])

    def convert(dataset: Blocks) -> Blocks:
        return dataset if dataset.vector_type == wanted else JoinedDataset([dataset], vector_type=wanted)

    return [
        part._replace(views=[convert(view) for view in part.views])
        if part.views
        else part._replace(dataset=convert(part.dataset))
        for part in parts
    ]


def joined_views(parts: Sequence[Part]) -> list[Blocks]:
    """Returns the views of joined datasets: the first of all, the second of all and so on.

    Raises:
      ValueError: not all have equally many.
    """
    counts = {part.dataset.path: len(part.views) for part in parts}
    if len({*counts.values()}) > 1:
        found = ", ".join(f"{path} has {count}" for path, count in counts.items())
        raise ValueError(
            f"datasets that are joined must have equally many views: {found}; give data.mixture alternate or weights, "
            "where each dataset has its own"
        )
    return [join_datasets(views) for views in zip(*(part.views for part in parts), strict=True)]


def num_rows(part: Part) -> int:
    """Returns how many rows may be used."""
    return part.dataset.num_rows if part.rows is None else len(part.rows)
