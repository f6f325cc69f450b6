"""Deriving a dataset: tables by key, beside references to another dataset's tables.

Promises: the derived dataset's bytes depend on the base, the files' contents and the options alone; the same command
run again after a kill gives the same bytes. The output belongs to one derivation, and is used by one process at a time
on a machine. Memory is bounded by a part of the keys and texts, not by the dataset. The base is only read.
"""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from lit_precompute.precompute.deriving.additions.addition import Addition
from lit_precompute.precompute.deriving.additions.contents import put_together, stored_schema
from lit_precompute.precompute.deriving.additions.kept_texts import CAPTIONS, KeptTexts
from lit_precompute.precompute.deriving.additions.opening import open_additions
from lit_precompute.precompute.deriving.additions.vectors import DatasetVectors
from lit_precompute.precompute.deriving.base import read_keys
from lit_precompute.precompute.deriving.composition import Composition
from lit_precompute.precompute.deriving.matching import DatasetKeys, FileMatcher, Matches
from lit_precompute.precompute.deriving.options import DeriveOptions
from lit_precompute.precompute.deriving.output import DERIVE, Output
from lit_precompute.precompute.deriving.unmatched import Unmatched, check_limits
from lit_precompute.schemas import DatasetError, EmbeddingDataset, FileInfo, Manifest, Reference, ShardWriter
from lit_precompute.schemas.dataset_files import dataset_folder
from lit_precompute.schemas.storage import absolute

if TYPE_CHECKING:
    from lit_precompute.precompute.deriving.embedding_texts.table import TextEmbeddingsTable

# About how much of keys and texts is matched at a time; a few times as much memory is used.
_PART_BYTES = 128 << 20
_KEY_BYTES = 64
_MAX_PARTS = 1024

