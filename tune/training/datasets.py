"""The datasets that a run is trained on: which selection is whose, and whether they go together.

Promises: all come from one image network, with embeddings of one width. Resolution, preprocessing and the stored type
may differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from jaxtyping import Int64

from lit_precompute.schemas import EmbeddingDataset, TowerCard
from lit_precompute.schemas.manifest import Manifest
from lit_precompute.schemas.sharing.selected_rows import check_selection, rows_of
from lit_precompute.schemas.sharing.selection import Selection
from lit_precompute.schemas.storage import DatasetError
from lit_precompute.schemas.tables import EMBEDDINGS
from lit_precompute.tune.model.fitting import why_another_network

Each = TypeVar("Each")
OneOrMore = Each | Sequence[Each]


class TrainedOn(NamedTuple):
    """One dataset of a run, open with the embeddings to train on, and the selection of its rows (None: all)."""

    dataset: EmbeddingDataset
    selection: Selection | None = None

    def rows(self) -> Int64[np.ndarray, " n"] | None:
        """Returns the numbers of the selected rows, ascending; None: all."""
        return None if self.selection is None else rows_of(self.selection)


def one_or_more(given: OneOrMore[Each] | None) -> list[Each]:
    """Returns what was given, as a list; none for None."""
    if given is None:
        return []
    return list(given) if isinstance(given, Sequence) else [given]


def trained_on(
    datasets: OneOrMore[EmbeddingDataset],
    selections: OneOrMore[Selection] | None = None,
    names: Sequence[str] | None = None,
) -> list[TrainedOn]:
    """Returns the datasets of a run in their order, each with its selection.

    Args:
      datasets: at least one.
      selections: each of one of the datasets, in any order.
      names: of the selections, for errors, such as their files.

    Raises:
      DatasetError: a selection is empty, of none of the datasets or of two, or two are of one.
      ValueError: a dataset is given twice, or the datasets do not come from one image network.
    """
    given, chosen = one_or_more(datasets), one_or_more(selections)
    if not given:
        raise ValueError("at least one dataset must be given, got none")
    check_go_together(given)
    owners: dict[int, tuple[Selection, str]] = {}
    for selection, name in zip(chosen, names or ["selection"] * len(chosen), strict=True):
        owner = _owner(selection, given, name)
        if owner in owners:
            raise DatasetError(
                f"{name}: selects rows of {given[owner].path}, and so does {owners[owner][1]}; combine the two "
                "(`lit-data select`), or give one of them"
            )
        check_selection(selection, given[owner], name)
        owners[owner] = selection, name
    return [TrainedOn(dataset, owners[number][0] if number in owners else None) for number, dataset in enumerate(given)]


def check_go_together(datasets: Sequence[EmbeddingDataset]) -> None:
    """Raises ValueError unless datasets differ and come from one image network, with embeddings of one width."""
    first, seen = datasets[0], dict[str, str]()
    for dataset in datasets:
        digest = dataset.manifest.digest
        if digest in seen:
            raise ValueError(
                f"{dataset.path}: has the digest {digest}, as {seen[digest]} has; give each dataset once (a larger "
                "weight in data.mixture shows its rows more often)"
            )
        seen[digest] = dataset.path
        tower, own = dataset.tower, first.tower
        if (why := why_another_network(tower, own)) is not None:
            raise ValueError(
                f"{dataset.path}: cannot be mixed with {first.path}: {why}. Embed the images of both with one tower"
            )
        if dataset.width != first.width:
            raise ValueError(
                f"{dataset.path}: its embeddings have the width {dataset.width}, those of {first.path} {first.width}; "
                "datasets that are mixed must have one width"
            )


def tower_of(dataset: EmbeddingDataset, table: str) -> TowerCard:
    """Returns the card of a table of embeddings.

    Raises:
      ValueError: there is no such table of embeddings.
    """
    towers = dataset.manifest.towers
    if table not in towers:
        raise ValueError(
            f"{dataset.path}: data.table must be one of its tables of embeddings, {', '.join(towers)}; got '{table}'"
        )
    return towers[table]


def open_table(dataset: EmbeddingDataset, table: str) -> EmbeddingDataset:
    """Returns the dataset if its embeddings are this table's, or else another opening of it.

    Raises:
      ValueError: there is no such table of embeddings.
    """
    tower_of(dataset, table)
    if dataset.embeddings == table:
        return dataset
    return EmbeddingDataset.open(dataset.path, tables=dataset.tables, embeddings=table)


def view_tables(manifest: Manifest, table: str) -> list[str]:
    """Returns the names of the tables of views beside a table of embeddings, in the order of their numbers."""
    there, found = {each.name for each in manifest.tables}, list[str]()
    while (name := f"{table}-view{len(found) + 1}") in there:
        found.append(name)
    return found


def open_views(dataset: EmbeddingDataset) -> list[EmbeddingDataset]:
    """Returns each view, as an opening of the dataset whose embeddings are that view's.

    Raises:
      ValueError: there are none, or one is of another image network or width.
    """
    manifest, plain = dataset.manifest, dataset.embeddings
    names = view_tables(manifest, plain)
    if not names:
        raise ValueError(
            f"{dataset.path}: data.views needs the table '{plain}-view1' and further ones, and there is none; "
            "embed the images with `lit-embed run --views N`, or leave out data.views"
        )
    for name in names:
        why = why_another_network(manifest.towers[name], manifest.towers[plain])
        if why is not None:
            raise ValueError(f"{dataset.path}: the table '{name}' is no view of '{plain}': {why}")
    opened = [EmbeddingDataset.open(dataset.path, tables=[name]) for name in names]
    for name, view in zip(names, opened, strict=True):
        if view.width != dataset.width:
            raise ValueError(
                f"{dataset.path}: the table '{name}' must have the width {dataset.width}, got {view.width}"
            )
    return opened


def _owner(selection: Selection, datasets: Sequence[EmbeddingDataset], name: str) -> int:
    """Returns the number of the dataset that a selection is of: by the dataset's digest, or else its embeddings'."""
    if len(datasets) == 1:
        return 0  # `check_selection` says what is wrong
    exact = [each for each, dataset in enumerate(datasets) if dataset.manifest.digest == selection.dataset.digest]
    tables = [dataset.manifest.table_digest(EMBEDDINGS) for dataset in datasets]
    fitting = exact or [each for each, table in enumerate(tables) if table == selection.dataset.embeddings]
    if len(fitting) == 1:
        return fitting[0]
    rule = "of the rows of none of the datasets" if not fitting else "of the rows of more than one dataset"
    found = "; ".join(f"{dataset.path} has {table}" for dataset, table in zip(datasets, tables, strict=True))
    raise DatasetError(
        f"{name}: was made {rule}: the digest of their table '{EMBEDDINGS}' is {selection.dataset.embeddings}; "
        f"{found}. Make the selection of one of them"
    )
