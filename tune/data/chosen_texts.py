"""Which texts a row contributes to a batch: of which fields, and which of a field's.

Promises: draws are functions of the seed, the epoch and the row's number, and that of a batch's field of the seed and
the step, so that rows in memory and in windows, and texts that are tokenised and stored, are chosen alike.

Source: arXiv:2111.07991, appendix C: jointly, or one field for each image or each batch.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Int64

from lit_precompute.schemas import RowBlock
from lit_precompute.tune.data import random_draws
from lit_precompute.tune.data.joined_dataset import Blocks
from lit_precompute.tune.data.text_batch import TextBatch
from lit_precompute.tune.data.text_draws import draw_arrangement, draw_texts
from lit_precompute.tune.data.text_options import TextOptions
from lit_precompute.tune.data.text_source import Arrays, ReadTexts, TextSource


class ChosenTexts:
    """The texts that rows contribute, of the sources of one field or more.

    A row's chosen texts are arrays whose first axis is the row. With several columns, the first of these arrays says
    which columns are present, and the second axis of the others is the column; "per-batch" has the columns of each
    field until the batch is known.
    """

    def __init__(self, fields: Mapping[str, TextSource], options: TextOptions):
        """Takes the source of each of the options' fields."""
        assert (*fields,) == options.field_names, (list(fields), options.field_names)
        self.options, self._sources = options, list(fields.values())
        self._shuffled = [name in options.shuffled_fields for name in fields]
        self.names = options.field_names
        self.columns: Sequence[str] = tuple(dict.fromkeys(name for each in self._sources for name in each.columns))
        self._per_field = options.texts_per_image
        self._of_each_field = options.combine != "per-image" and options.num_fields > 1
        self._num_columns = self._per_field * (options.num_fields if self._of_each_field else 1)

    @property
    def bytes_per_chosen(self) -> int:
        """Memory that a row's chosen texts take."""
        has_present = int(self._num_columns > 1)
        return self._num_columns * (max(each.bytes_per_chosen for each in self._sources) + has_present)

    def read_block(self, dataset: Blocks, block: int) -> RowBlock:
        """Returns what a dataset's block has of the columns."""
        return dataset.read_block(block, self.columns)

    def read(self, block: RowBlock, places: Int64[np.ndarray, " n"]) -> list[ReadTexts]:
        """Returns the texts of the rows at these ascending places in a block, field by field."""
        return [source.read(block, places) for source in self._sources]

    @property
    def sources(self) -> Sequence[TextSource]:
        """The source of each field."""
        return self._sources

    def choose(
        self,
        fields: Sequence[ReadTexts],
        rows: Int64[np.ndarray, " n"],
        row_numbers: Int64[np.ndarray, " n"],
        *,
        seed: int,
        epoch: int,
    ) -> Arrays:
        """Returns the texts that rows contribute in an epoch, each of which has some.

        Args:
          fields: the texts of each field, read or kept.
          rows: places of rows among these.
          row_numbers: the rows' numbers in the dataset.
          seed: the recipe's.
          epoch: from 0.
        """
        counts = [each.counts(rows) for each in fields]
        choices = np.stack([self._draw(field, own, row_numbers, seed, epoch) for field, own in enumerate(counts)])
        if not self._of_each_field and len(fields) > 1:
            drawn = self._draw_fields(
                choices[:, :, 0] >= 0, row_numbers, random_draws.make_key(seed, random_draws.FIELDS, epoch)
            )
            choices[np.arange(len(fields))[:, None] != drawn] = -1
        if self._num_columns == 1 and len(fields) == 1:
            return fields[0].take(rows, choices[0, :, 0])
        return self._take(fields, rows, choices)

    def _draw(
        self, field: int, counts: Int64[np.ndarray, " n"], row_numbers: Int64[np.ndarray, " n"], seed: int, epoch: int
    ) -> Int64[np.ndarray, "n texts_per_image"]:
        """Returns which texts of a field each row would contribute, of as many as it has; -1: none."""
        if self._shuffled[field]:
            choices = np.full((len(counts), self._per_field), -1)
            choices[:, 0] = np.where(counts > 0, draw_arrangement(seed, epoch, row_numbers, stream=field), -1)
            return choices
        shares = self.options.text_shares
        return draw_texts(seed, epoch, row_numbers, counts, stream=field, most=self._per_field, shares=shares)

    def _draw_fields(
        self, has_texts: Bool[np.ndarray, "fields n"], positions: Int64[np.ndarray, " n"], key: int
    ) -> Int64[np.ndarray, " n"]:
        """Returns one of the fields that each has."""
        weights = np.where(has_texts.T, np.array(self.options.field_shares), 0.0)
        return random_draws.choose_weighted(key, positions, weights)

    def _take(
        self, fields: Sequence[ReadTexts], rows: Int64[np.ndarray, " n"], choices: Int64[np.ndarray, "fields n texts"]
    ) -> Arrays:
        """Returns the chosen texts, each in its column."""
        num_rows, is_present = len(rows), choices >= 0
        # A row has the columns of each field one after the other, or those of the only field that it has.
        # (A window may have no rows at all.)
        columns = is_present.transpose(1, 0, 2).reshape(num_rows, len(fields) * self._per_field)
        if not self._of_each_field:
            columns = np.logical_or.reduce(is_present, axis=0)
        fill = self._sources[0].empty_chosen if columns.all() else self._sources[0].absent
        shape = (num_rows, self._num_columns)
        arrays = tuple(array.reshape(*shape, *array.shape[1:]) for array in fill(num_rows * self._num_columns))
        for field, texts in enumerate(fields):
            at, column = np.nonzero(is_present[field])
            if len(at):
                there = column + (field * self._per_field if self._of_each_field else 0)
                taken = texts.take(rows[at], choices[field, at, column])
                for whole, part in zip(arrays, taken, strict=True):
                    whole[at, there] = part
        if self._num_columns == 1:
            return tuple(array[:, 0] for array in arrays)
        return (columns, *arrays)

    def empty_chosen(self, num_rows: int) -> Arrays:
        """Returns arrays for the chosen texts of so many rows; all are said to be present, and uninitialised."""
        if self._num_columns == 1:
            return self._sources[0].empty_chosen(num_rows)
        arrays = self._sources[0].empty_chosen(num_rows * self._num_columns)
        shape = (num_rows, self._num_columns)
        return (np.ones(shape, bool), *(array.reshape(*shape, *array.shape[1:]) for array in arrays))

    def example(self, num_rows: int) -> TextBatch:
        """Returns texts of the shapes and types that a batch of so many rows has; their values mean nothing."""
        return self.in_batch(self.empty_chosen(num_rows), seed=0, step=0)

    def in_batch(self, chosen: Arrays, *, seed: int, step: int) -> TextBatch:
        """Returns the chosen texts of a batch's rows."""
        source = self._sources[0]
        if self._num_columns == 1:
            return TextBatch(source.in_batch(chosen))
        present, *arrays = chosen
        if self.options.combine == "per-batch" and self._of_each_field:
            there = np.logical_or.reduce(present.reshape(len(present), -1, self._per_field), axis=(0, 2))
            key = random_draws.make_key(seed, random_draws.FIELDS)
            (field,) = self._draw_fields(there[:, None], np.array([step]), key)
            columns = slice(field * self._per_field, (field + 1) * self._per_field)
            present, arrays = present[:, columns], [array[:, columns] for array in arrays]
        flat = tuple(np.ascontiguousarray(array).reshape(-1, *array.shape[2:]) for array in arrays)
        return TextBatch(source.in_batch(flat), np.ascontiguousarray(present))
