"""Which source of texts a run uses: a table of the dataset that has the tokens, or the captions, tokenised here.

Promises: a table is used only if it was made by the run's own tokenizer, of texts chosen as the recipe chooses them, is
long enough, and agrees with texts of the dataset that are tokenised for comparison. Otherwise a note says why not.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.schemas.storage import DatasetError
from lit_precompute.schemas.token_tables import TokenTableInfo, attachment_name, is_token_table
from lit_precompute.towers.tokenizers import Tokenizer
from lit_precompute.tune.data.chosen_texts import ChosenTexts
from lit_precompute.tune.data.shuffled_texts import ShuffledTexts
from lit_precompute.tune.data.stored_tokens import StoredTokens
from lit_precompute.tune.data.text_options import TextOptions
from lit_precompute.tune.data.text_source import TextSource
from lit_precompute.tune.data.tokenised_texts import TokenisedTexts

# So many rows of so many blocks, the first and the last among them, are tokenised and compared with a table.
_COMPARED_ROWS, _COMPARED_BLOCKS = 32, 3


class FoundTexts(NamedTuple):
    """The texts of a recipe's fields.

    Attributes:
      dataset: the dataset to read rows and texts of; another opening of it where further tables are needed.
      source: what rows contribute.
      notes: what to tell about token tables.
    """

    dataset: EmbeddingDataset
    source: ChosenTexts
    notes: Sequence[str]


def find_texts(dataset: EmbeddingDataset, tokenizer: Tokenizer, options: TextOptions) -> FoundTexts:
    """Returns the texts of the options' fields; one that another dataset of a mixture has may be missing here.

    Raises:
      ValueError: tokenizer and options disagree on lower-casing.
    """
    finding = _Finding(dataset, tokenizer, options)
    sources = {field: finding.find(field) for field in options.field_names}
    return FoundTexts(finding.opened, ChosenTexts(sources, options), finding.notes)


class _Finding:
    """Finds the source of each field in turn, and opens the tables that are found."""

    def __init__(self, dataset: EmbeddingDataset, tokenizer: Tokenizer, options: TextOptions):
        self._dataset, self._tokenizer, self._options = dataset, tokenizer, options
        self.opened, self.notes = dataset, list[str]()

    def find(self, field: str) -> TextSource:
        """Returns a table's tokens of a field, or else its texts, to be tokenised."""
        tokenizer, options = self._tokenizer, self._options
        is_there = field in self._dataset.columns
        if field in options.shuffled_fields:
            for name, info in self._tables_of(field):
                if isinstance(info, TokenTableInfo):
                    self._note(
                        field, f"the table '{name}' is not used: the texts are shuffled; they are tokenised here"
                    )
            return ShuffledTexts(tokenizer, options, field, is_there=is_there)
        tokenised = TokenisedTexts(tokenizer, options, field, is_there=is_there)
        for name, info in self._tables_of(field):
            why_not = info if isinstance(info, str) else _unfit(info, tokenizer, options)
            if why_not is None:
                assert isinstance(info, TokenTableInfo)
                opened = EmbeddingDataset.open(self.opened.path, tables=[*self.opened.tables, name])
                is_filtered = field in options.filtered_fields
                stored = StoredTokens(tokenizer, options.max_tokens, info.column, field if is_filtered else None)
                if (why_not := _differs(opened, stored, tokenised)) is None:
                    self._use(opened)
                    self._note(field, f"tokens are read from the table '{name}'; nothing is tokenised")
                    return stored
                opened.close()
            self._note(field, f"the table '{name}' is not used: {why_not}; texts are tokenised here")
        return tokenised

    def _tables_of(self, field: str) -> Iterator[tuple[str, TokenTableInfo | str]]:
        """Yields the token tables of a field, and what they were made with; those of which that is unknown, and why."""
        for name in token_tables(self._dataset):
            try:
                info = read_info(self._dataset, name)
            except DatasetError as error:
                yield name, str(error)
                continue
            if info.field == field:
                yield name, info

    def _use(self, opened: EmbeddingDataset) -> None:
        if self.opened is not self._dataset:
            self.opened.close()
        self.opened = opened

    def _note(self, field: str, note: str) -> None:
        # One field alone goes without saying.
        self.notes.append(note if self._options.num_fields == 1 else f"{field}: {note}")


def token_tables(dataset: EmbeddingDataset) -> list[str]:
    """Returns the names of a dataset's token tables."""
    return [table.name for table in dataset.manifest.tables if table.aligned and is_token_table(table.name)]


def read_info(dataset: EmbeddingDataset, table: str) -> TokenTableInfo:
    """Returns what a token table was made with.

    Raises:
      DatasetError: the dataset does not say, or what it says is damaged or about another table.
    """
    name = attachment_name(table)
    info = TokenTableInfo.from_bytes(dataset.attachment(name), f"{dataset.path}: attachment {name}")
    if info.name != table:
        raise DatasetError(f"{dataset.path}: attachment {name} is about the table '{info.name}'")
    return info


def _unfit(info: TokenTableInfo, tokenizer: Tokenizer, options: TextOptions) -> str | None:
    """Returns why a table cannot serve, in words, or None."""
    if info.fingerprint != tokenizer.fingerprint:
        return "another tokenizer made it"
    separator = options.separator if options.choice == "join" else None
    if info.separator != separator:
        made, wanted = (
            "each text alone" if each is None else f"texts joined by {each!r}" for each in (info.separator, separator)
        )
        return f"it has the tokens of {made}, and the recipe wants {wanted}"
    if separator is not None and info.field in options.filtered_fields:
        return "it has all texts joined, also those that the recipe leaves out (text.filtered)"
    if info.max_pieces < (needed := tokenizer.max_pieces(options.max_tokens)):
        return (
            f"it has at most {info.max_pieces} pieces of a text, and rows of {options.max_tokens} tokens hold {needed}"
        )
    return None


def _differs(dataset: EmbeddingDataset, stored: StoredTokens, tokenised: TokenisedTexts) -> str | None:
    """Returns where a table differs from the tokens of the dataset's texts, in words, or None where it does not."""
    blocks = np.unique(np.linspace(0, dataset.num_blocks - 1, _COMPARED_BLOCKS).astype(int)).tolist()
    for block in blocks if dataset.num_rows else ():
        start, stop = dataset.block_span(block)
        places = np.arange(min(_COMPARED_ROWS, stop - start))
        try:
            read = dataset.read_block(block, [*dict.fromkeys((*stored.columns, *tokenised.columns))])
            there, here = stored.read(read, places), tokenised.read(read, places)
        except DatasetError as error:
            return str(error)
        pairs = zip((there.counts(places), *there.all()), (here.counts(places), *here.all()), strict=True)
        if not all(np.array_equal(*pair) for pair in pairs):
            return f"its tokens are not those of the dataset's texts (rows {start} to {start + len(places) - 1})"
    return None
