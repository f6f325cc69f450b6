"""Tar files in webdataset's layout: images and their texts, many samples per file.

Promises: a look reads the headers of a tar and no image; a slice is then read by its byte offsets alone. A sample's key
is "<tar's name without .tar>/<sample's name>", before it as many of the tar's folders as asked for. A sample without an
image, or with a member that cannot be read, becomes a failed row and is never skipped. A tar that is one slice is read
from the beginning to the end: its rows and keys are known once it is read.

Not here: audio or video.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from lit_precompute.precompute.sources.files import Finder, Opener, open_first
from lit_precompute.precompute.sources.listing import list_files
from lit_precompute.precompute.sources.peeking import Peek
from lit_precompute.precompute.sources.source import (
    Example,
    FileLook,
    FileSlice,
    ListedFile,
    SourceError,
    Survey,
)
from lit_precompute.precompute.sources.spec import SourceSpec
from lit_precompute.precompute.sources.webdataset.format import TAR_ENDINGS
from lit_precompute.precompute.sources.webdataset.looking import look_into
from lit_precompute.precompute.sources.webdataset.peeking import peek_tar
from lit_precompute.precompute.sources.webdataset.survey import survey_tars
from lit_precompute.precompute.sources.webdataset.tar_links import follow_all
from lit_precompute.precompute.sources.webdataset.tar_members import Member
from lit_precompute.precompute.sources.webdataset.tar_opening import OpenTar, open_tar
from lit_precompute.precompute.sources.webdataset.tar_rows import key_prefix, make_example
from lit_precompute.precompute.sources.webdataset.tar_samples import Sample, SampleRule, read_samples
from lit_precompute.precompute.sources.webdataset.tar_scan import Sought
from lit_precompute.precompute.sources.webdataset.tar_words import JSON_SUFFIXES, words_suffixes
from lit_precompute.schemas import TableSchema
from lit_precompute.schemas.wording import counted


@dataclasses.dataclass(frozen=True, kw_only=True)
class WebdatasetSource:
    """See `Source`. Made by `make_webdataset`."""

    spec: SourceSpec
    rule: SampleRule
    opener: Opener
    find: Finder
    kind: str = "webdataset"
    on_repeated_keys: str = (
        "rename the tars or the samples, or make the folders of the tars part of the keys with --key-folders 1; keep "
        "the members of a sample together"
    )

    @property
    def path(self) -> str:
        """As the user gave it."""
        return self.spec.path

    @property
    def options(self) -> Mapping[str, Any]:
        """The names of its columns, and other options that are not the default."""
        chosen = {name: getattr(self.spec, name) for name in ("sample_name", "key_folders", "whole_tars")}
        changed = {name: value for name, value in chosen.items() if value != getattr(SourceSpec, name)}
        return {"columns": self.spec.columns.recorded(), **changed}

    def files(self) -> list[ListedFile]:
        """Returns the tars; see `Source.files`."""
        files = list_files(self.path, self.find, TAR_ENDINGS)
        for file in files:
            key_prefix(file.path, self.spec.key_folders)
        open_first(files[0].path, self.opener).close()
        return files

    def look(self, file: ListedFile, rows_per_slice: int) -> FileLook:
        """Reads the headers of a tar, and some JSON; see `Source.look`."""
        return self._look(file, rows_per_slice)

    def _look(self, file: ListedFile, rows_per_slice: int, most: int | None = None) -> FileLook:
        """Looks into a tar, or only at its first samples if `most` is given."""
        prefix = key_prefix(file.path, self.spec.key_folders)
        with open_tar(
            self.opener, file.path, jumps=True, keeps=functools.partial(self.rule.is_any_of, JSON_SUFFIXES)
        ) as tar:
            return look_into(
                tar,
                file.path,
                prefix,
                self._sought,
                rows_per_slice=rows_per_slice,
                is_whole=self.spec.whole_tars,
                most=most,
            )

    def peek(self, file: ListedFile, max_rows: int, max_counted: int) -> Peek:
        """Returns the first samples of a tar; see `Peekable`."""
        look = functools.partial(self._look, file, max(max_rows, 1), max_counted)
        return peek_tar(self, look, max_rows, self.fields(file))

    def fields(self, file: ListedFile) -> Mapping[str, str]:
        """Returns the suffixes of the first sample's members, with their sizes; see `HasFields`."""
        with open_tar(self.opener, file.path, jumps=True, keeps=functools.partial(self.rule.is_any_of, ())) as tar:
            sample = next(read_samples(tar.members(0, None), tar.shown, self.rule), None)
        return {
            f".{suffix}": counted(member.size, "byte") for suffix, member in (sample.parts if sample else {}).items()
        }

    def survey(self, looks: Sequence[FileLook]) -> Survey:
        """Returns the tables; see `Source.survey`."""
        self._check_prefixes(looks)
        return survey_tars(self.path, looks, self._sought)

    def _check_prefixes(self, looks: Sequence[FileLook]) -> None:
        """Refuses tars whose keys begin alike where they cannot be compared before they are read."""
        first_seen: dict[str, FileLook] = {}
        for look in looks:
            prefix = key_prefix(look.path, self.spec.key_folders)
            first = first_seen.setdefault(prefix, look)
            is_known = all(part.num_rows is not None for part in (*first.slices, *look.slices))
            if first is not look and not is_known:
                raise SourceError(
                    f"{look.path}: keys must be unique, and those of {first.path} begin with {prefix + '/'!r}, too; "
                    f"tars that are read whole are not compared: {self.on_repeated_keys}"
                )
            if not is_known:
                first_seen[prefix] = look

    def keys(self, part: FileSlice) -> Iterator[tuple[str, str]]:
        """Yields (key, its place) of each sample; see `Source.keys`."""
        prefix = key_prefix(part.path, self.spec.key_folders)
        with self._open(part, jumps=True) as tar:
            for sample in self._samples(tar, part):
                yield f"{prefix}/{sample.name}", f"{tar.shown}, byte {sample.start}"

    def read(self, part: FileSlice, tables: Sequence[TableSchema]) -> Iterator[Example]:
        """Yields the samples of a slice; see `Source.read`. Images are read from the tar on request."""
        prefix = key_prefix(part.path, self.spec.key_folders)
        has_labels = any(table.name == "labels" for table in tables)
        skips: dict[str, None] = {}
        waiting: Example | None = None
        with self._open(part, jumps=False) as tar:
            links = dict(part.links)

            def target_of(link: Member) -> Member | None:
                if part.num_rows is None:
                    return tar.find_targets().get(link.start)
                return tar.member_at(links[link.start]) if link.start in links else None

            for sample in self._samples(tar, part, skips):
                whole = dataclasses.replace(sample, parts=follow_all(sample.parts, target_of))
                example = make_example(whole, tar.file, prefix, self.rule, self.spec.columns, has_labels=has_labels)
                tar.forget_before(sample.start)
                if part.num_rows is not None:
                    yield example  # the look has noted what belongs to no row
                    continue
                if waiting is not None:
                    yield waiting
                waiting = _with_notes(example, skips)
            if waiting is not None:
                yield _with_notes(waiting, skips)

    def _open(self, part: FileSlice, *, jumps: bool) -> AbstractContextManager[OpenTar]:
        is_whole = part.num_rows is None  # then its end is looked for
        stop = None if is_whole else part.stop
        keeps = functools.partial(self.rule.is_any_of, self.rule.image_suffixes | words_suffixes(self.spec.columns))
        return open_tar(self.opener, part.path, start=part.start, stop=stop, jumps=jumps, keeps=keeps)

    @property
    def _sought(self) -> Sought:
        columns = self.spec.columns
        given = {getattr(columns, field) for field in ("text", "texts", "label") if not columns.is_default(field)}
        return Sought(columns=columns, rule=self.rule, keys=frozenset(given | set(columns.named_columns.values())))

    def _samples(self, tar: OpenTar, part: FileSlice, skips: dict[str, None] | None = None) -> Iterator[Sample]:
        """Yields the samples of a slice.

        Args:
          tar: the open tar.
          part: the slice.
          skips: takes why members belong to no sample.
        """

        def skip(what: str, member: Member) -> None:
            if skips is not None:
                skips[what] = None

        num_found, group = -part.num_before, -1
        for sample in read_samples(
            tar.members(part.start, None if part.num_rows is None else part.stop), tar.shown, self.rule, skipped=skip
        ):
            if num_found == part.num_rows and sample.start == group:
                break  # the rest of these mixed samples belongs to the next unit
            num_found, group = num_found + 1, sample.start
            if part.num_rows is None or 0 < num_found <= part.num_rows:
                yield sample
        if part.num_rows not in (None, num_found):
            raise SourceError(
                f"{part.path}: bytes {part.start} to {part.stop} had {part.num_rows} samples when the job was planned "
                f"and have {num_found} now; the tar changed: start again with a new output directory"
            )


def _with_notes(example: Example, skips: dict[str, None]) -> Example:
    """Returns a row with notes about members near it that belong to no row; takes them."""
    notes = (*example.notes, *skips)
    skips.clear()
    return dataclasses.replace(example, notes=notes)


def make_webdataset(spec: SourceSpec, format: str, opener: Opener, find: Finder) -> WebdatasetSource:
    """Returns the samples of a tar, a pattern of tars or a folder of tars; nothing is read yet.

    Raises:
      SourceError: an option means nothing for tars.
    """
    del format  # there is one
    if not spec.columns.is_default("key"):
        raise SourceError(
            f"{spec.path}: a key column {spec.columns.key!r} is for tables; in tars a row's key is the sample's name"
        )
    if spec.key_folders < 0:
        raise SourceError(f"{spec.path}: --key-folders must be >= 0, got {spec.key_folders}")
    rule = SampleRule.of(spec.columns, spec.sample_name)
    return WebdatasetSource(spec=spec, rule=rule, opener=opener, find=find)
