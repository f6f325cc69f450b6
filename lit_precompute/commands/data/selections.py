"""Selections in words and as JSON, for the commands that make or show them."""

import json
from typing import Any

import rich.console

from lit_precompute.commands.console import card, print_json
from lit_precompute.schemas.sharing.selection import Selection
from lit_precompute.schemas.wording import counted


def show_selection(console: rich.console.Console, path: str, *, as_json: bool) -> None:
    """Prints which rows a selection names, and how they were found."""
    selection = Selection.open(path)
    if as_json:
        print_json(describe_selection(selection))
        return
    criteria = selection.made_by.get("criteria", selection.made_by)
    lines = [
        ("selection", path),
        ("rows", share_in_words(selection)),
        ("dataset", str(selection.made_by.get("dataset", "unknown"))),
        ("its digest", selection.dataset.digest),
        ("its embeddings", selection.dataset.embeddings),
        *((f"by {name}", json.dumps(value, ensure_ascii=False)) for name, value in criteria.items()),
        ("digest", selection.digest),
    ]
    console.print(card(lines))


def describe_selection(selection: Selection) -> dict[str, Any]:
    """Returns what a selection is, as JSON."""
    return {
        "num_selected": selection.num_selected,
        "num_rows": selection.dataset.num_rows,
        "digest": selection.digest,
        "dataset": {"path": selection.made_by.get("dataset"), **selection.dataset.model_dump()},
        "made_by": dict(selection.made_by),
    }


def share_in_words(selection: Selection) -> str:
    """Returns how many rows a selection has, of how many."""
    total = selection.dataset.num_rows
    return f"{selection.num_selected:,} of {counted(total, 'row')} ({selection.num_selected / max(total, 1):.3%})"
