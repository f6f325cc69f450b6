"""The images of some rows, wherever they are now: under the folder given, or where the dataset's source is.

The manifest notes the source's path as the job was given it, perhaps relative to the folder that the job ran in. Since
then the dataset may have moved, alone or together with the source.

Promises: a source is taken from another place than the noted one only if its files have the sizes that the manifest
notes, or, where its files are folders of images, if these are there; a folder that is given is never left. An image
that is not found, or cannot be read, is left out, whatever its key and the manifest hold.
"""

import contextlib
import os
import pathlib
import stat
from collections.abc import Iterator
from typing import NamedTuple

from lit_precompute.precompute.images.errors import ImageError
from lit_precompute.precompute.sources.opening import find_examples, format_names, make_source
from lit_precompute.precompute.sources.source import Source
from lit_precompute.precompute.sources.spec import SourceSpec
from lit_precompute.schemas import EmbeddingDataset, SourceInfo
from lit_precompute.schemas.manifest import ManifestSource
from lit_precompute.schemas.storage import is_url

NotedSource = ManifestSource | SourceInfo


class FoundImages(NamedTuple):
    """Encoded images by key; where they are looked for, in words; the source's path, if it is another than noted."""

    images: Iterator[tuple[str, bytes]]
    looked: str
    moved_to: str | None = None


def find_images(dataset: EmbeddingDataset, keys: set[str], folder: str | None) -> FoundImages:
    """Returns the images of the rows with these keys.

    Args:
      dataset: the dataset.
      keys: of its rows.
      folder: contains the images, with keys as paths; None looks for the dataset's source.
    """
    if folder is not None:
        return FoundImages(_read_folder(pathlib.Path(folder), keys), f"in {folder}")
    info = dataset.manifest.source
    place = info.path if is_url(dataset.path) else find_source(info, pathlib.Path(dataset.path))
    where = f"for {info.path} here and beside {dataset.path}" if place is None else f"where {place} says"
    moved_to = None if place in (None, info.path) else place
    return FoundImages(_read_source(info, place or info.path, keys), where, moved_to)


def find_source(info: NotedSource, dataset: pathlib.Path) -> str | None:
    """Returns the path of a dataset's source: as noted, or in a folder around the dataset; None if it is nowhere."""
    if "://" in info.path or _has_same_files(info, "", ""):
        return info.path
    path = info.path.rstrip("/")
    parts = path.split("/")
    for ending in ("/".join(parts[first:]) for first in range(len(parts))):
        for folder in (dataset.resolve(), *dataset.resolve().parents):
            if not ending.startswith("/") and _has_same_files(info, path.removesuffix(ending), f"{folder}/"):
                return f"{folder}/{ending}"
    # It may have changed, and still have the images.
    return info.path if os.path.exists(info.path) else None  # noqa: PTH110 -- see _is_file


def _has_same_files(info: NotedSource, head: str, new_head: str) -> bool:
    """Returns whether all the source's files exist, in their noted sizes, once their paths' head is replaced."""
    if not info.files or not all(file.path.startswith(head) for file in info.files):
        return False
    with contextlib.suppress(OSError, ValueError):  # no such file, a folder that may not be read, no path at all
        return all(
            _is_as_noted(pathlib.Path(new_head + file.path.removeprefix(head)), file.bytes) for file in info.files
        )
    return False


def _is_as_noted(path: pathlib.Path, num_bytes: int) -> bool:
    found = path.stat()
    return num_bytes == (0 if stat.S_ISDIR(found.st_mode) else found.st_size)


def _read_folder(folder: pathlib.Path, keys: set[str]) -> Iterator[tuple[str, bytes]]:
    for key in sorted(keys):
        parts = [part for part in pathlib.PurePosixPath(key).parts if part not in ("/", "..")]
        # A key that would leave the folder is the path of an image elsewhere; its ending may be a path here.
        leaves = key.startswith("/") or ".." in pathlib.PurePosixPath(key).parts
        endings = [parts[first:] for first in range(len(parts) if leaves else 1)]
        path = next((path for path in (folder.joinpath(*ending) for ending in endings) if _is_file(path)), None)
        with contextlib.suppress(OSError):
            if path is not None:
                yield key, path.read_bytes()


def _is_file(path: pathlib.Path) -> bool:
    return os.path.isfile(path)  # noqa: PTH113 -- pathlib's raises an error if a name is too long


def _read_source(info: NotedSource, path: str, keys: set[str]) -> Iterator[tuple[str, bytes]]:
    # A server or disk that fails is one more reason for which an image is not found; so is a path that holds NUL, which
    # is a ValueError, as SourceError is.
    with contextlib.suppress(ValueError, OSError):
        for example in find_examples(_open_noted(info, path), keys):
            with contextlib.suppress(ImageError):
                yield example.key, example.read_image()


def _open_noted(info: NotedSource, path: str) -> Source:
    """Returns the source at a path, opened as the manifest notes.

    Raises:
      SourceError: it cannot be opened, or the noted options are none of a source.
    """
    # A kind that has one format only does not note it; where the source is now, its name need not tell.
    format = info.options.get("format", info.kind if info.kind in format_names() else None)
    return make_source(SourceSpec.from_recorded(path, {**info.options, "format": format} if format else info.options))
