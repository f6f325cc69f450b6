"""A plot of a choice: recall over cost, with the intervals."""

from __future__ import annotations

import pathlib

from lit_precompute.choosing.result import MEASURE, ChosenTower, TowerChoice
from lit_precompute.tune.training.plots import load_pyplot, save_figure


def plot_choice(path: str, choice: TowerChoice) -> pathlib.Path:
    """Draws R@5 of each tower over what a million rows cost with it, and returns the path of the PNG file."""
    pyplot = load_pyplot()
    figure, axes = pyplot.subplots(figsize=(6.4, 4.2), layout="constrained")
    for tower in choice.towers:
        if tower.recalls:
            value, low, high = (100 * each for each in tower.recalls[MEASURE])
            cost = tower.million_rows.compared
            axes.errorbar(cost, value, yerr=[[value - low], [high - value]], fmt="o", capsize=4)
            beside = {"xytext": (0, 5), "textcoords": "offset points", "ha": "center", "fontsize": "small"}
            axes.annotate(tower.name, (cost, high), **beside)
    chance = 100 * choice.chances[MEASURE]
    axes.axhline(chance, color="grey", linestyle="--", linewidth=1)
    axes.annotate("chance", (0.01, chance), xycoords=("axes fraction", "data"), va="bottom", color="grey")
    axes.margins(x=0.25, y=0.15)
    axes.set(xlabel=_cost_in_words(choice), ylabel="R@5, mean of both ways (%)")
    axes.set(xlim=(0, None), ylim=(0, None))
    axes.set_title(
        f"{choice.num_held_out:,} held-out rows, {choice.trainings} trainings, 95 % intervals", fontsize="medium"
    )
    return save_figure(figure, pathlib.Path(path))


def _cost_in_words(choice: TowerChoice) -> str:
    """Returns what the costs are: money where there is a price, else hours."""
    first: ChosenTower = choice.towers[0]
    priced = [tariff for tariff, money in first.million_rows.money.items() if money is not None]
    return (
        f"{choice.currency}, {priced[0]}, per million rows"
        if priced
        else f"hours of {choice.machine}, per million rows"
    )