Report = Callable[[str, int, int | None], None]
"""Takes what is being done ("reading captions"), how much of it is done, and how much there is in all, if known."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Derived:
    """A derived dataset.

    Attributes:
      manifest: its manifest.
      matches: how the rows of each table that was written were matched.
      was_there: whether it was finished before.
    """

    manifest: Manifest
    matches: Mapping[str, Matches]
    was_there: bool = False


def derive(options: DeriveOptions, report: Report = lambda what, done, total: None) -> Derived:
    """Writes a dataset that refers to another one's tables and has some of its own.

    Args:
      options: what to derive from what.
      report: called often, with the progress.

    Raises:
      DatasetError: the base cannot be opened, or does not fit what is added.
      SourceError: a file cannot be read, a row of it breaks a rule, a key repeats, or too many keys find no partner.
      ClaimError: the output belongs to something else.
      OSError: a file cannot be read or written.
    """
    return _Derivation(options, report).run()


class _Derivation:
    def __init__(self, options: DeriveOptions, report: Report):
        self._options, self._report = options, report
        self._base = dataset_folder(absolute(options.base, what="dataset", writing=False))
        self._manifest = Manifest.read(self._base)
        self._output = Output(absolute(options.output))
        if self._output.folder.path.startswith(f"{self._base.path}/"):
            raise DatasetError(f"{self._output.folder.path}: is within the dataset; choose another --output")
        self._kept = KeptTexts(self._base, self._manifest) if options.keep_texts else None
        self._additions = open_additions(options, self._kept)
        self._text_embeddings = self._open_text_embeddings()

    def _open_text_embeddings(self) -> TextEmbeddingsTable | None:
        options = self._options.embed_texts
        if options.tower is None:
            return None
        # It needs JAX, whose import takes seconds.
        from lit_precompute.precompute.deriving.embedding_texts.table import TextEmbeddingsTable
        from lit_precompute.towers.text.encoder import load_text_encoder

        self._report(f"reading the text tower {options.tower}", 0, None)
        return TextEmbeddingsTable(self._base, self._manifest, options, load_text_encoder(options.encoder()))

    def run(self) -> Derived:
        description = {
            "base": self._manifest.digest,
            "tables": {each.table.name: each.described() for each in self._tables()},
            **({"keep_texts": True} if self._kept else {}),
        }
        if (finished := self._output.finished(description)) is not None:
            return Derived(manifest=finished, matches={}, was_there=True)
        with self._output.claimed(description), self._scratch() as scratch:
            referred = self._referred()
            self._additions = [each for each in self._additions if each.table.name not in referred]
            composition = Composition(self._base, self._manifest, self._output.folder)
            matches: dict[str, Matches] = {}
            if self._additions:
                keys, matchers = self._read(scratch)
                matches = self._match(matchers)
                composition.add_own([each.table for each in self._additions], self._write(keys, matchers))
            if self._text_embeddings is not None:
                self._embed_texts(self._text_embeddings, composition)
            for vectors, reference in referred.values():
                composition.add_referred(vectors, reference)
            for addition in self._additions:
                composition.add_provenance(addition)
            counts = {name: each.counts() for name, each in matches.items()}
            job = {DERIVE: description, "matches": counts, "base": self._options.base}
            manifest = composition.publish(job)
            self._output.release()
            return Derived(manifest=manifest, matches=matches)

    def _tables(self) -> Iterator[Addition | TextEmbeddingsTable]:
        yield from self._additions
        if self._text_embeddings is not None:
            yield self._text_embeddings

    def _embed_texts(self, made: TextEmbeddingsTable, composition: Composition) -> None:
        try:
            files = made.write(self._output.folder, lambda done, total: self._report("embedding texts", done, total))
        except ValueError:
            made.remove(self._output.folder)  # no other run of this derivation would do better
            raise
        composition.add_own([made.table], files)
        composition.add_notes(made.notes())
        composition.attach(*made.attachment())

    def _referred(self) -> dict[str, tuple[DatasetVectors, Reference]]:
        """Returns the tables of other datasets that can be referred to, and where they are."""
        found: dict[str, tuple[DatasetVectors, Reference]] = {}
        candidates = [each for each in self._additions if isinstance(each, DatasetVectors)]
        if candidates:
            with EmbeddingDataset.open(self._base.path, tables=[self._manifest.smallest_table]) as dataset:
                for vectors in candidates:
                    self._report(f"comparing keys with {vectors.path}", 0, None)
                    if (reference := vectors.reference(dataset)) is not None:
                        found[vectors.table.name] = vectors, reference
        return found

    @contextlib.contextmanager
    def _scratch(self) -> Iterator[pathlib.Path]:
        with tempfile.TemporaryDirectory(prefix="derive-", dir=self._output.folder.scratch()) as folder:
            yield pathlib.Path(folder)

    def _read(self, scratch: pathlib.Path) -> tuple[DatasetKeys, list[FileMatcher]]:
        """Reads all keys of the base, and all rows of what is added."""
        num_rows = self._manifest.num_rows
        num_bytes = _KEY_BYTES * num_rows + sum(each.max_bytes for each in self._additions)
        num_parts = min(1 + num_bytes // _PART_BYTES, _MAX_PARTS)
        keys = DatasetKeys(scratch, self._manifest.shards.num_rows, num_parts)
        matchers: list[FileMatcher] = []
        for addition in self._additions:
            name = addition.table.name
            matcher = FileMatcher(scratch / name, stored_schema(addition.table), keys)
            for batch in addition.batches(lambda done, name=name: self._report(f"reading {name}", done, None)):
                matcher.add(batch)
            matchers.append(matcher)
        read_keys(
            self._base,
            self._manifest,
            keys,
            lambda done: self._report(f"reading keys of {self._base.path}", done, num_rows),
        )
        return keys, matchers

    def _match(self, matchers: Sequence[FileMatcher]) -> dict[str, Matches]:
        """Finds the row of each key; refuses too many that have none."""
        matches: dict[str, Matches] = {}
        with Unmatched(self._options.unmatched) as unmatched:
            for addition, matcher in zip(self._additions, matchers, strict=True):
                name = addition.table.name
                matches[name] = matcher.match(
                    addition.place,
                    gather=addition.gathers,
                    tell=unmatched.teller(name),
                    progress=lambda done, total, name=name: self._report(f"matching {name} by key", done, total),
                )
        for addition in self._additions:
            check_limits(addition, matches[addition.table.name], self._manifest.num_rows, self._options)
        return matches

    def _write(self, keys: DatasetKeys, matchers: Sequence[FileMatcher]) -> list[dict[str, FileInfo]]:
        """Writes the new tables; returns their files by shard."""
        tables = [addition.table for addition in self._additions]
        files: list[dict[str, FileInfo]] = []
        for number in range(keys.num_parts):
            found = [matcher.rows(number) for matcher in matchers]
            starts = [0] * len(tables)
            for shard, first_row, shard_keys in keys.shards(number):
                with ShardWriter(
                    self._output.folder, shard=shard, tables=tables, block_rows=self._manifest.block_rows
                ) as writer:
                    for place, table in enumerate(tables):
                        rows = found[place]
                        stop = _first_from(rows, first_row + len(shard_keys))
                        own = rows.slice(starts[place], stop - starts[place])
                        if self._kept and table.name == CAPTIONS and len(shard_keys):
                            own = self._kept.before(table, shard, shard_keys, first_row, own)
                        writer.append_stored(table.name, put_together(table, shard_keys, first_row, own))
                        starts[place] = stop
                    files.append(writer.finish().files)
                self._report("writing shards", shard + 1, len(self._manifest.shards))
        if self._kept:
            self._kept.close()
        return files


def _first_from(rows: pa.Table, row: int) -> int:
    """Returns the place of the first of some rows, which ascend, that is not before a row of the dataset."""
    return int(np.searchsorted(rows["row"].to_numpy(), row))
