"""A plot of a run: loss and scale over the steps, and what was found on held-out rows."""

import io
import os
import pathlib
from collections.abc import Sequence
from typing import Any

from lit_precompute.schemas.storage import write_bytes_atomically
from lit_precompute.tune.training.metrics import FILE_NAME, read_metrics
from lit_precompute.tune.training.progress import minival_of

PLOT_NAME = "loss.png"


def plot_losses(directory: str | os.PathLike[str]) -> pathlib.Path:
    """Draws the metrics of a run into `loss.png` beside them and returns its path."""
    pyplot = load_pyplot()
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
    return save_figure(figure, pathlib.Path(directory) / PLOT_NAME)


def load_pyplot() -> Any:
    """Returns matplotlib's pyplot, which takes a second to import, set to draw without a display."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    return pyplot


def save_figure(figure: Any, path: pathlib.Path) -> pathlib.Path:
    """Writes a figure as PNG, closes it, and returns the path."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=120)
    load_pyplot().close(figure)
    write_bytes_atomically(path, stream.getvalue())
    return path


def _plot_minival(loss_axes: Any, axes: Any, validated: Sequence[tuple[float, dict[str, float]]]) -> None:
    """Draws the loss on held-out rows beside that in training, and each recall below."""
    steps = [step for step, _ in validated]
    loss_axes.plot(steps, [found["loss"] for _, found in validated], "o-", color="tab:green", label="held-out rows")
    loss_axes.legend(loc="upper center", fontsize="small")
    loss_axes.set_xlabel("")
    for name in validated[-1][1]:
        if name != "loss":
            values = [100 * found[name] for _, found in validated]
            axes.plot(steps, values, "o-", markersize=3, label=name.replace("_", " "))
    axes.set(xlabel="step", ylabel="recall on held-out rows (%)")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, fontsize="small", frameon=False)
