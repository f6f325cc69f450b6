"""Which source of texts a run uses: a table of the dataset that has the tokens, or the captions, tokenised here.

Promises: a table is used only if it was made by the run's own tokenizer, of texts chosen as the recipe chooses them, is
long enough, and agrees with texts of the dataset that are tokenised for comparison. Otherwise a note says why not.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.schemas.storage import DatasetError
from lit_precompute.schemas.token_tables import TokenTableInfo, attachment_name, is_token_table
from lit_precompute.towers.tokenizers import Tokenizer
from lit_precompute.tune.data.stored_tokens import StoredTokens
from lit_precompute.tune.data.text_source import TextSource
from lit_precompute.tune.data.texts import TextOptions
from lit_precompute.tune.data.tokenised_texts import TokenisedTexts

# So many rows of so many blocks, the first and the last among them, are tokenised and compared with a table.
_COMPARED_ROWS, _COMPARED_BLOCKS = 32, 3


class FoundTexts(NamedTuple):
    """A source of texts.

    Attributes:
      dataset: the dataset to read rows and texts of; another opening of it where a further table is needed.
      source: the source.
      notes: what to tell about token tables.
    """

    dataset: EmbeddingDataset
    source: TextSource
    notes: Sequence[str]


def find_texts(dataset: EmbeddingDataset, tokenizer: Tokenizer, options: TextOptions) -> FoundTexts:
    """Returns a source of the dataset's texts.

    Raises:
      ValueError: tokenizer and options disagree on lower-casing.
    """
    tokenised = TokenisedTexts(dataset, tokenizer, options)
    notes: list[str] = []
    for name in token_tables(dataset):
        try:
            why_not = _unfit(read_info(dataset, name), tokenizer, options)
        except DatasetError as error:
            why_not = str(error)
        if why_not is None:
            opened = EmbeddingDataset.open(dataset.path, tables=[*dataset.tables, name])
            stored = StoredTokens(opened, tokenizer, options.max_tokens)
            if (why_not := _differs(opened, stored, tokenised)) is None:
                return FoundTexts(opened, stored, [f"tokens are read from the table '{name}'; nothing is tokenised"])
            opened.close()
        notes.append(f"the table '{name}' is not used: {why_not}; texts are tokenised here")
    return FoundTexts(dataset, tokenised, notes)


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
            (counts, (there,)), (own_counts, (here,)) = stored.read(block, places), tokenised.read(block, places)
        except DatasetError as error:
            return str(error)
        if not (np.array_equal(counts, own_counts) and np.array_equal(there, here)):
            return f"its tokens are not those of the dataset's texts (rows {start} to {start + len(places) - 1})"
    return None
