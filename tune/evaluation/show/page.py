"""What a page shows, before it is HTML or PNG: images with their best texts, and texts with their best images.

Promises: right answers are marked, an image that can no longer be read has no thumbnail, and a seed draws the rows.
"""

import dataclasses
import pathlib

import numpy as np
import pyarrow as pa

from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.schemas.sharing.selection import Selection
from lit_precompute.schemas.wording import counted
from lit_precompute.tune.evaluation.retrieval import embed_pairs, evaluated_field
from lit_precompute.tune.evaluation.show.images import find_images
from lit_precompute.tune.evaluation.show.thumbnails import make_thumbnails
from lit_precompute.tune.model.tuned_model import TunedModel


@dataclasses.dataclass(frozen=True, kw_only=True)
class Match:
    """One answer: a text or an image's key, its similarity, and whether it is right."""

    name: str
    similarity: float
    is_right: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class Page:
    """What is shown: queries with their best answers, and thumbnails (PNG) by key; None for an image that is gone.

    Not on the page: where images were looked for, and where their source is now, if it is not where it was noted.
    """

    title: str
    of_images: list[tuple[str, list[Match]]]
    of_texts: list[tuple[str, list[Match]]]
    thumbnails: dict[str, bytes | None]
    looked: str = ""
    moved_to: str | None = None

    @property
    def num_gone(self) -> int:
        """How many images have no thumbnail."""
        return sum(thumbnail is None for thumbnail in self.thumbnails.values())


def make_page(
    model: TunedModel,
    dataset: EmbeddingDataset,
    *,
    selection: Selection | None = None,
    num_rows: int,
    num_best: int,
    seed: int,
    image_folder: str | None,
) -> Page:
    """Returns what a page shows; the arguments are those of `write_page`.

    Raises:
      TunedModelError: the dataset comes from a different tower than the model's.
      ValueError: a dataset without texts, a selection of another one, fewer than one row or answer, or a negative seed.
    """
    for flag, value, least in (("--num-rows", num_rows, 1), ("--num-best", num_best, 1), ("--seed", seed, 0)):
        if value < least:
            raise ValueError(f"{flag} must be >= {least}, got {value}")
    model.check_goes_with(dataset)
    rows, images, texts, words, owners, num_blank = embed_pairs(
        model, dataset, selection, evaluated_field(model, dataset)
    )
    keys = dataset.keys().take(pa.array(rows)).to_pylist()
    generator = np.random.default_rng(seed)
    chosen_texts = generator.permutation(len(words))[:num_rows]
    chosen_images = np.unique(owners)[generator.permutation(len(np.unique(owners)))[:num_rows]]
    of_images = [
        (keys[row], _best(texts @ images[row], words, [words[i] for i in np.flatnonzero(owners == row)], num_best))
        for row in chosen_images
    ]
    of_texts = [(words[i], _best(images @ texts[i], keys, [keys[owners[i]]], num_best)) for i in chosen_texts]
    shown = {key for key, _ in of_images} | {match.name for _, matches in of_texts for match in matches}
    title = f"{pathlib.Path(dataset.path).name}: {counted(len(images), 'image')}, {counted(len(words), 'text')}"
    if num_blank:
        title += f" ({counted(num_blank, 'blank text')} left out)"
    found = find_images(dataset, shown, image_folder)
    return Page(
        title=title,
        of_images=of_images,
        of_texts=of_texts,
        thumbnails=make_thumbnails(found.images, shown),
        looked=found.looked,
        moved_to=found.moved_to,
    )


def _best(similarities: np.ndarray, names: list[str], right: list[str], count: int) -> list[Match]:
    best = np.argsort(-similarities, kind="stable")[:count]
    return [Match(name=names[i], similarity=float(similarities[i]), is_right=names[i] in right) for i in best]
