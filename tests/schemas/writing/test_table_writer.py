"""Files that cannot be written."""

import shutil

import pytest

from lit_precompute.schemas import captions_table
from lit_precompute.schemas.writing.table_writer import TableWriter


def test_a_folder_that_is_gone_is_an_error_of_the_operating_system(tmp_path):
    """array_record has no types of its own: callers want to tell a missing folder from a full disk."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    shutil.rmtree(folder)
    writer = TableWriter(folder / "captions", captions_table(), block_rows=4)
    with pytest.raises(FileNotFoundError) as caught:
        writer.append({"key": ["a"] * 4, "texts": [["b"]] * 4})
        writer.close()
    assert caught.value.filename == str(folder / "captions")
    writer.discard()
