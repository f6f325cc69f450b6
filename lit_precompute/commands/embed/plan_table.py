"""The estimate of a job as a card and a table, with a column for each tower."""

from __future__ import annotations

from typing import TYPE_CHECKING

import rich.console
import rich.table
import rich.text

from lit_precompute.commands.console import card, duration
from lit_precompute.precompute.sources.opening import files_in_words, format_in_words
from lit_precompute.schemas.wording import counted, one_line

if TYPE_CHECKING:
    from lit_precompute.pipelines.estimates.estimate import TowerEstimate
    from lit_precompute.pipelines.estimates.job import JobEstimate


def show(estimate: JobEstimate, console: rich.console.Console) -> None:
    """Prints the estimate."""
    source = estimate.source
    about = "" if source.is_exact else "about "
    image = "" if source.image_bytes is None else f", {_size(source.image_bytes)} an image"
    read = "not known" if source.read_bytes is None else f"{about}{_size(source.read_bytes)}{image}"
    shards = f"{about}{counted(source.num_shards, 'shard')} of up to {counted(estimate.rows_per_shard, 'row')}"
    what = format_in_words(source.format)
    limit = f"of the {_size(estimate.graph_limit_bytes)} that Dataflow takes"
    console.print(
        card(
            [
                ("source", f"{source.path} ({what}, {files_in_words(source.format, source.num_files)})"),
                ("rows", f"{about}{source.num_rows:,}, {source.basis}"),
                ("shards", shards),
                ("reads", read),
                ("machine", f"{estimate.machine}, {estimate.runner}"),
                ("graph", f"{_size(estimate.graph_bytes)} {limit}"),
            ]
        )
    )
    console.print()
    console.print(_table(estimate))
    for note in estimate.notes:
        console.print(f"  - {one_line(note)}")


def _table(estimate: JobEstimate) -> rich.table.Table:
    table = rich.table.Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("")
    for tower in estimate.towers:
        table.add_column(rich.text.Text(tower.name), justify="right", overflow="fold")
    columns = [_figures(tower, estimate.prices["currency"], estimate.vector_type) for tower in estimate.towers]
    for name in dict.fromkeys(name for column in columns for name in column):
        table.add_row(name, *(column.get(name, "") for column in columns))
    return table


def _figures(tower: TowerEstimate, currency: str, vector_type: str) -> dict[str, str]:
    """Returns one tower's figures by name, in the order of the table."""
    figures = {
        "numbers, parameters, pixels": f"{tower.width:,}, {tower.num_parameters / 1e6:,.1f} M, {tower.resolution}",
        f"writes vectors ({vector_type})": _size(tower.vector_bytes),
        "writes texts and labels": _size(tower.words_bytes),
    }
    if (took := tower.duration) is not None:
        figures |= {
            "images/s of a machine": f"{took.images_per_second:,.1f}",
            "until a machine embeds": duration(took.set_up_s),
            "a shard": duration(took.shard_s),
            "machines": f"{took.machines:,}",
            "until the job ends": duration(took.hours * 3600),
            "machine hours": f"{took.machine_hours:,.2f}",
        }
    for cost in tower.costs:
        figures[f"{currency}, {cost.tariff}"] = "no price" if cost.total is None else _money(cost.total)
    if tower.costs and tower.stored_month is not None:
        figures[f"{currency} a month, stored"] = _money(tower.stored_month)
    if (epochs := tower.epochs) is not None:
        figures["pays after epochs"] = "never" if epochs.pays_after is None else f"{epochs.pays_after:,.2f}"
        for number, speed_up in epochs.speed_ups.items():
            figures[f"speed-up, {counted(number, 'epoch')}"] = f"{speed_up:,.2f}"
    return figures


def _money(amount: float) -> str:
    return f"{amount:,.2f}" if amount >= 1 else f"{amount:.4f}"


def _size(num_bytes: float) -> str:
    """Returns a size in words: "340 bytes", "1.2 MB", "3.4 TB"."""
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if num_bytes >= size:
            return f"{num_bytes / size:,.1f} {unit}"
    return counted(round(num_bytes), "byte")
