"""The output directory of a training run: what stands where, and that it belongs to this run.

run.json          digests of the tables it reads, recipe, order of rows
tokenizer/        given or trained
standardisation/  mean and deviation, where the recipe asks for them
checkpoints/      Orbax
metrics.jsonl     and tensorboard/
model/            the tuned model; its presence means finished

Promises: one process at a time works in it; what stands there was made for the run that run.json describes.
"""

import fcntl
import json
import os
import pathlib
import shutil
import uuid
from collections.abc import Callable, Mapping
from typing import Any, TextIO

from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.schemas.claims import differences
from lit_precompute.schemas.storage import write_text_atomically
from lit_precompute.tune.config.recipe import HOW_FIELDS, Recipe
from lit_precompute.tune.model.tuned_model_files import MODEL_FOLDER, RUN_NAME

# Other tables may be added to the dataset while a run is under way.
TABLES_READ = ("embeddings", "captions")


class RunDirectory:
    """Paths of a run, and the check that an output belongs to it."""

    def __init__(self, path: str | os.PathLike[str]):
        """Takes the path; nothing is made yet."""
        self.path = pathlib.Path(path)
        self.tokenizer = self.path / "tokenizer"
        self.statistics = self.path / "standardisation"
        self.checkpoints = self.path / "checkpoints"
        self.metrics = self.path / "metrics.jsonl"
        self.model = self.path / MODEL_FOLDER
        self._lock: TextIO | None = None

    def is_finished(self) -> bool:
        """Returns whether the tuned model is there."""
        return self.model.exists()

    def claim(self, dataset: EmbeddingDataset, recipe: Recipe) -> None:
        """Makes the directory this run's.

        Raises:
          ValueError: it holds another run, each difference with both values, or other files.
        """
        manifest = dataset.manifest
        about = {
            "tower": manifest.tower.name,
            "fingerprint": manifest.tower.fingerprint,
            "num_rows": manifest.num_rows,
            "tables": {name: manifest.table_digest(name) for name in TABLES_READ},
        }
        description = {"dataset": about, "recipe": recipe.to_json()}
        path = self.path / RUN_NAME
        if (
            not path.exists()
            and self.path.exists()
            and any(not each.name.startswith(".") for each in self.path.iterdir())
        ):
            raise ValueError(f"{self.path}: holds files that are not a training run's; give an empty --output")
        self.path.mkdir(parents=True, exist_ok=True)
        self._take_lock()
        try:
            if path.exists():
                found = json.loads(path.read_text(encoding="utf-8"))
                found.pop("order", None)
                if "tables" not in found["dataset"]:
                    raise ValueError(
                        f"{self.path}: an earlier version began this run and did not note which tables it reads; give "
                        "another --output to train anew"
                    )
                self._refuse(found, description)
            else:
                write_text_atomically(path, json.dumps(description, indent=1) + "\n")
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Lets another process work here; the end of this one does so, too."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _take_lock(self) -> None:
        """Holds a lock that ends with the process, however it ends."""
        self._lock = (self.path / ".lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self.release()
            raise ValueError(f"{self.path}: another lit-tune is at work there; wait for it, or stop it") from error

    def check_order(self, order: Mapping[str, int | str]) -> None:
        """Notes what the order of rows depends on, or checks it against what an earlier start noted.

        Raises:
          ValueError: rows would come in another order, for example with another memory budget.
        """
        path = self.path / RUN_NAME
        description = json.loads(path.read_text(encoding="utf-8"))
        if "order" in description:
            self._refuse(description["order"], order)
        else:
            write_text_atomically(path, json.dumps(description | {"order": dict(order)}, indent=1) + "\n")

    def publish_folder(self, folder: pathlib.Path, fill: Callable[[pathlib.Path], None]) -> None:
        """Makes a folder appear whole, by rename."""
        temporary = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
        temporary.mkdir()
        try:
            fill(temporary)
            temporary.rename(folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def _refuse(self, found: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
        found_differences = differences(found, asked)
        words = [words for name, words in found_differences.items() if name.removeprefix("recipe.") not in HOW_FIELDS]
        if words:
            raise ValueError(
                f"{self.path}: holds another run: {'; '.join(words)}. Give these values again to go on with it, "
                "or another --output"
            )
