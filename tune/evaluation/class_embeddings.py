"""Class embeddings: what the prompts of each class say, as one vector.

Promises: a class's embedding is the mean of its prompts' unit-norm embeddings, normalised again. Memory follows classes
times width, however many prompts a class has. What was computed once is kept on this machine, see
`class_embedding_cache`.

Source: arXiv:2111.07991, section 3.1; big_vision, evaluators/proj/image_text/discriminative_classifier.py.
"""

import itertools
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float32

from lit_precompute.tune.evaluation import class_embedding_cache
from lit_precompute.tune.evaluation.prompts import make_prompts
from lit_precompute.tune.model.tuned_model import TunedModel

_EPSILON = 1e-8
PROMPTS_AT_ONCE = 1_024

Report = Callable[[int, int], object]


def embed_classes(
    model: TunedModel,
    classes: Sequence[str],
    templates: tuple[str, ...],
    *,
    keep: bool = True,
    report: Report = lambda done, total: None,
) -> Float32[np.ndarray, "classes d"]:
    """Returns one unit-norm embedding per class, from the cache or as `compute` gives them.

    Args:
      model: the tuned model; one that was not loaded from a directory is not cached.
      classes: names of classes.
      templates: of the prompts.
      keep: whether to look into the cache and to keep the result there.
      report: called with the classes done and all classes, where the work takes several steps.
    """
    key = class_embedding_cache.make_key(model, classes, templates) if keep else None
    found = class_embedding_cache.read(key, (len(classes), model.output_width)) if key is not None else None
    if found is not None:
        return found
    vectors = compute(model, classes, templates, report)
    if key is not None:
        class_embedding_cache.write(key, vectors)
    return vectors


def compute(
    model: TunedModel,
    classes: Sequence[str],
    templates: tuple[str, ...],
    report: Report = lambda done, total: None,
) -> Float32[np.ndarray, "classes d"]:
    """Returns one unit-norm embedding per class; `PROMPTS_AT_ONCE` prompts are in memory at a time, and one class's."""
    prompts = (prompt for name in classes for prompt in make_prompts(name, templates))
    vectors = np.empty((len(classes), model.output_width), np.float32)
    rows, done = vectors[:0], 0
    while piece := list(itertools.islice(prompts, PROMPTS_AT_ONCE)):
        rows = np.concatenate([rows, model.embed_texts(piece)])
        count = len(rows) // len(templates)
        whole, rows = np.split(rows, [count * len(templates)])
        vectors[done : done + count] = whole.reshape(count, len(templates), model.output_width).mean(axis=1)
        done += count
        if len(classes) * len(templates) > PROMPTS_AT_ONCE:
            report(done, len(classes))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True) + _EPSILON
    return vectors
