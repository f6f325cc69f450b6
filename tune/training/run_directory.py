"""The output directory of a training run: its layout, and the check that it belongs to this run.

run.json          digests of the tables that the run reads, of each dataset, recipe, selections, order of rows
tokenizer/        given or trained
standardisation/  mean and deviation, if the recipe standardises
locked/           the text tower's parameters that are not trained, if there are any
checkpoints/      Orbax
metrics.jsonl     and tensorboard/
model/            the tuned model; it exists only when the run has finished

Promises: one process at a time uses it; all files belong to the run that run.json describes. Nothing is written before
the claim, and a run that failed before its first step gives way to a corrected one.
"""

import os
import pathlib
import shutil
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.schemas.claims import Claim, place_in_the_way
from lit_precompute.schemas.sharing.selection import Selection
from lit_precompute.schemas.storage import lock_file, open_folder, refuse_url
from lit_precompute.towers.text import StoredTextOptions
from lit_precompute.tune.config.recipe import Recipe
from lit_precompute.tune.model.tuned_model_files import MODEL_FOLDER, RUN_NAME
from lit_precompute.tune.training.datasets import OneOrMore, TrainedOn, one_or_more, tower_of, view_tables

# Version 2 moved execution settings out of the recipe; directories of version 1 have no number.
_FORMAT_VERSION = 2
_SELECTION = "selection"  # key of run.json that only a run on a selection has
Order = Mapping[str, int | str]


def tables_read(recipe: Recipe) -> tuple[str, ...]:
    """Returns the tables that a run reads, beside views; others may be added to the dataset during it."""
    tower = recipe.text_tower
    return (recipe.data.table, tower.table if isinstance(tower, StoredTextOptions) else "captions")


