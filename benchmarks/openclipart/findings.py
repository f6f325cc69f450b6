"""Means over seeds, the paper's figure 8 for these drawings, and which findings of its appendix C hold here."""

import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from benchmarks.openclipart.runs import COMBINATIONS, MEASURES, SIGNALS, TOKENS, Reached
from lit_precompute.tune.evaluation.statistics import mean_interval

# The shorter texts, to which the paper restricts all but its first comparison.
SHORT = TOKENS[0]


class Mean(NamedTuple):
    """A mean over seeds and Student's 95 % interval of it, infinite for one seed."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        spread = f" +- {self.high - self.value:.1f}" if self.high < float("inf") else ""
        return f"{self.value:.1f}{spread}"


def mean_of(reached: Sequence[Reached], setting: str, max_tokens: int, measure: str) -> Mean | None:
    """Returns the mean of a measure over the seeds of a setting; None if there is no such run."""
    values = [each.figures[measure] for each in reached if (each.setting, each.max_tokens) == (setting, max_tokens)]
    return Mean(sum(values) / len(values), *mean_interval(values)) if values else None


def table(reached: Sequence[Reached]) -> str:
    """Returns all means as a table in Markdown."""
    lines = [f"| texts | tokens | {' | '.join(MEASURES)} |", f"|---|---|{'---|' * len(MEASURES)}"]
    for setting in (*SIGNALS, *COMBINATIONS):
        for max_tokens in TOKENS:
            means = [mean_of(reached, setting, max_tokens, measure) for measure in MEASURES]
            if None not in means:
                lines.append(f"| {setting} | {max_tokens} | {' | '.join(map(str, means))} |")
    return "\n".join(lines)


def findings(reached: Sequence[Reached]) -> list[str]:
    """Returns, for each finding of appendix C, whether it holds here, and why."""
    return [_short_texts(reached), _winner(reached), _joint(reached)]


def _short_texts(reached: Sequence[Reached]) -> str:
    """16 tokens are as good as 32: the difference is small beside that between signals."""
    gains = {
        (setting, measure): long.value - short.value
        for setting in SIGNALS
        for measure in MEASURES
        if (short := mean_of(reached, setting, TOKENS[0], measure)) is not None
        and (long := mean_of(reached, setting, TOKENS[1], measure)) is not None
    }
    (setting, measure), largest = max(gains.items(), key=lambda item: abs(item[1]))
    spread = max(_spread(reached, measure) for measure in MEASURES)
    verdict = "holds" if abs(largest) < spread / 2 else "does not hold"
    average = sum(gains.values()) / len(gains)
    return (
        f"'the difference between 16 and 32 tokens is small' {verdict}: {average:+.1f} points on average, at most "
        f"{largest:+.1f} ({setting}, {measure}); signals differ by up to {spread:.1f}"
    )


def _spread(reached: Sequence[Reached], measure: str) -> float:
    """Returns by how much the signals differ in a measure, with short texts."""
    values = [mean.value for each in SIGNALS if (mean := mean_of(reached, each, SHORT, measure)) is not None]
    return max(values) - min(values)


def _winner(reached: Sequence[Reached]) -> str:
    """There is no single clear winner among the signals."""
    best = {measure: _best(reached, SIGNALS, measure) for measure in MEASURES}
    verdict = "holds" if len({*best.values()}) > 1 else "does not hold"
    return f"'there is no single clear winner among the signals' {verdict}: " + ", ".join(
        f"{setting} in {measure}" for measure, setting in best.items()
    )


def _joint(reached: Sequence[Reached]) -> str:
    """All signals jointly are better than one of them for each image, or for each batch."""
    best = {measure: _best(reached, COMBINATIONS, measure) for measure in MEASURES}
    num_joint = [*best.values()].count("joint")
    verdict = "holds" if num_joint == len(MEASURES) else f"holds in {num_joint} of {len(MEASURES)} measures"
    values = {setting: [mean_of(reached, setting, SHORT, measure) for measure in MEASURES] for setting in COMBINATIONS}
    averages = ", ".join(
        f"{setting} {sum(mean.value for mean in means if mean) / len(MEASURES):.1f}"
        for setting, means in values.items()
    )
    return f"'jointly using all signals works better than sampling one' {verdict}: on average over measures {averages}"


def _best(reached: Sequence[Reached], settings: Sequence[str], measure: str) -> str:
    """Returns the best setting in a measure, with short texts."""
    means = {each: mean for each in settings if (mean := mean_of(reached, each, SHORT, measure)) is not None}
    return max(means, key=lambda each: means[each].value)


def plot(reached: Sequence[Reached], path: pathlib.Path) -> None:
    """Draws the paper's figure 8: signals with each number of tokens above, ways to combine them below."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, len(MEASURES), figsize=(13, 5.2), layout="constrained", sharey="col")
    for column, measure in enumerate(MEASURES):
        for row, settings in enumerate((SIGNALS, COMBINATIONS)):
            _plot_bars(axes[row, column], reached, settings, measure)
        axes[0, column].set_title(measure if column == 0 else f"{measure}, R@5", fontsize=9)
        axes[0, column].set_ylim(bottom=0)  # an interval of few seeds may reach below
    axes[0, 0].legend(fontsize=8)
    for row in range(2):
        axes[row, 0].set_ylabel("% on held-out drawings")
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _plot_bars(axes: Any, reached: Sequence[Reached], settings: Sequence[str], measure: str) -> None:
    for number, (max_tokens, colour) in enumerate(zip(TOKENS, ("tab:blue", "tab:orange"), strict=True)):
        means = [mean_of(reached, setting, max_tokens, measure) for setting in settings]
        there = [(place, mean) for place, mean in enumerate(means) if mean is not None]
        if not there:
            continue
        places, heights = [place + 0.4 * number - 0.2 for place, _ in there], [mean.value for _, mean in there]
        errors = [min(mean.high - mean.value, 100) if mean.high < float("inf") else 0 for _, mean in there]
        axes.bar(places, heights, 0.38, yerr=errors, color=colour, capsize=2, label=f"{max_tokens} tokens")
    axes.set_xticks(range(len(settings)), settings, fontsize=8)
