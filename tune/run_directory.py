"""The output directory of a training run: what stands where, and that it belongs to this run.

run.json          dataset's digest, recipe, order of rows
tokenizer/        given or trained
checkpoints/      Orbax
metrics.jsonl     and tensorboard/
model/            the tuned model; its presence means finished
"""

import json
import os
import pathlib
import shutil
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from schemas import EmbeddingDataset
from schemas.differences import differences
from schemas.files import write_text_atomically
from tune.recipes import Recipe

_DESCRIPTION = "run.json"
# What may differ when a run goes on: none of it changes a parameter.
_FREE = ("log_every_steps", "checkpoint_every_steps", "memory_budget_bytes")


class RunDirectory:
    """Paths of a run, and the check that an output belongs to it."""

    def __init__(self, path: str | os.PathLike[str]):
        """Takes the path; nothing is made yet."""
        self.path = pathlib.Path(path)
        self.tokenizer = self.path / "tokenizer"
        self.checkpoints = self.path / "checkpoints"
        self.model = self.path / "model"

    def is_finished(self) -> bool:
        """Returns whether the tuned model is there."""
        return self.model.exists()

    def claim(self, dataset: EmbeddingDataset, recipe: Recipe) -> None:
        """Makes the directory this run's.

        Raises:
          ValueError: it holds another run, each difference with both values, or other files.
        """
        description = {"dataset": dataset.manifest.digest, "recipe": recipe.to_json()}
        path = self.path / _DESCRIPTION
        if path.exists():
            found = json.loads(path.read_text(encoding="utf-8"))
            found.pop("order", None)
            self._refuse(found, description)
            return
        if self.path.exists() and any(self.path.iterdir()):
            raise ValueError(f"{self.path}: holds files that are not a training run's; give an empty --output")
        self.path.mkdir(parents=True, exist_ok=True)
        write_text_atomically(path, json.dumps(description, indent=1) + "\n")

    def check_order(self, order: Mapping[str, int | str]) -> None:
        """Notes what the order of rows depends on, or checks it against what an earlier start noted.

        Raises:
          ValueError: rows would come in another order, for example with another memory budget.
        """
        path = self.path / _DESCRIPTION
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
        words = [words for name, words in found_differences.items() if name.removeprefix("recipe.") not in _FREE]
        if words:
            raise ValueError(
                f"{self.path}: holds another run: {'; '.join(words)}. Give these values again to go on with it, "
                "or another --output"
            )
