"""Where blocks and rows are, compared with laying them out one by one."""

import pytest

from lit_precompute.schemas.reading.block_layout import BlockLayout

SHARD_ROWS, BLOCK_ROWS = [10, 1, 0, 8, 3], 4


def _laid_out():
    """Yields (shard, block within it, its rows), in order."""
    row = 0
    for shard, num_rows in enumerate(SHARD_ROWS):
        rows = list(range(row, row + num_rows))
        row += num_rows
        for within in range(0, num_rows, BLOCK_ROWS):
            yield shard, within // BLOCK_ROWS, rows[within : within + BLOCK_ROWS]


def test_every_block_and_row_is_where_laying_out_puts_it():
    layout, blocks = BlockLayout(SHARD_ROWS, BLOCK_ROWS), list(_laid_out())
    assert layout.num_blocks == len(blocks) == 7
    for number, (shard, within, rows) in enumerate(blocks):
        assert layout.locate(number) == (shard, within)
        assert layout.span(number) == (rows[0], rows[-1] + 1)
        assert [layout.block_of(row) for row in rows] == [number] * len(rows)


def test_numbers_outside_are_refused_and_negatives_do_not_wrap():
    layout = BlockLayout(SHARD_ROWS, BLOCK_ROWS)
    for block in (-1, 7):
        with pytest.raises(IndexError, match=rf"block must be in \[0, 7\), got {block}"):
            layout.span(block)
    for row in (-1, 22):
        with pytest.raises(IndexError, match=rf"row must be in \[0, 22\), got {row}"):
            layout.block_of(row)
    with pytest.raises(IndexError, match=r"block must be in \[0, 0\)"):
        BlockLayout([], BLOCK_ROWS).locate(0)
