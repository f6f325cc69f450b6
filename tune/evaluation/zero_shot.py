"""Zero-shot classification: an image belongs to the class whose prompts are nearest.

Promises: the prediction is the class whose embedding has the largest dot product with the image's, the first one on
ties. Memory is bounded by one block of images and the classes. Wrong labels are refused before anything is computed.

Source: arXiv:2111.07991, section 3.1 and appendix G.1; big_vision,
evaluators/proj/image_text/discriminative_classifier.py.
"""

import collections
import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64

from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.schemas.sharing.selected_rows import blocks_of
from lit_precompute.schemas.sharing.selection import Selection
from lit_precompute.tune.evaluation.class_embeddings import Report, embed_classes
from lit_precompute.tune.evaluation.labels import NO_CLASS, check_classes, class_numbers
from lit_precompute.tune.evaluation.prompts import class_name
from lit_precompute.tune.evaluation.statistics import Share, chance_of_a_hit
from lit_precompute.tune.model.tuned_model import TunedModel

_TOP = 5
_TILE_NUMBERS = 1 << 22  # similarities in memory at once: 16 MB


@dataclasses.dataclass(frozen=True, kw_only=True)
class ZeroShotResult:
    """Accuracy, and what to compare it with.

    Attributes:
      top1: share of images whose class is ranked first.
      top5: share of images whose class is among the first five.
      majority: share of the most frequent class: the accuracy of a constant answer; NaN without labels.
      num_classes: number of candidate classes.
      num_unlabelled: number of images without a label (empty or -1), which are left out.
      same_names: names of classes whose prompts an earlier class already has; the later class is never predicted.
      per_class: (images classified correctly, images) by name, of the classes with images.
      preprocessing_differences: where the dataset's preprocessing is not the one that the model was tuned with; see
        `TunedModel.preprocessing_differences`.
    """

    top1: Share
    top5: Share
    majority: float
    num_classes: int
    num_unlabelled: int
    same_names: list[str]
    per_class: dict[str, tuple[int, int]]
    preprocessing_differences: dict[str, dict[str, Any]]

    def to_json(self) -> dict[str, Any]:
        """Returns the figures as JSON."""
        majority = self.majority if self.top1.count else None
        shares = {"top1": self.top1.to_json(), "top5": self.top5.to_json(), "majority": majority}
        return {**dataclasses.asdict(self), **shares}


def classify(
    model: TunedModel,
    dataset: EmbeddingDataset,
    classes: Sequence[str],
    templates: tuple[str, ...],
    *,
    selection: Selection | None = None,
    keep_class_embeddings: bool = False,
    report: Report = lambda done, total: None,
) -> ZeroShotResult:
    """Returns how often an image's class is predicted, of selected rows (None: of all).

    The last two arguments are those of `embed_classes`.

    Raises:
      TunedModelError: the dataset comes from a different tower than the model's.
      DatasetError: the selection is of another dataset, or empty.
      LabelError: the dataset has no labels, or a label is not that of a class; or a class cannot have its name.
    """
    model.check_goes_with(dataset)
    check_classes(classes)
    numbers = class_numbers(dataset, classes, selection)
    vectors = embed_classes(model, classes, templates, keep=keep_class_embeddings, report=report)
    right: collections.Counter[int] = collections.Counter()
    seen: collections.Counter[int] = collections.Counter()
    num_right5 = num_unlabelled = 0
    for _, block in blocks_of(dataset, ["embedding", "label"], selection):
        truth = np.array([numbers[label] for label in block["label"].to_pylist()], np.int64)
        labelled = np.flatnonzero(truth != NO_CLASS)
        num_unlabelled += len(truth) - len(labelled)
        if not len(labelled):
            continue
        truth = truth[labelled]
        best = _best_classes(model.embed_images(block.vectors()[labelled]), vectors)
        seen.update(truth.tolist())
        right.update(truth[best[:, 0] == truth].tolist())
        num_right5 += int((best == truth[:, None]).any(axis=1).sum())
    count = seen.total()
    return ZeroShotResult(
        top1=Share(right=right.total(), count=count, chance=1 / len(classes)),
        top5=Share(right=num_right5, count=count, chance=chance_of_a_hit(len(classes), 1, _TOP)),
        majority=max(seen.values()) / count if count else math.nan,
        num_classes=len(classes),
        num_unlabelled=num_unlabelled,
        same_names=_same_names(classes),
        per_class=_by_name(classes, right, seen),
        preprocessing_differences=model.preprocessing_differences(dataset),
    )


def _best_classes(images: Float32[np.ndarray, "n d"], classes: Float32[np.ndarray, "c d"]) -> Int64[np.ndarray, "n k"]:
    """Returns each image's best classes, at most five, the best first and equal ones in their order."""
    best = np.empty((len(images), min(_TOP, len(classes))), np.int64)
    tile = max(1, _TILE_NUMBERS // len(classes))
    for start in range(0, len(images), tile):
        scores = images[start : start + tile] @ classes.T
        rows = np.arange(len(scores))
        for place in range(best.shape[1]):
            chosen = scores.argmax(axis=1)  # the first of equal ones
            best[start + rows, place] = chosen
            scores[rows, chosen] = -np.inf
    return best


def _by_name(classes: Sequence[str], right: Mapping[int, int], seen: Mapping[int, int]) -> dict[str, tuple[int, int]]:
    """Returns (images classified correctly, images) by name; of classes with the same name, their sum."""
    found: dict[str, tuple[int, int]] = {}
    for number in sorted(seen):
        before = found.get(classes[number], (0, 0))
        found[classes[number]] = (before[0] + right.get(number, 0), before[1] + seen[number])
    return found


def _same_names(classes: Sequence[str]) -> list[str]:
    names = [class_name(name) for name in classes]
    first = {name: place for place, name in reversed(list(enumerate(names)))}
    return [classes[place] for place, name in enumerate(names) if first[name] < place]
