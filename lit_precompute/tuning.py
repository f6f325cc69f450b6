"""Tuning and evaluation as functions: what `lit-tune` and `lit-eval` do, from Python."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.schemas.sharing.selection import Selection
from lit_precompute.tune.config.execution import Execution
from lit_precompute.tune.config.recipe import Recipe

if TYPE_CHECKING:
    from lit_precompute.tune.config.fields import Scalar
    from lit_precompute.tune.evaluation.retrieval import RetrievalResult
    from lit_precompute.tune.evaluation.zero_shot import ZeroShotResult
    from lit_precompute.tune.model.tuned_model import TunedModel
    from lit_precompute.tune.training.progress import Progress
    from lit_precompute.tune.training.sweep import SweepProgress
    from lit_precompute.tune.training.sweep_table import SweepResult


def train(
    dataset: EmbeddingDataset | Sequence[EmbeddingDataset],
    recipe: Recipe,
    output: str | os.PathLike[str],
    *,
    execution: Execution | None = None,
    selection: Selection | Sequence[Selection] | None = None,
    report: Callable[["Progress"], None] = lambda progress: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> "TunedModel":
    """Trains a text tower on a dataset, or several, and returns the tuned model; resumes a run that was stopped.

    Args:
      dataset: image embeddings with their texts; several are mixed as `recipe.data` says.
      recipe: what to train; `RECIPES[name].recipe`, with fields replaced as you like.
      output: directory of the run; the model is written to its folder `model`.
      execution: how to compute it here; `RECIPES[name].execution` suits a named recipe.
      selection: the rows to train on, of each dataset one at most; None: all.
      report: called after each step, with the step and its metrics.
      should_stop: called after each step; True saves a checkpoint and stops.

    Raises:
      ValueError: dataset, selection and recipe do not fit each other, or the output contains another run.
      TrainingError: a loss, gradient or parameter is not finite, or memory runs out.
      TrainingStopped: `should_stop` returned True.
    """
    from lit_precompute.tune.model.tuned_model import TunedModel
    from lit_precompute.tune.training.datasets import trained_on
    from lit_precompute.tune.training.run_directory import RunDirectory
    from lit_precompute.tune.training.trainer import Trainer

    directory = RunDirectory(output, [each.selection for each in trained_on(dataset, selection)])
    if not directory.is_finished(dataset, recipe):
        Trainer(dataset, recipe, output, execution, selection).run(report, should_stop)
    return TunedModel.load(directory.model)


def sweep(
    dataset: EmbeddingDataset | Sequence[EmbeddingDataset],
    recipe: Recipe,
    axes: Mapping[str, Sequence["Scalar"]],
    output: str | os.PathLike[str],
    *,
    execution: Execution | None = None,
    selection: Selection | Sequence[Selection] | None = None,
    evaluate: EmbeddingDataset | None = None,
    measure: str | None = None,
    report: Callable[["SweepProgress"], None] = lambda progress: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> "SweepResult":
    """Trains each combination of values of a recipe's fields, and returns a table, best run first; resumes.

    Args:
      dataset: image embeddings with their texts, or several; what runs read alike is read once.
      recipe: what to train, but for these fields.
      axes: values by path of the field, such as `{"optimizer.learning_rate": [1e-3, 8e-4], "seed": [0, 1, 2]}`.
      output: directory of the sweep; each run is a folder in it, as `train` would make.
      execution: how to compute it here.
      selection: the rows to train on, of each dataset one at most; None: all.
      evaluate: images and texts for retrieval with each model.
      measure: what runs are compared by: `final_loss`; with `evaluate`, `mean_recall` (then the default),
        `image_to_text_recall_at_1` and so on; with `recipe.data.held_out`, `minival_loss`, `minival_mean_recall`
        (then the default) and so on.
      report: called after each step.
      should_stop: called after each step; True saves a checkpoint and stops.

    Raises:
      ValueError: no such field, a value that does not fit it, or datasets and recipe do not fit each other.
      TrainingError: the disk is full. A run whose numbers are not finite is a row of the table.
      TrainingStopped: `should_stop` returned True.
    """
    from lit_precompute.tune.training.sweep import Sweep
    from lit_precompute.tune.training.sweep_plot import plot_sweep

    result = Sweep(
        dataset,
        recipe,
        axes,
        output,
        execution=execution,
        selections=selection,
        evaluate=evaluate,
        measure=measure,
    ).run(report, should_stop=should_stop)
    plot_sweep(output, result)
    return result


def zero_shot(
    model: "TunedModel",
    dataset: EmbeddingDataset,
    classes: Sequence[str] | None = None,
    *,
    templates: str | Sequence[str] = "plain",
    selection: Selection | None = None,
    keep_class_embeddings: bool = True,
    report: Callable[[int, int], object] = lambda done, total: None,
) -> "ZeroShotResult":
    """Classifies images by class names, without training on them, and returns the accuracy.

    Args:
      model: the tuned model.
      dataset: image embeddings with their labels.
      classes: names; labels may be names or positions in this list. None: the dataset's own labels, unless they are
        numbers.
      templates: plain, clip_best, clip_paper, a file of templates, or the templates themselves, with {} for the name.
      selection: the rows to classify; None: all.
      keep_class_embeddings: whether class embeddings are kept in this machine's cache, and taken from there.
      report: called with the class embeddings done and all of them, if they take several steps.

    Raises:
      ValueError: the image tower is not the model's, the selection is not the dataset's, there are no labels, a label
        is not that of a class, or a template does not contain {} exactly once.
    """
    from lit_precompute.tune.evaluation.labels import distinct_labels
    from lit_precompute.tune.evaluation.prompts import check_templates, read_templates
    from lit_precompute.tune.evaluation.zero_shot import classify

    return classify(
        model,
        dataset,
        distinct_labels(dataset, selection) if classes is None else classes,
        read_templates(templates) if isinstance(templates, str) else check_templates(templates),
        selection=selection,
        keep_class_embeddings=keep_class_embeddings,
        report=report,
    )


def retrieval(
    model: "TunedModel", dataset: EmbeddingDataset, *, selection: Selection | None = None, field: str | None = None
) -> "RetrievalResult":
    """Returns recall at 1, 5 and 10, from images to texts and from texts to images.

    Args:
      model: the tuned model.
      dataset: image embeddings with their texts.
      selection: the rows whose images and texts are the candidates; None: all.
      field: the dataset's column of texts; None: the only field that the model was tuned on, if the dataset has it, and
        otherwise `texts`.

    Raises:
      ValueError: the image tower is not the model's, the selection is not the dataset's, or there are no texts.
    """
    from lit_precompute.tune.evaluation.retrieval import evaluate, evaluated_field

    return evaluate(model, dataset, selection, evaluated_field(model, dataset) if field is None else field)
