"""What a user says of a source: where it is, and how it is read."""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, Literal, Self

from lit_precompute.precompute.sources.source import SourceError

SampleName = Literal["first-dot", "last-dot"]
_COLUMNS = ("image", "text", "texts", "label", "key")
_NAMED = re.compile(r"([a-z][a-z0-9_]*)=(.+)")
# Columns that a captions table has anyway.
_TAKEN = ("key", "texts")


@dataclasses.dataclass(frozen=True, kw_only=True)
class SourceColumns:
    """The names of a table's columns, of a record's features, or of the keys in a sample's JSON.

    Attributes:
      image: Column of the images or their paths, relative to the table; in tars and folders the image's suffix, such as
        left.png; in records their feature.
      text: Column of a text; a table may have several of this name, or text_1, text_2, ...
      texts: Column of a list of texts (in CSV and TSV as JSON).
      label: Column of the class, if any.
      key: Column of a unique name, if any; otherwise the path is the key. Not for tars and folders.
      named: Texts to keep under names of their own beside the others: title=TITLE tags=KEYWORDS.
    """

    image: str = "path"
    text: str = "text"
    texts: str = "texts"
    label: str = "label"
    key: str = "key"
    named: tuple[str, ...] = ()

    def __post_init__(self):
        columns = {field: getattr(self, field) for field in _COLUMNS}
        if "" in columns.values() or len(set(columns.values())) < len(columns):
            given = ", ".join(f"--{field}-column {name!r}" for field, name in columns.items())
            raise SourceError(f"columns: names must differ and not be empty, got {given}{self._advice(columns)}")
        names = [self._split(each)[0] for each in self.named]
        if len(set(names)) < len(names) or not set(names).isdisjoint(_TAKEN):
            raise SourceError(f"--named-text: names must differ and not be {' or '.join(_TAKEN)}, got {names}")

    @property
    def named_columns(self) -> dict[str, str]:
        """The source's column of each named text."""
        return dict(self._split(each) for each in self.named)

    def is_default(self, field: str) -> bool:
        """Returns whether a column has its default name."""
        return getattr(self, field) == getattr(SourceColumns, field)

    def recorded(self) -> dict[str, Any]:
        """Returns the names as a manifest records them."""
        columns: dict[str, Any] = {field: getattr(self, field) for field in _COLUMNS}
        return {**columns, "named": self.named_columns} if self.named else columns

    @classmethod
    def from_recorded(cls, recorded: Mapping[str, Any]) -> Self:
        """Returns the names that `recorded` returned.

        Raises:
          SourceError: they are none of columns.
        """
        columns = {field: value for field, value in recorded.items() if field != "named"}
        named = recorded.get("named", {})
        if not isinstance(named, dict) or not columns.keys() <= set(_COLUMNS):
            raise SourceError(f"columns: must be {', '.join(_COLUMNS)} and a table of named texts, got {recorded}")
        if not all(isinstance(name, str) for name in (*columns.values(), *named.values())):
            raise SourceError(f"columns: names must be strings, got {recorded}")
        return cls(**columns, named=tuple(f"{name}={column}" for name, column in named.items()))

    def _advice(self, columns: Mapping[str, str]) -> str:
        """Returns what to do if a name that was given is another column's by default."""
        names = list(columns.values())
        for field, name in columns.items():
            if self.is_default(field) and names.count(name) > 1:
                return f"; a column that is not there may have any name: --{field}-column none"
        return ""

    @staticmethod
    def _split(text: str) -> tuple[str, str]:
        found = _NAMED.fullmatch(text)
        if found is None:
            raise SourceError(f"--named-text must be like title=COLUMN, a name in lower case, got {text!r}")
        return found[1], found[2]


@dataclasses.dataclass(frozen=True)
class SourceSpec:
    """A source of images and texts.

    Attributes:
      path: A table (.csv, .tsv, .jsonl), webdataset tars (one, a folder, a pattern like data-{0000..0012}.tar),
        Parquet, Arrow, TFRecord or ArrayRecord files, a folder that TFDS or Hugging Face's datasets wrote, a folder of
        images.
      format: Format of the source if its name does not tell: tsv, quoted-tsv, semicolon-csv, webdataset, tfrecord,
        class-folders ...
      columns: Names of the source's columns.
      sample_name: Where the names in tars are cut into a sample's name and a suffix; last-dot if names contain dots.
      gather: One caption a row: consecutive rows of a table with the same image (or key) become one, with all texts.
      key_folders: How many of a tar's folders are part of the keys: 1 if cc3m/00000.tar and cc12m/00000.tar differ.
      whole_tars: Read each tar as one work unit, without looking through its headers first; in a store, those of up to
        4 x --rows-per-shard samples are read so anyway.
      split: Split of a dataset that has several, such as train; train+validation for both.
    """

    path: str
    _: dataclasses.KW_ONLY
    format: str | None = None
    columns: SourceColumns = dataclasses.field(default_factory=SourceColumns)
    sample_name: SampleName = "first-dot"
    gather: bool = False
    key_folders: int = 0
    whole_tars: bool = False
    split: str | None = None

    @classmethod
    def from_recorded(cls, path: str, options: Mapping[str, Any]) -> Self:
        """Returns the spec of which a manifest records `Source.options`; ignores what is no option of a spec.

        Raises:
          SourceError: a value is none of an option.
        """
        columns = options.get("columns", {})
        given = {
            field.name: options[field.name]
            for field in dataclasses.fields(cls)
            if field.name in options and field.name not in ("path", "columns")
        }
        for name, value in given.items():
            default = getattr(cls, name)
            if not isinstance(value, str if default is None else type(default)):
                raise SourceError(f"{path}: {name} is none of a source, {value!r}")
        if not isinstance(columns, dict):
            raise SourceError(f"{path}: columns are none of a source, {columns!r}")
        return cls(path, columns=SourceColumns.from_recorded(columns), **given)
