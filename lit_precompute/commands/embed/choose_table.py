"""The comparison of towers as a table, best first, with what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import rich.console
import rich.table
import rich.text

from lit_precompute.choosing.choosing import JSON_NAME, PLOT_NAME
from lit_precompute.choosing.result import MEASURE, points
from lit_precompute.commands.console import card, duration
from lit_precompute.schemas.wording import counted, one_line
from lit_precompute.tune.evaluation.statistics import percent

if TYPE_CHECKING:  # they import JAX
    from lit_precompute.choosing.result import TowerChoice
    from lit_precompute.tune.evaluation.paired import Estimate

_KS = (1, 5, 10)
_WAYS = {"mean": "both ways", "image_to_text": "image -> text", "text_to_image": "text -> image"}


def show(choice: TowerChoice, console: rich.console.Console) -> None:
    """Prints the comparison."""
    text_side = f"heads over {choice.text_tower}" if choice.text_tower else "a small text tower"
    tuned = f"{text_side}, on {counted(choice.num_trained_on, 'row')}; {counted(choice.trainings, 'training')} a tower"
    held_out = f"{counted(choice.num_held_out, 'row')} with {counted(choice.num_held_out_texts, 'text')}"
    is_smaller = choice.num_rows < choice.num_asked
    drawn = f", which are fewer than {choice.num_asked:,}" if is_smaller else ", drawn over all of it"
    rows = {
        "sample": f"{counted(choice.num_rows, 'row')} of {choice.source}{drawn}",
        "tuned": tuned,
        "held out": f"{held_out}; R@5 by chance {percent(choice.chances[MEASURE])}",
        "embedded on": choice.device,
    }
    console.print(card(rows.items()))
    console.print()
    console.print(_costs(choice))
    console.print(_recalls(choice))
    for tower in choice.towers:
        if tower.error:
            console.print(f"{tower.name}: a training failed: {one_line(tower.error)}")
    console.print(f"verdict  {choice.verdict}")
    for note in choice.notes:
        console.print(f"  - {one_line(note)}")
    console.print(f"plot  {choice.output}/{PLOT_NAME}   all figures  {choice.output}/{JSON_NAME}")


def _costs(choice: TowerChoice) -> rich.table.Table:
    tariffs = [*choice.towers[0].million_rows.money]
    table = rich.table.Table(title="images per second here, and cost of a million rows", title_justify="left")
    for name in ("tower", "numbers", "parameters", "pixels", "tower alone", "decoding alone", "job", "limit", "hours"):
        table.add_column(name, justify="right", overflow="fold")
    table.columns[0].justify = "left"
    for tariff in tariffs:
        table.add_column(f"{choice.currency}, {tariff}", justify="right")
    for tower in choice.towers:
        cost = tower.million_rows
        money = ("no price" if cost.money[tariff] is None else f"{cost.money[tariff]:,.2f}" for tariff in tariffs)
        rates = (
            "not known" if rate is None else f"{rate:,.1f}"
            for rate in (tower.tower_rate, tower.decoding_rate, tower.job_rate)
        )
        sizes = (f"{tower.width:,}", f"{tower.num_parameters / 1e6:,.1f} M", str(tower.resolution))
        table.add_row(rich.text.Text(tower.name), *sizes, *rates, tower.limit, duration(cost.hours * 3600), *money)
    return table


def _recalls(choice: TowerChoice) -> rich.table.Table:
    """Returns three lines for each tower: the mean of both ways, and each of them."""
    table = rich.table.Table(title="retrieval on held-out rows, with 95 % intervals", title_justify="left")
    for name in ("tower", "", *(f"R@{k}" for k in _KS), "R@5, to the best"):
        table.add_column(name, justify="right", overflow="fold")
    table.columns[0].justify = table.columns[1].justify = "left"
    for tower in choice.towers:
        for place, (way, words) in enumerate(_WAYS.items() if tower.recalls else ()):
            figures = (_in_words(tower.recalls[f"{way}_recall_at_{k}"]) for k in _KS)
            gap = "" if place else "best" if tower.difference is None else points(tower.difference)
            table.add_row(rich.text.Text("" if place else tower.name), words, *figures, gap)
    return table


def _in_words(estimate: Estimate) -> str:
    low, high = (f"{100 * each:.0f}" for each in estimate[1:])
    return f"{percent(estimate.value)} ({low} to {high})"
