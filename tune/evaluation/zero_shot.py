"""Zero-shot classification: an image belongs to the class whose prompts are nearest.

Promises: a class's embedding is the mean of its prompts' unit-norm embeddings, normalised again; the prediction is the
class with the largest dot product, the first one on ties. Memory is bounded by one block of images and the classes.

Source: arXiv:2111.07991, section 3.1 and appendix G.1; big_vision,
evaluators/proj/image_text/discriminative_classifier.py.
"""

import collections
import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float32

from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.tune.evaluation.prompts import PromptError, class_name, make_prompts
from lit_precompute.tune.evaluation.statistics import Share, chance_of_a_hit
from lit_precompute.tune.model.tuned_model import TunedModel

_EPSILON = 1e-8
_TOP = 5


@dataclasses.dataclass(frozen=True, kw_only=True)
class ZeroShotResult:
    """Accuracy, and what to compare it with.

    Attributes:
      top1: share of images whose class is ranked first.
      top5: share of images whose class is among the first five.
      majority: share of the most frequent class: the accuracy of a constant answer.
      num_classes: number of candidate classes.
      num_unlabelled: number of images without a label, which are left out.
      same_names: names that an earlier class already has; the later class is never predicted.
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
        return {**dataclasses.asdict(self), "top1": self.top1.to_json(), "top5": self.top5.to_json()}


def class_vectors(
    model: TunedModel, classes: Sequence[str], templates: tuple[str, ...]
) -> Float32[np.ndarray, "classes d"]:
    """Returns one unit-norm embedding per class."""
    prompts = [prompt for name in classes for prompt in make_prompts(name, templates)]
    vectors = model.embed_texts(prompts).reshape(len(classes), len(templates), -1).mean(axis=1)
    return vectors / (np.linalg.norm(vectors, axis=1, keepdims=True) + _EPSILON)


def distinct_labels(dataset: EmbeddingDataset) -> list[str]:
    """Returns the dataset's distinct labels, sorted; an empty string is no label.

    Raises:
      PromptError: the dataset has no labels.
    """
    _check_labels(dataset)
    labels: set[str] = set()
    for block in dataset.blocks(columns=["label"]):
        labels.update(block["label"].to_pylist())
    labels.discard("")
    if not labels:
        raise PromptError(f"{dataset.path}: no row has a label, so there are no classes; give --classes")
    return sorted(labels)


def classify(
    model: TunedModel, dataset: EmbeddingDataset, classes: Sequence[str], templates: tuple[str, ...]
) -> ZeroShotResult:
    """Returns how often an image's class is predicted.

    Raises:
      TunedModelError: the dataset comes from a different tower than the model's.
      PromptError: the dataset has no labels, or a label is neither the name nor the number of a class.
    """
    model.check_goes_with(dataset)
    _check_labels(dataset)
    numbers = _numbers_by_label(classes)
    vectors = class_vectors(model, classes, templates)
    right: collections.Counter[int] = collections.Counter()
    seen: collections.Counter[int] = collections.Counter()
    num_right5 = num_unlabelled = 0
    for block in dataset.blocks(columns=["embedding", "label"]):
        labels = block["label"].to_pylist()
        labelled: list[int] = np.flatnonzero([label != "" for label in labels]).tolist()
        num_unlabelled += len(labels) - len(labelled)
        truth = np.array([_number(numbers, labels[row], classes, dataset, block, row) for row in labelled], np.int64)
        if not len(truth):
            continue
        scores = model.embed_images(block.vectors()[labelled]) @ vectors.T
        best = np.argsort(-scores, axis=1, kind="stable")[:, :_TOP]
        seen.update(truth.tolist())
        right.update(truth[best[:, 0] == truth].tolist())
        num_right5 += int((best == truth[:, None]).any(axis=1).sum())
    count = seen.total()
    return ZeroShotResult(
        top1=Share(right=right.total(), count=count, chance=1 / len(classes)),
        top5=Share(right=num_right5, count=count, chance=chance_of_a_hit(len(classes), 1, _TOP)),
        majority=max(seen.values(), default=0) / max(count, 1),
        num_classes=len(classes),
        num_unlabelled=num_unlabelled,
        same_names=_same_names(classes),
        per_class={classes[number]: (right[number], seen[number]) for number in sorted(seen)},
        preprocessing_differences=model.preprocessing_differences(dataset),
    )


def _check_labels(dataset: EmbeddingDataset) -> None:
    if "labels" not in dataset.tables:
        raise PromptError(
            f"{dataset.path}: has no table 'labels'; embed a source with a column of labels (--label-column)"
        )


def _numbers_by_label(classes: Sequence[str]) -> dict[str, int]:
    """Returns the class of each label: its whole name, its first alias, or its number in decimal digits."""
    numbers = {str(number): number for number in range(len(classes))}
    for spelling in (class_name, str):
        numbers |= {spelling(name): number for number, name in reversed(list(enumerate(classes)))}
    return numbers


def _number(
    numbers: dict[str, int], label: str, classes: Sequence[str], dataset: EmbeddingDataset, block: Any, row: int
) -> int:
    number = numbers.get(label, numbers.get(class_name(label)))
    if number is None:
        raise PromptError(
            f"{dataset.path}, row {block.first_row + row}: the label {label!r} is neither one of the {len(classes)} "
            f"classes nor a number below {len(classes)}; give the right --classes"
        )
    return number


def _same_names(classes: Sequence[str]) -> list[str]:
    names = [class_name(name) for name in classes]
    first = {name: place for place, name in reversed(list(enumerate(names)))}
    return [name for place, name in enumerate(names) if first[name] < place]
