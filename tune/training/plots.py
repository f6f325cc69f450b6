"""Plots of a run, losses, scale and what was found on held-out rows, and of a sweep: the measure over its values."""

import io
import math
import os
import pathlib
from collections.abc import Sequence
from typing import Any

from lit_precompute.schemas.storage import write_bytes_atomically
from lit_precompute.tune.config.sweeping import SEED, short_names
from lit_precompute.tune.training.metrics import FILE_NAME, read_metrics
from lit_precompute.tune.training.progress import minival_of
from lit_precompute.tune.training.sweep_table import SweepResult, lower_is_better

PLOT_NAME, SWEEP_PLOT_NAME = "loss.png", "sweep.png"
_MOST_IN_LEGEND = 12


def plot_losses(directory: str | os.PathLike[str]) -> pathlib.Path:
    """Draws the metrics of a run into `loss.png` beside them and returns its path."""
    pyplot = _pyplot()
    lines = read_metrics(pathlib.Path(directory) / FILE_NAME)
    steps = [line["step"] for line in lines]
    validated = [(line["step"], found) for line in lines if (found := minival_of(line))]
    size = {"figsize": (6.4, 6.0 if validated else 3.6), "layout": "constrained"}
    figure, axes = pyplot.subplots(2 if validated else 1, squeeze=False, sharex=True, **size)
    loss_axes = axes[0, 0]
    loss_axes.plot(steps, [line["loss"] for line in lines], color="tab:blue")
    loss_axes.set(xlabel="step", ylabel="loss (nats)")
    loss_axes.yaxis.label.set_color("tab:blue")
    scale_axes = loss_axes.twinx()
    scale_axes.plot(steps, [line["scale"] for line in lines], color="tab:orange", linewidth=1)
    scale_axes.set_ylabel("scale (1/temperature)", color="tab:orange")
    if validated:
        _plot_minival(loss_axes, axes[1, 0], validated)
    return _save(figure, pathlib.Path(directory) / PLOT_NAME)


def plot_sweep(directory: str | os.PathLike[str], result: SweepResult) -> pathlib.Path:
    """Draws a sweep into `sweep.png` in its directory and returns its path.

    Beside the losses there is a plot for each field but the seed: a dot for each run, and a line through the means of
    all runs with equal values. Colours are the same in all, from the best run to the worst.
    """
    pyplot = _pyplot()
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
    return _save(figure, pathlib.Path(directory) / SWEEP_PLOT_NAME)


def _plot_field(axes: Any, result: SweepResult, path: str, colours: Any) -> None:
    """Draws the measure over a field's values, at equal distances; numbers are in ascending order."""
    measured = [
        (run, colour) for run, colour in zip(result.runs, colours, strict=True) if result.measure in run.figures
    ]
    values = list(dict.fromkeys(run.values[path] for run in result.runs))
    if all(isinstance(value, int | float) for value in values):
        values.sort()
    by_value: dict[int, list[float]] = {}
    for run, colour in measured:
        place, figure = values.index(run.values[path]), run.figures[result.measure]
        by_value.setdefault(place, []).append(figure)
        axes.plot(place, figure, "o", color=colour)
    places = sorted(by_value)
    axes.plot(places, [math.fsum(by_value[each]) / len(by_value[each]) for each in places], color="grey", zorder=0)
    axes.set_xticks(range(len(values)), [str(value) for value in values])


def _pyplot() -> Any:
    import matplotlib

    matplotlib.use("agg")  # writes files only, so no display is needed
    from matplotlib import pyplot

    return pyplot


def _save(figure: Any, path: pathlib.Path) -> pathlib.Path:
    """Writes a figure as PNG and closes it."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=120)
    _pyplot().close(figure)
    write_bytes_atomically(path, stream.getvalue())
    return path


def _plot_minival(loss_axes: Any, axes: Any, validated: Sequence[tuple[float, dict[str, float]]]) -> None:
    """Draws the loss on held-out rows beside that in training, and each recall below."""
    steps = [step for step, _ in validated]
    loss_axes.plot(steps, [found["loss"] for _, found in validated], "o-", color="tab:green", label="held-out rows")
    loss_axes.legend(loc="upper center")
    loss_axes.set_xlabel("")
    for name in validated[-1][1]:
        if name != "loss":
            values = [100 * found[name] for _, found in validated]
            axes.plot(steps, values, "o-", markersize=3, label=name.replace("_", " "))
    axes.set(xlabel="step", ylabel="recall on held-out rows (%)")
    axes.legend()
