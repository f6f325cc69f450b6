"""Retrieval: which image belongs to a text, and which text to an image.

Promises: ranks are exact, in float64, over all rows; tiles bound the memory. A text finds its image at k if the image
is among the k nearest; an image is found at k if any of its own texts is. Similarities within 1e-9 of each other are
equal, and ties are broken by the dataset's order.

Source: arXiv:2111.07991, appendix G.3; big_vision, evaluators/proj/image_text/image_text_retrieval.py.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Float32, Int64

from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.schemas.sharing.selected_rows import blocks_of
from lit_precompute.schemas.sharing.selection import Selection
from lit_precompute.tune.data.text_options import TextOptions
from lit_precompute.tune.data.texts import TEXTS, fields_of, row_texts
from lit_precompute.tune.evaluation.statistics import Share, chance_of_a_hit
from lit_precompute.tune.evaluation.stored_pairs import stored_text_embeddings
from lit_precompute.tune.model.tuned_model import TunedModel

KS = (1, 5, 10)
_TIE = 1e-9
_TILE_NUMBERS = 1 << 24  # similarities in memory at once: 128 MB


@dataclasses.dataclass(frozen=True, kw_only=True)
class RetrievalResult:
    """Recall by k, both ways.

    Attributes:
      image_to_text: of the images with texts, the share that finds one of its own.
      text_to_image: of the texts, the share that finds its image.
      num_images: candidates for a text; images without texts count too.
      num_texts: candidates for an image.
      num_blank_texts: texts that show nothing, such as white space, and so were left out.
      preprocessing_differences: where the dataset's preprocessing is not the one that the model was tuned with; see
        `TunedModel.preprocessing_differences`.
      field: the column of the texts.
    """

    image_to_text: dict[int, Share]
    text_to_image: dict[int, Share]
    num_images: int
    num_texts: int
    num_blank_texts: int
    preprocessing_differences: dict[str, dict[str, Any]]
    field: str = TEXTS

    def to_json(self) -> dict[str, Any]:
        """Returns the figures as JSON."""
        shares = {
            name: {f"recall_at_{k}": share.to_json() for k, share in getattr(self, name).items()}
            for name in ("image_to_text", "text_to_image")
        }
        others = ("num_images", "num_texts", "num_blank_texts", "preprocessing_differences", "field")
        return shares | {name: getattr(self, name) for name in others}


class Pairs(NamedTuple):
    """A dataset's images and texts with their embeddings.

    Attributes:
      rows: numbers of the images' rows.
      images: embeddings of all rows.
      texts: embeddings of all texts but blank ones.
      strings: the texts.
      owners: the place of each text's image in `images`.
      num_blank_texts: texts that were left out.
    """

    rows: Int64[np.ndarray, " n"]
    images: Float32[np.ndarray, "n d"]
    texts: Float32[np.ndarray, "m d"]
    strings: list[str]
    owners: Int64[np.ndarray, " m"]
    num_blank_texts: int


def evaluated_field(model: TunedModel, dataset: EmbeddingDataset) -> str:
    """Returns which of a dataset's texts a model is evaluated on unless told otherwise.

    The only field that it was tuned on, if the dataset has it, and otherwise `texts`.
    """
    fields = model.recipe.text.field_names
    return fields[0] if len(fields) == 1 and fields[0] in dataset.columns else TEXTS


def embed_pairs(
    model: TunedModel, dataset: EmbeddingDataset, selection: Selection | None = None, field: str = TEXTS
) -> Pairs:
    """Returns the images and texts of selected rows (None: of all), those of one column, without the blank texts.

    A model over stored text embeddings takes them from the dataset, where that has them for all texts.

    Raises:
      DatasetError: the selection is of another dataset, or empty.
      ValueError: the rows have no texts, or there is no such column.
    """
    if field != TEXTS and field not in fields_of(dataset):
        raise ValueError(f"{dataset.path}: --field must be one of {', '.join(fields_of(dataset))}, got {field!r}")
    numbers: list[np.ndarray] = []
    images: list[np.ndarray] = []
    strings: list[str] = []
    counts: list[np.ndarray] = []
    num_blank = 0
    for rows, block in blocks_of(dataset, ["embedding", field], selection):
        numbers.append(rows)
        images.append(model.embed_images(block.vectors()))
        texts = row_texts(block[field], TextOptions())
        strings += texts.strings.to_pylist()
        counts.append(texts.counts)
        num_blank += int(texts.blank_counts.sum())
    if not strings:
        blank = f" ({num_blank:,} blank)" if num_blank else ""
        which = "has" if selection is None else "selected rows have"
        advice = "embed a source with texts, or take named texts that it has (--field)"
        raise ValueError(f"{dataset.path}: {which} no {field} to retrieve or show{blank}; {advice}")
    all_counts = np.concatenate(counts)
    stored = stored_text_embeddings(model, dataset, selection, all_counts, field)
    return Pairs(
        rows=np.concatenate(numbers),
        images=np.concatenate(images),
        texts=model.embed_texts(strings) if stored is None else stored,
        strings=strings,
        owners=np.repeat(np.arange(len(all_counts)), all_counts),
        num_blank_texts=num_blank,
    )


def evaluate(
    model: TunedModel, dataset: EmbeddingDataset, selection: Selection | None = None, field: str = TEXTS
) -> RetrievalResult:
    """Returns recall at 1, 5 and 10 in both directions, among selected rows (None: all) and the texts of one column.

    Raises:
      TunedModelError: the dataset comes from a different tower than the model's.
      DatasetError: the selection is of another dataset, or empty.
      ValueError: the rows have no texts, or there is no such column.
    """
    model.check_goes_with(dataset)
    _, images, texts, _, owners, num_blank_texts = embed_pairs(model, dataset, selection, field)
    found = recalls(images, texts, owners)
    return RetrievalResult(
        image_to_text=found.image_to_text,
        text_to_image=found.text_to_image,
        num_images=len(images),
        num_texts=len(texts),
        num_blank_texts=num_blank_texts,
        preprocessing_differences=model.preprocessing_differences(dataset),
        field=field,
    )


class Recalls(NamedTuple):
    """Recall by k, both ways; see `RetrievalResult`."""

    image_to_text: dict[int, Share]
    text_to_image: dict[int, Share]


def recalls(
    images: Float[np.ndarray, "n d"],
    texts: Float[np.ndarray, "m d"],
    owners: Int64[np.ndarray, " m"],
    ks: Sequence[int] = KS,
) -> Recalls:
    """Returns the recall at each k of embeddings; see `ranks`."""
    image_ranks, text_ranks = ranks(images, texts, owners)
    own_counts = np.bincount(owners, minlength=len(images))
    asked = own_counts > 0
    image_chance = {
        k: float(np.mean([chance_of_a_hit(len(texts), int(own), k) for own in own_counts[asked]])) for k in ks
    }
    return Recalls(
        image_to_text={
            k: Share(right=int((image_ranks[asked] < k).sum()), count=int(asked.sum()), chance=image_chance[k])
            for k in ks
        },
        text_to_image={
            k: Share(right=int((text_ranks < k).sum()), count=len(texts), chance=chance_of_a_hit(len(images), 1, k))
            for k in ks
        },
    )


def ranks(
    images: Float[np.ndarray, "n d"],
    texts: Float[np.ndarray, "m d"],
    owners: Int64[np.ndarray, " m"],
    *,
    tile_numbers: int = _TILE_NUMBERS,
) -> tuple[Int64[np.ndarray, " n"], Int64[np.ndarray, " m"]]:
    """Returns for each image the rank of its best text, and for each text its image's rank, from 0.

    Args:
      images: embeddings of images.
      texts: embeddings of texts.
      owners: the row of each text's image. An image without texts has the rank m.
      tile_numbers: similarities in memory at once; changes memory, not the result.
    """
    images, texts = images.astype(np.float64), texts.astype(np.float64)
    own = np.einsum("md,md->m", texts, images[owners])
    image_ranks = np.full(len(images), len(texts), np.int64)
    text_ranks = np.zeros(len(texts), np.int64)
    tile = max(1, tile_numbers // max(len(texts), 1))
    text_numbers = np.arange(len(texts))
    for start in range(0, len(images), tile):
        rows = np.arange(start, min(start + tile, len(images)))
        similarities = images[rows] @ texts.T
        ahead = similarities > own + _TIE
        level = np.abs(similarities - own) <= _TIE
        text_ranks += (ahead | (level & (rows[:, None] < owners))).sum(axis=0)
        for row, values in zip(rows, similarities, strict=True):
            mine = np.flatnonzero(owners == row)
            if len(mine):
                best = values[mine].max()
                first = mine[values[mine] >= best - _TIE][0]
                better = (values > best + _TIE) | ((np.abs(values - best) <= _TIE) & (text_numbers < first))
                image_ranks[row] = int(better.sum())
    return image_ranks, text_ranks
