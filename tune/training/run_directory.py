"""The output directory of a training run: its layout, and the check that it belongs to this run.

run.json          digests of the tables that the run reads, recipe, order of rows
tokenizer/        given or trained
standardisation/  mean and deviation, if the recipe standardises
checkpoints/      Orbax
metrics.jsonl     and tensorboard/
model/            the tuned model; it exists only when the run has finished

Promises: one process at a time uses it; all files belong to the run that run.json describes.
"""

import os
import pathlib
from collections.abc import Mapping
from typing import TextIO

from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.schemas.claims import Claim
from lit_precompute.schemas.storage import lock_file, refuse_url
from lit_precompute.tune.config.recipe import Recipe
from lit_precompute.tune.model.tuned_model_files import MODEL_FOLDER, RUN_NAME

# Version 2 moved execution settings out of the recipe; directories of version 1 have no number.
_FORMAT_VERSION = 2
# Other tables may be added to the dataset during a run.
TABLES_READ = ("embeddings", "captions")


class RunDirectory:
    """Paths of a run, and the check that an output belongs to it."""

    def __init__(self, path: str | os.PathLike[str]):
        """Takes the path; creates nothing yet.

        Raises:
          ValueError: the path is a URL.
        """
        refuse_url("--output", path)
        self.path = pathlib.Path(path)
        self.tokenizer = self.path / "tokenizer"
        self.statistics = self.path / "standardisation"
        self.checkpoints = self.path / "checkpoints"
        self.metrics = self.path / "metrics.jsonl"
        self.model = self.path / MODEL_FOLDER
        self._claim = Claim(
            directory=self.path,
            note=self.path / RUN_NAME,
            kind="training run",
            own_prefix=".",
            advice_foreign="give an empty --output",
            advice_another="Give these values again to resume it, or choose another --output",
            noted_later=("order",),
        )
        self._lock: TextIO | None = None

    def is_finished(self, dataset: EmbeddingDataset, recipe: Recipe) -> bool:
        """Returns whether this run's tuned model exists; nothing is claimed afterwards.

        Raises:
          ValueError: the model is another run's; see `claim`.
        """
        if not self.model.exists():
            return False
        self.claim(dataset, recipe)
        self.release()
        return True

    def claim(self, dataset: EmbeddingDataset, recipe: Recipe) -> None:
        """Claims the directory for this run.

        Raises:
          ValueError: it belongs to another run (the message gives each difference with both values), contains other
            files, or is in use by another process.
        """
        manifest = dataset.manifest
        about = {
            "tower": manifest.tower.name,
            "fingerprint": manifest.tower.fingerprint,
            "num_rows": manifest.num_rows,
            "tables": {name: manifest.table_digest(name) for name in TABLES_READ},
        }
        self._claim.refuse_foreign_files()
        self.path.mkdir(parents=True, exist_ok=True)
        self._take_lock()
        try:
            self._refuse_earlier_version()
            self._claim.make({"format_version": _FORMAT_VERSION, "dataset": about, "recipe": recipe.to_json()})
        except BaseException:
            self.release()
            raise

    def _refuse_earlier_version(self) -> None:
        try:
            version = self._claim.read().get("format_version")
        except FileNotFoundError:
            return
        if version != _FORMAT_VERSION:
            raise ValueError(
                f"{self.path}: started by another version of lit-precompute (run.json has format_version {version}, "
                f"this one writes {_FORMAT_VERSION}); finish it with that version, or choose another --output"
            )

    def release(self) -> None:
        """Releases the lock; the end of the process does so, too."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _take_lock(self) -> None:
        """Takes a lock that ends with the process, even if that is killed."""
        try:
            self._lock = lock_file(self.path / ".lock")
        except BlockingIOError as error:
            raise ValueError(f"{self.path}: another lit-tune is running there; wait for it, or stop it") from error

    def check_order(self, order: Mapping[str, int | str]) -> None:
        """Records what the order of rows depends on, or compares it with what an earlier start recorded.

        Raises:
          ValueError: the order of rows would change, for example by another memory budget.
        """
        description = self._claim.read()
        if "order" in description:
            self._claim.refuse_another(description["order"], order)
        else:
            self._claim.rewrite(description | {"order": dict(order)})
