"""What the JSON files in a TFDS folder say: the files of a split, how many records each has, and what its features are.

Promises: nothing outside the folder is named; a description that cannot be followed is an error that says where.
Source: tensorflow_datasets 4.9, core/naming.py, core/example_serializer.py and core/features.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.precompute.sources.values import listed, short

INFO_NAME, FEATURES_NAME = "dataset_info.json", "features.json"
NESTED = "/ragged_flat_values"
"""At the end of the name of a sequence of sequences, of which the items are stored, and the inner lengths elsewhere."""
FeatureKind = Literal["image", "text", "class", "other"]

_FORMATS = {"": "tfrecord", "tfrecord": "tfrecord", "array_record": "array-record"}
_SUFFIXES = {"tfrecord": "tfrecord", "array-record": "array_record"}
_TEMPLATE = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"
_KINDS: dict[str, FeatureKind] = {"image": "image", "text": "text", "classLabel": "class"}


@dataclasses.dataclass(frozen=True)
class SplitFiles:
    """The files of a split.

    Attributes:
      name: of the split.
      template: of their names in the folder, with {SHARD_INDEX}, {NUM_SHARDS} or {SHARD_X_OF_Y} in it.
      lengths: how many records each has.
    """

    name: str
    template: str
    lengths: tuple[int, ...]

    def names(self) -> list[str]:
        """Returns the names of the files."""
        digits = max(5, len(str(len(self.lengths))))
        total = f"{len(self.lengths):0{digits}}"
        indices = [f"{index:0{digits}}" for index in range(len(self.lengths))]
        return [
            self.template.replace("{SHARD_X_OF_Y}", f"{index}-of-{total}")
            .replace("{SHARD_INDEX}", index)
            .replace("{NUM_SHARDS}", total)
            for index in indices
        ]


@functools.lru_cache(maxsize=4)
def lengths_by_name(splits: tuple[SplitFiles, ...]) -> Mapping[str, int]:
    """Returns how many records each file of some splits has, by name, in order; files without records are not read."""
    pairs = [pair for split in splits for pair in zip(split.names(), split.lengths, strict=True)]
    return {name: length for name, length in pairs if length}


def read_splits(info: Any, wanted: str | None, path: str) -> tuple[str, tuple[SplitFiles, ...]]:
    """Returns the format of the files, and the splits that were asked for.

    Args:
      info: the contents of `INFO_NAME`.
      wanted: a split, several joined by +, or None for the only one.
      path: of the folder, for messages.

    Raises:
      SourceError: there is no such split, the format of its files is not read, or the description is damaged.
    """
    where = f"{path.rstrip('/')}/{INFO_NAME}"
    try:
        splits = {split["name"]: split for split in info["splits"]}
        dataset, file_format = str(info["name"]), str(info.get("fileFormat", ""))
    except (TypeError, LookupError, AttributeError) as error:
        raise SourceError(f"{where}: no description of a dataset as TFDS writes it") from error
    if file_format not in _FORMATS:
        raise SourceError(f"{where}: files of the format tfrecord or array_record are read, these are {file_format!r}")
    if wanted is None and len(splits) != 1:
        raise SourceError(f"{path}: the dataset has {listed(splits)}; choose one, or several joined by +, by --split")
    names = list(splits) if wanted is None else wanted.split("+")
    format = _FORMATS[file_format]
    chosen: list[SplitFiles] = []
    for name in dict.fromkeys(names):
        if name not in splits:
            raise SourceError(f"{path}: --split must be one of {listed(splits)}, or several joined by +, got {name!r}")
        chosen.append(_split_files(splits[name], dataset, _SUFFIXES[format], where))
    return format, tuple(chosen)


def _split_files(split: Mapping[str, Any], dataset: str, suffix: str, where: str) -> SplitFiles:
    name, template = str(split["name"]), split.get("filepathTemplate") or _TEMPLATE
    try:
        lengths = tuple(map(int, split.get("shardLengths", ())))
    except (TypeError, ValueError) as error:
        raise SourceError(f"{where}: split {name!r}: shardLengths must be numbers") from error
    if any(length < 0 for length in lengths) or not isinstance(template, str):
        raise SourceError(f"{where}: split {name!r}: no lengths of files, or no template of their names")
    for variable, value in (("{DATASET}", dataset), ("{SPLIT}", name), ("{FILEFORMAT}", suffix)):
        template = template.replace(variable, value)
    split_files = SplitFiles(name, template, lengths)
    if any("/" in each or each.startswith(".") or "{" in each for each in split_files.names()[:1]):
        raise SourceError(f"{where}: split {name!r}: its files must be in the folder, got the names {short(template)}")
    return split_files


def read_features(description: Any) -> dict[str, FeatureKind] | None:
    """Returns the features of each record and their kinds, from the contents of `FEATURES_NAME`.

    None if it is of a form that TFDS no longer writes: then only the records tell.
    """
    if not isinstance(description, Mapping) or "featuresDict" not in description:
        return None
    return dict(_flat("", description, 0))


def _flat(name: str, feature: Any, depth: int) -> Iterator[tuple[str, FeatureKind]]:
    """Yields the features in one, by their names in a record; `depth` is the number of sequences around it."""
    if not isinstance(feature, Mapping):
        return
    if "featuresDict" in feature:
        for key, value in (feature["featuresDict"].get("features") or {}).items():
            yield from _flat(f"{name}/{key}" if name else key, value, depth)
    elif "sequence" in feature:
        yield from _flat(name, feature["sequence"].get("feature"), depth + 1)
    else:
        kind: FeatureKind = next((kind for key, kind in _KINDS.items() if key in feature), "other")
        yield (f"{name}{NESTED}" if depth > 1 else name), kind


def classes_name(feature: str) -> str:
    """Returns the name of the file with a feature's class names, one a line."""
    return f"{feature.removesuffix(NESTED).replace('/', '-')}.labels.txt"
