"""A dataset that TFDS prepared, a folder with `dataset_info.json`, as a source; tensorflow_datasets is not needed.

Promises: the files, the number of records in each and the features are taken from the descriptions in the folder, so
that no record is read before it is embedded. Labels are class names.
"""

from __future__ import annotations

import dataclasses
import glob
import json
from collections.abc import Mapping
from typing import Any

from lit_precompute.precompute.sources.files import Finder, Opener
from lit_precompute.precompute.sources.listing import relative_name
from lit_precompute.precompute.sources.records.examples import Record
from lit_precompute.precompute.sources.records.features import Features, first_of
from lit_precompute.precompute.sources.records.source import RECORD_FILES, RecordSource
from lit_precompute.precompute.sources.records.tfds_info import (
    FEATURES_NAME,
    INFO_NAME,
    NESTED,
    FeatureKind,
    SplitFiles,
    classes_name,
    lengths_by_name,
    read_features,
    read_splits,
)
from lit_precompute.precompute.sources.source import FileLook, ListedFile, SourceError
from lit_precompute.precompute.sources.spec import SourceColumns, SourceSpec
from lit_precompute.precompute.sources.values import listed
from lit_precompute.schemas.wording import counted


@dataclasses.dataclass(frozen=True, kw_only=True)
class TfdsSource(RecordSource):
    """See `Source`. Made by `make_tfds`.

    Attributes:
      splits: the files of the splits that are read.
      described: the features of every record; None if the folder does not describe them.
    """

    splits: tuple[SplitFiles, ...]
    described: tuple[str, ...] | None

    def files(self) -> list[ListedFile]:
        """Returns the files of the splits."""
        folder = self.path.rstrip("/")
        found = self.find(f"{glob.escape(folder)}/*")
        there = {path.rpartition("/")[2]: file for path, file in found.items()}
        names = lengths_by_name(self.splits)
        if not names:
            raise SourceError(f"{self.path}: no records in {' and '.join(split.name for split in self.splits)}")
        if missing := [name for name in names if name not in there]:
            raise SourceError(
                f"{folder}/{missing[0]}: no such file ({counted(len(missing), 'file')} of {len(names):,} missing); "
                "copy the dataset again, or prepare it again"
            )
        return [
            ListedFile(path=f"{folder}/{name}", num_bytes=there[name].num_bytes, version=there[name].version)
            for name in names
        ]

    def look(self, file: ListedFile, rows_per_slice: int) -> FileLook:
        """Cuts a file into slices; reads records only where the folder does not describe their features."""
        if self.described is None:
            return super().look(file, rows_per_slice)
        expected = lengths_by_name(self.splits)[relative_name(self.path, file.path)]
        look, _ = self.container.look(file, rows_per_slice, num_records=expected, num_first=0)
        num_rows = sum(part.num_rows or 0 for part in look.slices)
        if num_rows != expected and all(part.num_rows is not None for part in look.slices):
            raise SourceError(f"{file.path}: must have {expected:,} records by {INFO_NAME}, has {num_rows:,}")
        hashes = self.hashes(look, self.key_feature(None))
        return dataclasses.replace(look, key_hashes=hashes, findings={"features": list(self.described)})

    def key_feature(self, first: Record | None) -> str | None:
        """Returns the feature of the keys."""
        return super().key_feature(first) if self.described is None else self.features.key_of(self.described)


def make_tfds(spec: SourceSpec, opener: Opener, find: Finder) -> TfdsSource:
    """Returns the dataset in a folder; its descriptions are read, and nothing else.

    Args:
      spec: the folder of one version of a dataset, such as coco_captions/2014/1.1.0, and its split.
      opener: opens a path.
      find: lists what a glob pattern matches.

    Raises:
      SourceError: there is no such folder or split, or the descriptions are damaged.
    """
    info = _read_json(spec.path, INFO_NAME, opener)
    if info is None:
        raise SourceError(f"{spec.path}: {_no_info(spec.path, find)}")
    format, splits = read_splits(info, spec.split, spec.path)
    kinds = read_features(_read_json(spec.path, FEATURES_NAME, opener))
    features = _with_classes(_chosen(spec.columns, kinds or {}, spec.path), kinds, spec.path, opener)
    return TfdsSource(
        path=spec.path,
        kind="tfds",
        options={"split": "+".join(split.name for split in splits), "columns": spec.columns.recorded()},
        endings=(),
        features=features,
        container=RECORD_FILES[format](opener),
        opener=opener,
        find=find,
        splits=splits,
        described=None if kinds is None else tuple(kinds),
    )


def _chosen(columns: SourceColumns, kinds: Mapping[str, FeatureKind], path: str) -> Features:
    """Returns which features are what: as the user says, or by their kinds.

    Raises:
      SourceError: several could be the image.
    """
    features = Features.of(columns).renamed(lambda name: nested if (nested := f"{name}{NESTED}") in kinds else name)
    images = [name for name, kind in kinds.items() if kind == "image"]
    if columns.is_default("image") and images:
        usual = first_of(features.image, images)
        if usual is None and len(images) > 1:
            raise SourceError(f"{path}: the images are {listed(images)}; choose one as --image-column")
        features = dataclasses.replace(features, image=(usual or images[0],))
    labels = [name for name, kind in kinds.items() if kind == "class"]
    if columns.is_default("label") and first_of(features.label, kinds) is None and len(labels) == 1:
        features = dataclasses.replace(features, label=(labels[0],))
    return features


def _with_classes(features: Features, kinds: Mapping[str, FeatureKind] | None, path: str, opener: Opener) -> Features:
    """Returns the features with the names of the classes of those that are read."""
    classes: dict[str, tuple[str, ...]] = {}
    for name in {*features.words, *features.named.values()}:
        if kinds is None or kinds.get(name) == "class":
            text = _read_text(path, classes_name(name), opener)
            if text is not None:
                classes[name] = tuple(text.removesuffix("\n").split("\n"))
    return dataclasses.replace(features, classes=classes)


def _read_json(path: str, name: str, opener: Opener) -> Any:
    """Returns the contents of a description; None if there is none."""
    text = _read_text(path, name, opener)
    try:
        return None if text is None else json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{path.rstrip('/')}/{name}: not JSON ({error})") from error


def _read_text(path: str, name: str, opener: Opener) -> str | None:
    where = f"{path.rstrip('/')}/{name}"
    try:
        with opener(where) as stream:
            return stream.read().decode()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except UnicodeDecodeError as error:
        raise SourceError(f"{where}: not UTF-8 at byte {error.start}") from error


def _no_info(path: str, find: Finder) -> str:
    """Returns why a path is no dataset: there is none, or it is further down."""
    folder = path.rstrip("/")
    below = [found for stars in ("*", "*/*") for found in find(f"{glob.escape(folder)}/{stars}/{INFO_NAME}")]
    hint = f"; there is one in {' and '.join(each.rpartition('/')[0] for each in below[:3])}" if below else ""
    return f"no {INFO_NAME}, so no dataset that TFDS prepared{hint}"
