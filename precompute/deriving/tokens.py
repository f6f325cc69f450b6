"""The tokens of a dataset's texts, as rows of a token table."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lit_precompute.precompute.deriving.additions.contents import TEXTS
from lit_precompute.precompute.deriving.additions.kept_texts import CAPTIONS
from lit_precompute.schemas import DatasetError, Manifest
from lit_precompute.schemas.dataset_files import dataset_folder
from lit_precompute.schemas.reading.table_files import TableLocator
from lit_precompute.schemas.reading.table_reader import TableReader
from lit_precompute.schemas.tables import KEY
from lit_precompute.schemas.texts import are_texts, join_texts
from lit_precompute.schemas.token_tables import TokenTableInfo, blank_lists, to_lists
from lit_precompute.towers.text.registry import text_towers
from lit_precompute.towers.tokenizers import (
    HuggingFaceOptions,
    SentencePieceOptions,
    Tokenizer,
    find_saved,
    load_tokenizer,
    train_tokenizer,
)


def open_tokenizer(place: str, *, lower_case: bool) -> Tokenizer:
    """Returns a tokenizer: one that was saved, or of a vocabulary.

    Args:
      place: a saved tokenizer's folder, that of a run or tuned model that has such a folder; a .model file;
        what Hugging Face's library reads, as tokenizer.path is given; or the name of a text tower, for its tokenizer.
      lower_case: whether texts are lower-cased first, where the tokenizer does not decide it.

    Raises:
      ValueError: there is no tokenizer.
    """
    if (saved := find_saved(place)) is not None:
        return load_tokenizer(str(saved))
    if place in (named := text_towers()):
        return train_tokenizer(named[place].tokenizer, (), lower_case=lower_case)
    kind = SentencePieceOptions if place.endswith(".model") else HuggingFaceOptions
    return train_tokenizer(kind(path=place), (), lower_case=lower_case)


class CaptionShards:
    """Reads the table `captions` of a dataset, shard by shard, in any order."""

    def __init__(self, path: str, digest: str):
        """Opens the dataset.

        Raises:
          DatasetError: it is not the one with this digest, or has no texts.
        """
        folder = dataset_folder(path)
        self.manifest = Manifest.read(folder)
        if self.manifest.digest != digest:
            raise DatasetError(f"{path}: has been changed since the job began; run the command again")
        table = self.manifest.table(CAPTIONS)
        files = TableLocator(folder, self.manifest.shards, self.manifest.references).files(table)
        self._reader = TableReader(files.folder, table, files)

    def batches(self, shard: int, num_rows: int, field: str = TEXTS) -> Iterator[pa.RecordBatch]:
        """Yields keys and texts of a shard, those of one column, so many rows at a time."""
        if not self.manifest.shards.num_rows[shard]:
            return
        rows = self._reader.read_shard(shard).select([KEY, field]).combine_chunks()
        self._reader.forget(shard)
        yield from rows.to_batches(max_chunksize=num_rows)

    def close(self) -> None:
        """Closes the files."""
        self._reader.close()


def check_field(path: str, manifest: Manifest, field: str) -> None:
    """Raises DatasetError unless the dataset has texts of this name; the message has those that there are."""
    texts = [column.name for column in manifest.table(CAPTIONS).columns if column.type == "list<string>"]
    if field not in texts:
        raise DatasetError(f"{path}: --text-field must be one of {', '.join(texts)}, got {field!r}")


def token_rows(rows: pa.RecordBatch, tokenizer: Tokenizer, info: TokenTableInfo) -> pa.RecordBatch:
    """Returns rows of a token table; see `schemas.token_tables`.

    A row has an entry for each of its texts, also for a blank one. Joined texts are the first entry, and blank ones are
    behind it.

    Args:
      rows: keys and texts.
      tokenizer: the tokenizer.
      info: how the texts are cut, and whether they are joined.
    """
    texts = rows.column(info.field)
    strings = texts.flatten()
    owners = np.asarray(pc.call_function("list_parent_indices", [texts]), np.int64)
    shows = are_texts(strings).to_numpy(zero_copy_only=False)
    shown, text_owners = strings.filter(pa.array(shows)), owners[shows]
    places, blank_places = np.flatnonzero(shows), np.flatnonzero(~shows)
    if info.separator is not None:
        shown = join_texts(shown, np.bincount(text_owners, minlength=len(rows)), info.separator)
        text_owners, firsts = np.unique(text_owners, return_index=True)
        places = places[firsts]
    pieces = tokenizer.pieces(shown.to_pylist()).cut(info.max_pieces)
    entries = pa.concat_arrays([to_lists(*pieces), blank_lists(len(blank_places))])
    entry_owners = np.concatenate((text_owners, owners[blank_places]))
    # By row; a joined text first.
    within = np.concatenate((places if info.separator is None else np.full(len(places), -1), blank_places))
    order = np.lexsort((within, entry_owners))
    ends = np.cumsum(np.bincount(entry_owners, minlength=len(rows)))
    field = info.table.columns[1].field()
    offsets = pa.array(np.concatenate(([0], ends)).astype(np.int32))
    lists = pa.ListArray.from_arrays(offsets, entries.take(pa.array(order)), type=field.type)
    return pa.RecordBatch.from_arrays([rows.column(KEY), lists], schema=info.table.arrow_schema())
