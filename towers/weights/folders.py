"""Folders of weights as Hugging Face's `save_pretrained` writes them: one file, or an index and its shards.

Promises: names are tried in a fixed order, `.safetensors` before torch's; an index may only name files in its own
folder. Not here: reading the files (`reading`).
"""

from __future__ import annotations

import json
import pathlib
import re

from lit_precompute.towers.weights.errors import WeightsError

# In the order in which they are tried.
FOLDER_FILES = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
_ADAPTER = "adapter_config.json"
_INDEX_ENDING = ".index.json"
_MAX_INDEX_BYTES = 1 << 24
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")


def is_index(name: str) -> bool:
    """Returns whether a file of this name lists the files that hold the arrays."""
    return name.endswith(_INDEX_ENDING)


def find_in_folder(folder: pathlib.Path) -> pathlib.Path:
    """Returns the weights file or index of a folder.

    Raises:
      WeightsError: it has none.
    """
    for name in FOLDER_FILES:
        if (folder / name).is_file():
            return folder / name
    refuse_adapter(folder)
    raise no_weights_in(str(folder))


def refuse_adapter(folder: pathlib.Path) -> None:
    """Raises WeightsError if a folder holds what peft's `save_pretrained` writes, and no model."""
    if (folder / _ADAPTER).is_file() and not (folder / "config.json").is_file():
        raise WeightsError(
            f"{folder}: holds an adapter ({_ADAPTER}) without the model that it changes; merge the two (peft's "
            "`merge_and_unload`), save the result, and name its folder"
        )


def no_weights_in(folder: str) -> WeightsError:
    """Returns the error for a folder that contains none of the files."""
    return WeightsError(f"{folder}: a folder of weights holds one of {', '.join(FOLDER_FILES)}; name the file itself")


def read_index(path: pathlib.Path) -> dict[str, str]:
    """Returns the arrays' names, each with the name of the file, in the index's folder, that holds it.

    Raises:
      WeightsError: the index cannot be read, or names a file elsewhere.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_INDEX_BYTES + 1)
        if len(text) > _MAX_INDEX_BYTES:
            raise WeightsError(f"{path}: an index must have at most {_MAX_INDEX_BYTES} bytes; refused")
        content = json.loads(text)
    except WeightsError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise WeightsError(f"{path}: not an index of weights files ({error!r:.200}); fetch it again") from error
    files = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(files, dict) or not files:
        raise WeightsError(f"{path}: its weight_map must name the file of each array; fetch it again")
    for file in files.values():
        if not isinstance(file, str) or not _FILE_NAME.fullmatch(file) or is_index(file):
            raise WeightsError(f"{path}: must name files in its own folder, got {str(file)[:80]!r}; refused")
    return files


def missing_shards(index: pathlib.Path) -> list[str]:
    """Returns the files that an index names and that are missing from its folder, sorted."""
    return [file for file in sorted(set(read_index(index).values())) if not index.with_name(file).is_file()]


def is_whole(path: pathlib.Path) -> bool:
    """Returns whether a file exists, and for an index all files that it names."""
    return path.is_file() and not (is_index(path.name) and missing_shards(path))
