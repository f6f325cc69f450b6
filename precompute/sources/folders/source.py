"""A folder of images as a source: texts beside them, or a folder for each class.

Promises: an image's key is its path relative to the source, with its suffix. A slice is a part of one listing, in the
order of the names, and a listing that has changed since the look is an error, never another row. Listing is all that a
look does; a process lists a folder once for all of its slices.

Files of the source are its own folder, without what is in others, and each folder directly in it, with all that is
below. Not here: whether an image has changed under its name.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

from lit_precompute.precompute.images.errors import ImageError, Reason
from lit_precompute.precompute.sources.files import Opener, read_image
from lit_precompute.precompute.sources.folders.names import IMAGE_SUFFIXES, Images, find_images, is_hidden, key_of
from lit_precompute.precompute.sources.folders.words import read_words
from lit_precompute.precompute.sources.planning import hash_keys
from lit_precompute.precompute.sources.source import (
    Example,
    FileLook,
    FileSlice,
    ListedFile,
    SourceError,
    Survey,
    source_tables,
)
from lit_precompute.precompute.sources.spec import SourceColumns, SourceSpec
from lit_precompute.precompute.sources.values import Words
from lit_precompute.schemas import Note, TableSchema
from lit_precompute.schemas.storage import Names, StorageError, list_names
from lit_precompute.schemas.wording import counted

# Texts are small: from a store, waiting for them takes longer than reading them.
_TEXTS_AHEAD, _READING_THREADS = 64, 16


@dataclasses.dataclass(frozen=True, kw_only=True)
class FolderSource:
    """See `Source`. Made by `make_folder`.

    Attributes:
      now: returns where a folder is that may have moved; the opener follows by itself.
    """

    path: str
    kind: str
    columns: SourceColumns
    opener: Opener
    now: Callable[[str], str] = str

    @property
    def options(self) -> Mapping[str, Any]:
        """How it is read."""
        return {"columns": self.columns.recorded()}

    @property
    def on_repeated_keys(self) -> str:
        """What to do."""
        return "the names of these files differ in bytes that are not UTF-8: rename one of them"

    def files(self) -> list[ListedFile]:
        """Returns the folders."""
        names = _list(self.now(self.path), below=False)
        folders = [name for name in names.folders if not is_hidden(name)]
        if odd := next((name for name in folders if key_of(name) != name), None):
            raise SourceError(f"{self.path}: the name of the folder {key_of(odd)} is not UTF-8; rename it")
        own = [ListedFile(path=self._root)] if names.files or names.circles or len(folders) < len(names.folders) else []
        files = [*own, *(ListedFile(path=f"{self._root}/{name}") for name in folders)]
        if not files:
            raise SourceError(f"{self.path}: no such folder, or nothing in it")
        return files

    def look(self, file: ListedFile, rows_per_slice: int) -> FileLook:
        """Lists a folder."""
        images = _images_in(self.now(self._root), self.now(file.path), self._suffixes)
        num_rows, version = len(images.names), images.version()
        starts = range(0, num_rows, rows_per_slice)
        stops = [min(start + rows_per_slice, num_rows) for start in starts]
        slices = [
            FileSlice(path=file.path, start=start, stop=stop, num_rows=stop - start, version=version)
            for start, stop in zip(starts, stops, strict=True)
        ]
        return FileLook(
            path=file.path,
            slices=tuple(slices),
            key_hashes=hash_keys(self._key(file.path, name) for name in images.names),
            content=version,
            notes=(*images.notes, *self._hidden_folders(file.path)),
            findings={"has_labels": any(name.endswith(".cls") for name in images.texts)},
        )

    def survey(self, looks: Sequence[FileLook]) -> Survey:
        """Checks that there are images."""
        num_folders = sum(bool(look.slices) for look in looks)
        if not num_folders:
            raise SourceError(
                f"{self.path}: no images in {counted(len(looks), 'folder')}; their names must end in "
                f".{', .'.join(self._suffixes)}"
            )
        has_labels = self._has_classes or not self.columns.is_default("label")
        has_labels = has_labels or any(look.findings["has_labels"] for look in looks)
        kind = "class folder" if self._has_classes else "folder"
        tables = source_tables(has_labels=has_labels, named=tuple(self.columns.named_columns))
        return Survey(tables=tables, extent=counted(num_folders, kind))

    def keys(self, part: FileSlice) -> Iterator[tuple[str, str]]:
        """Yields each image's key and path."""
        for name in self._images_of(part).names[part.start : part.stop]:
            yield self._key(part.path, name), key_of(f"{part.path}/{name}")

    def read(self, part: FileSlice, tables: Sequence[TableSchema]) -> Iterator[Example]:
        """Yields the slice's images; reads the texts beside them ahead."""
        images = self._images_of(part)
        has_labels = any(table.name == "labels" for table in tables)
        make = functools.partial(self._example, part.path, images, has_labels=has_labels)
        if not images.texts:
            yield from map(make, range(part.start, part.stop))
            return
        with concurrent.futures.ThreadPoolExecutor(_READING_THREADS, "texts") as pool:
            for start in range(part.start, part.stop, _TEXTS_AHEAD):
                yield from pool.map(make, range(start, min(start + _TEXTS_AHEAD, part.stop)))

    @property
    def _root(self) -> str:
        return self.path.rstrip("/") or self.path

    @property
    def _has_classes(self) -> bool:
        return self.kind == "class-folders"

    @property
    def _suffixes(self) -> tuple[str, ...]:
        is_default = self.columns.is_default("image")
        return IMAGE_SUFFIXES if is_default else (self.columns.image.lower().removeprefix("."),)

    def _images_of(self, part: FileSlice) -> Images:
        return _listed_once(self.now(self._root), self.now(part.path), self._suffixes, part.version)

    def _key(self, folder: str, name: str) -> str:
        return key_of(f"{folder}/{name}"[len(self._root) + 1 :])

    def _hidden_folders(self, folder: str) -> Iterator[Note]:
        if folder == self._root and (
            hidden := [name for name in _list(self.now(folder), below=False).folders if is_hidden(name)]
        ):
            yield Note(what="hidden folder, or one of the system, left out", count=len(hidden), first=key_of(hidden[0]))

    def _example(self, folder: str, images: Images, row: int, *, has_labels: bool) -> Example:
        name = images.names[row]
        key, words = self._key(folder, name), Words()
        read = functools.partial(read_image, self.opener, f"{folder}/{name}")
        try:
            beside = {suffix: f"{folder}/{text}" for suffix, text in images.beside(row).items()}
            words = read_words(beside, self.opener, self.columns)
        except ImageError as error:
            read = functools.partial(_fail, error.reason, error.message)
        label, notes = words.label, words.notes
        if self._has_classes:
            label = key.partition("/")[0] if folder != self._root else ""
            notes = notes if label else (*notes, "image outside the class folders, without a label")
        elif label and not has_labels:
            label, notes = "", (*notes, "label in JSON, left out; name its key as --label-column")
        return Example(
            key=key,
            source=key_of(f"{folder}/{name}"),
            read_image=read,
            texts=words.texts,
            label=label,
            notes=notes,
            named=words.named or dict.fromkeys(self.columns.named_columns, ()),
        )