class RunDirectory:
    """Paths of a run, and the check that an output belongs to it."""

    def __init__(self, path: str | os.PathLike[str], selections: Selection | Sequence[Selection | None] | None = None):
        """Takes the path, and what is selected of each dataset (None: all rows); creates nothing yet.

        Raises:
          ValueError: the path is a URL.
        """
        refuse_url("--output", path)
        self.path = pathlib.Path(path)
        self._selections = selections
        self.tokenizer = self.path / "tokenizer"
        self.statistics = self.path / "standardisation"
        self.locked = self.path / "locked"
        self.checkpoints = self.path / "checkpoints"
        self.metrics = self.path / "metrics.jsonl"
        self.model = self.path / MODEL_FOLDER
        self._claim = Claim(
            folder=open_folder(self.path),
            note=RUN_NAME,
            kind="training run",
            own_prefix=".",
            advice_foreign="give an empty --output",
            advice_another="Give these values again to resume it, or choose another --output",
            advice_damaged="choose another --output",
        )
        self._lock: TextIO | None = None

    def is_finished(self, datasets: OneOrMore[EmbeddingDataset], recipe: Recipe) -> bool:
        """Returns whether this run's tuned model exists.

        Raises:
          ValueError: the model is another run's; see `check`.
        """
        if not self.model.exists():
            return False
        self._refuse_another(self._describe(datasets, recipe))
        return True

    def check(self, datasets: OneOrMore[EmbeddingDataset], recipe: Recipe, order: Order | None = None) -> bool:
        """Returns whether this run was begun in the directory; writes nothing.

        Args:
          datasets: what is trained on.
          recipe: what is trained.
          order: what the order of rows depends on, once that is known.

        Raises:
          ValueError: the directory belongs to another run that has trained (the message gives each difference with both
            values), contains other files, or is in use by another process.
          OSError: it cannot be written to.
        """
        _refuse_unwritable(self.path)
        self._claim.refuse_foreign_files()
        if not self._claim.is_made():
            return False
        self._take_lock()
        asked = self._describe(datasets, recipe, order)
        if self._has_trained():
            self._refuse_another(asked)
            return True
        found = self._read()
        return all(found.get(key) == asked.get(key) for key in {*asked, _SELECTION})

    def claim(self, datasets: OneOrMore[EmbeddingDataset], recipe: Recipe, order: Order) -> None:
        """Claims the directory for this run; one that was begun there and has not trained gives way to it.

        Raises:
          ValueError, OSError: see `check`.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        self._take_lock()
        for left_over in self.path.glob(f".{MODEL_FOLDER}.*"):  # a process was killed while it wrote the model
            shutil.rmtree(left_over, ignore_errors=True)
        if not self.check(datasets, recipe, order):
            for folder in (self.tokenizer, self.statistics, self.locked, self.checkpoints):
                shutil.rmtree(folder, ignore_errors=True)
            self._claim.rewrite(self._describe(datasets, recipe, order))

    def _has_trained(self) -> bool:
        """Returns whether there is anything to lose: a model, a checkpoint, or the metrics of a step."""
        has_metrics = self.metrics.exists() and self.metrics.stat().st_size > 0
        return self.model.exists() or self.has_checkpoint() or has_metrics

    def has_checkpoint(self) -> bool:
        """Returns whether there is a complete checkpoint."""
        checkpoints = self.checkpoints.iterdir() if self.checkpoints.exists() else ()
        return any(path.name.isdigit() for path in checkpoints)  # an incomplete one has a longer name

    def _refuse_another(self, asked: Mapping[str, Any]) -> None:
        found = self._read()
        if found.get("format_version") != _FORMAT_VERSION:
            raise ValueError(
                f"{self.path}: started by another version of lit-precompute (run.json has format_version "
                f"{found.get('format_version')}, this one writes {_FORMAT_VERSION}); finish it with that version, or "
                "choose another --output"
            )
        self._claim.refuse_another({key: found[key] for key in found if key in {*asked, _SELECTION}}, asked)

    def _read(self) -> dict[str, Any]:
        """Returns what run.json says, with all fields that a recipe has today."""
        found = self._claim.read()
        if found.get("format_version") != _FORMAT_VERSION:
            return found
        return found | {"recipe": Recipe.from_json(found["recipe"]).to_json()}

    def _describe(
        self, datasets: OneOrMore[EmbeddingDataset], recipe: Recipe, order: Order | None = None
    ) -> dict[str, Any]:
        """Returns what run.json says of a run; without the order of rows where that is not known yet.

        One dataset is described as before there could be several, so that earlier runs resume.
        """
        given = one_or_more(datasets)
        selections = one_or_more(self._selections) or [None] * len(given)
        parts = [_describe_part(TrainedOn(*each), recipe) for each in zip(given, selections, strict=True)]
        described = {"datasets": parts} if len(parts) > 1 else {"dataset": parts[0]}
        description = {"format_version": _FORMAT_VERSION, **described, "recipe": recipe.to_json()}
        if len(parts) == 1 and _SELECTION in parts[0]:
            description[_SELECTION] = parts[0].pop(_SELECTION)
        return description if order is None else description | {"order": dict(order)}

    def release(self) -> None:
        """Releases the lock; the end of the process does so, too."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _take_lock(self) -> None:
        """Takes a lock that ends with the process, even if that is killed."""
        if self._lock is not None:
            return
        try:
            self._lock = lock_file(self.path / ".lock")
        except BlockingIOError as error:
            raise ValueError(f"{self.path}: another lit-tune is running there; wait for it, or stop it") from error


def _describe_part(part: TrainedOn, recipe: Recipe) -> dict[str, Any]:
    manifest, selection = part.dataset.manifest, part.selection
    tower = tower_of(part.dataset, recipe.data.table)
    views = view_tables(manifest, recipe.data.table) if recipe.data.views else []
    about: dict[str, Any] = {
        "tower": tower.name,
        "fingerprint": tower.fingerprint,
        "num_rows": manifest.num_rows,
        "tables": {name: manifest.table_digest(name) for name in (*tables_read(recipe), *views)},
    }
    if selection is not None:
        about[_SELECTION] = {"digest": selection.digest, "num_selected": selection.num_selected}
    return about


def _refuse_unwritable(path: pathlib.Path) -> None:
    """Raises OSError where writing is sure to fail, so that nobody waits for the preparation first."""
    place = place_in_the_way(open_folder(path))
    if place is None:
        return
    if not place.is_dir():
        raise NotADirectoryError(f"{place}: is a file; choose another --output")
    raise PermissionError(f"{place}: cannot be written to; choose another --output")
