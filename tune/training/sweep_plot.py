"""A plot of a sweep: the losses of all runs, and the measure over each swept value."""

import math
import os
import pathlib
from typing import Any

from lit_precompute.tune.config.fields import Scalar
from lit_precompute.tune.config.sweeping import SEED, short_names
from lit_precompute.tune.training.metrics import FILE_NAME, read_metrics
from lit_precompute.tune.training.plots import load_pyplot, save_figure
from lit_precompute.tune.training.sweep_table import SweepResult, lower_is_better

SWEEP_PLOT_NAME = "sweep.png"
_MOST_IN_LEGEND = 12


def plot_sweep(directory: str | os.PathLike[str], result: SweepResult) -> pathlib.Path:
    """Draws a sweep into `sweep.png` in its directory and returns its path.

    Beside the losses there is a plot for each field but the seed: a dot for each run, and a line through the means of
    all runs with equal values. Colours are the same in all, from the best run to the worst.
    """
    pyplot = load_pyplot()
    names, lower = short_names([*result.runs[0].values]), lower_is_better(result.measure)
    paths = [path for path in names if path != SEED] or [*names]
    figure, all_axes = pyplot.subplots(
        1, 1 + len(paths), figsize=(5.2 + 3.2 * len(paths), 3.8), layout="constrained", squeeze=False
    )
    colours = pyplot.get_cmap("viridis")([place / max(1, len(result.runs) - 1) for place in range(len(result.runs))])
    loss_axes = all_axes[0, 0]
    for run, colour in reversed([*zip(result.runs, colours, strict=True)]):  # the best one on top
        metrics = pathlib.Path(directory) / run.name / FILE_NAME
        lines = read_metrics(metrics) if metrics.exists() else []
        steps, losses = [line["step"] for line in lines], [line["loss"] for line in lines]
        loss_axes.plot(steps, losses, color=colour, linewidth=1, label=run.name)
    loss_axes.set(xlabel="step", ylabel="loss (nats)")
    if len(result.runs) <= _MOST_IN_LEGEND:
        handles, labels = loss_axes.get_legend_handles_labels()
        loss_axes.legend(handles[::-1], labels[::-1], fontsize=6, title="best first", title_fontsize=6)
    for axes, path in zip(all_axes[0, 1:], paths, strict=True):
        _plot_field(axes, result, path, colours)
        axes.set(xlabel=names[path], ylabel=f"{result.measure} ({'lower' if lower else 'higher'} is better)")
    return save_figure(figure, pathlib.Path(directory) / SWEEP_PLOT_NAME)


def _plot_field(axes: Any, result: SweepResult, path: str, colours: Any) -> None:
    """Draws the measure over a field's values, at equal distances; numbers are in ascending order."""
    measured = [
        (run, colour) for run, colour in zip(result.runs, colours, strict=True) if result.measure in run.figures
    ]
    values: list[Scalar] = list(dict.fromkeys(run.values[path] for run in result.runs))
    numbers = sorted(value for value in values if isinstance(value, int | float))
    if len(numbers) == len(values):
        values = [*numbers]
    by_value: dict[int, list[float]] = {}
    for run, colour in measured:
        place, figure = values.index(run.values[path]), run.figures[result.measure]
        by_value.setdefault(place, []).append(figure)
        axes.plot(place, figure, "o", color=colour)
    places = sorted(by_value)
    axes.plot(places, [math.fsum(by_value[each]) / len(by_value[each]) for each in places], color="grey", zorder=0)
    axes.set_xticks(range(len(values)), [str(value) for value in values])