def make_folder(spec: SourceSpec, name: str, opener: Opener) -> FolderSource:
    """Returns the images in a folder, which is not listed yet.

    Args:
      spec: the folder, and the suffix of its images and keys in JSON, if they have other names.
      name: of the format: folder or class-folders.
      opener: opens a path.

    Raises:
      SourceError: a key column was given.
    """
    if not spec.columns.is_default("key"):
        raise SourceError(
            f"{spec.path}: a key column {spec.columns.key!r} is for tables and records; in a folder of images a row's "
            "key is its path"
        )
    return FolderSource(path=spec.path, kind=name, columns=spec.columns, opener=opener)


def _images_in(root: str, folder: str, suffixes: tuple[str, ...]) -> Images:
    """Returns the images in a file of the source at `root`."""
    return find_images(_list(folder, below=folder != root), folder[len(root) + 1 :], suffixes)


@functools.lru_cache(maxsize=2)  # a unit may begin before the last has ended
def _listed_once(root: str, folder: str, suffixes: tuple[str, ...], version: str) -> Images:
    images = _images_in(root, folder, suffixes)
    if images.version() != version:
        raise SourceError(
            f"{folder}: files were added, removed or renamed since the job was planned; start again with a new output "
            "directory"
        )
    return images


def _list(path: str, *, below: bool) -> Names:
    try:
        return list_names(path, below=below)
    except StorageError:
        raise
    except OSError as error:
        raise SourceError(f"{error.filename or path}: cannot be listed ({error.strerror or error})") from error


def _fail(reason: Reason, message: str, max_bytes: int | None = None) -> NoReturn:
    raise ImageError(reason, message)
