"""Which source of texts a run uses: a table of the dataset that has the tokens, or the captions, tokenised here.

Promises: a table is used only if it was made by the run's own tokenizer, of texts chosen as the recipe chooses them, is
long enough, and agrees with texts of the dataset that are tokenised for comparison. Otherwise a note says why not.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.schemas.storage import DatasetError
from lit_precompute.towers.tokenizers import Tokenizer
from lit_precompute.towers.tokenizers.stored_pieces import TokenTableInfo, is_token_table
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
      ValueError: tokenizer and options disagree on lower-casing, or a table's description is damaged.
    """
    tokenised = TokenisedTexts(dataset, tokenizer, options)
    notes: list[str] = []
    for info in token_tables(dataset):
        if (why_not := _unfit(info, tokenizer, options)) is None:
            opened = EmbeddingDataset.open(dataset.path, tables=[*dataset.tables, info.name])
            stored = StoredTokens(opened, tokenizer, options.max_tokens)
            if (why_not := _differs(opened, stored, tokenised)) is None:
                return FoundTexts(
                    opened, stored, [f"tokens are read from the table '{info.name}'; nothing is tokenised"]
                )
            opened.close()
        notes.append(f"the table '{info.name}' is not used: {why_not}; texts are tokenised here")
    return FoundTexts(dataset, tokenised, notes)


def token_tables(dataset: EmbeddingDataset) -> Iterator[TokenTableInfo]:
    """Yields what a dataset's token tables were made with; tables that say nothing of it are passed over."""
    manifest = dataset.manifest
    for table in manifest.tables:
        name = f"{table.name}.json"
        if is_token_table(table.name) and table.aligned and name in manifest.attachments:
            info = TokenTableInfo.from_bytes(dataset.attachment(name), f"{dataset.path}: attachment {name}")
            if info.name == table.name:
                yield info


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
