"""The rows of one columnar file as examples, and what becomes of those in a damaged part."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator

from lit_precompute.precompute.images.reading import ReadImage
from lit_precompute.precompute.sources.columnar.file import ColumnarFile, DamageError, Group
from lit_precompute.precompute.sources.columnar.img2dataset import image_ending
from lit_precompute.precompute.sources.columnar.layout import Layout
from lit_precompute.precompute.sources.columnar.rows import NoImage, Row, read_keys, read_rows
from lit_precompute.precompute.sources.files import Finder, Opener, read_image
from lit_precompute.precompute.sources.source import Example, SourceError
from lit_precompute.precompute.sources.table.windows_paths import BACKSLASHES, is_windows_path, read_windows_image
from lit_precompute.schemas.storage import beside


@dataclasses.dataclass(kw_only=True)
class RowReader:
    """Reads the rows of one open file.

    Attributes:
      file: the file.
      layout: which of its columns hold what.
      path: where it is.
      name: the first part of the keys of rows that are numbered.
      opener: opens images at paths.
      find: finds the images of img2dataset's folders.
    """

    file: ColumnarFile
    layout: Layout
    path: str
    name: str
    opener: Opener
    find: Finder

    def keys(self, group: Group, skip: int, take: int, number: int) -> Iterator[str]:
        """Yields the keys of `take` rows of a group after the first `skip`; the first is the file's row `number`.

        Raises:
          SourceError: a key is missing, or the column is damaged.
        """
        columns = self.layout.key_columns()
        if not columns:
            yield from (f"{self.name}/{each}" for each in range(number, number + take))
            return
        for batch in self.file.batches(group, columns, skip, take):
            fault = functools.partial(self._fault, group, number)
            for key in read_keys(batch, self.layout, fault):
                yield key or f"{self.name}/{number}"
                number += 1

    def read(self, group: Group, skip: int, take: int, number: int) -> Iterator[Example]:
        """Yields these rows; those that cannot be read, if the group is damaged, as rows without an image.

        Raises:
          SourceError: their keys cannot be read either.
        """
        num_read = 0
        try:
            for batch in self.file.batches(group, self.layout.all_columns(), skip, take):
                for row in read_rows(batch, self.layout, functools.partial(self._fault, group, number + num_read)):
                    yield self._example(row, number + num_read)
                    num_read += 1
        except DamageError as error:
            for key in self.keys(group, skip + num_read, take - num_read, number + num_read):
                yield Example(
                    key=key,
                    source=f"{self.path}, row {number + num_read}",
                    read_image=NoImage("unreadable", str(error)),
                    texts=(),
                    label="",
                )
                num_read += 1

    def read_strictly(self, group: Group, number: int) -> Iterator[Row]:
        """Yields the rows of a group, the first of which is the file's row `number`; each has a key.

        Raises:
          SourceError: a row has no key, or the group is damaged.
        """
        for batch in self.file.batches(group, self.layout.all_columns(), 0, group.num_rows):
            for row in read_rows(batch, self.layout, functools.partial(self._fault, group, number)):
                key = row.key or row.path
                if not key:
                    raise self._fault(group, number, 0, "it has no key")
                yield row._replace(key=key)
                number += 1

    def _example(self, row: Row, number: int) -> Example:
        source, notes = f"{self.path}, row {number}", row.notes
        read: ReadImage = row.image
        path = self._named_beside(row.path) if row.path and self.layout.image_kind == "beside" else row.path
        if path:
            source = beside(self.path, path)
            read = functools.partial(read_image, self.opener, source)
            if is_windows_path(path):
                read = functools.partial(read_windows_image, self.opener, self.path, path)
                notes = (*notes, BACKSLASHES) if "\\" in path else notes
        return Example(
            key=row.key or f"{self.name}/{number}",
            source=source,
            read_image=read,
            texts=row.texts,
            label=row.label,
            notes=notes,
            named=row.named,
        )

    def _named_beside(self, name: str) -> str:
        """Returns the path of an image of img2dataset's, beside the file."""
        return f"{self._folder}/{name}.{self._ending}"

    @functools.cached_property
    def _folder(self) -> str:
        return self.path.rpartition("/")[2].rpartition(".")[0]

    @functools.cached_property
    def _ending(self) -> str:
        return image_ending(f"{self.path.rpartition('.')[0]}", self.find)

    def _fault(self, group: Group, number: int, row: int, message: str) -> SourceError:
        return SourceError(f"{self.path}, row {number + row} ({group.place}): {message}")
