"""A plot of a run: loss and scale over the steps."""

import io
import os
import pathlib

from lit_precompute.schemas.storage import write_bytes_atomically
from lit_precompute.tune.training.metrics import FILE_NAME, read_metrics

PLOT_NAME = "loss.png"


def plot_losses(directory: str | os.PathLike[str]) -> pathlib.Path:
    """Draws the metrics of a run into `loss.png` beside them and returns its path."""
    import matplotlib

    matplotlib.use("agg")  # writes files only, so no display is needed
    from matplotlib import pyplot

    lines = read_metrics(pathlib.Path(directory) / FILE_NAME)
    steps = [line["step"] for line in lines]
    figure, loss_axes = pyplot.subplots(figsize=(6.4, 3.6), layout="constrained")
    loss_axes.plot(steps, [line["loss"] for line in lines], color="tab:blue")
    loss_axes.set(xlabel="step", ylabel="loss (nats)")
    loss_axes.yaxis.label.set_color("tab:blue")
    scale_axes = loss_axes.twinx()
    scale_axes.plot(steps, [line["scale"] for line in lines], color="tab:orange", linewidth=1)
    scale_axes.set_ylabel("scale (1/temperature)", color="tab:orange")
    path = pathlib.Path(directory) / PLOT_NAME
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=120)
    pyplot.close(figure)
    write_bytes_atomically(path, stream.getvalue())
    return path
