import pickle

import pytest

from lit_precompute.precompute.images.errors import ImageError
from lit_precompute.precompute.sources.table.windows_paths import BACKSLASHES
from tests.precompute.sources.looked import look, rows_of


def _read(folder, *paths):
    table = folder / "t.csv"
    table.write_text("path,text\n" + "".join(f"{path},x\n" for path in paths))
    return rows_of(look(table))


def _put(folder, name: str, content: bytes):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def test_backslashes_are_read_as_slashes_where_no_file_has_the_name(tmp_path):
    _put(tmp_path, "cats/1.png", b"with a slash")
    _put(tmp_path, "cats/2.png", b"not this one")
    _put(tmp_path, "cats\\2.png", b"with a backslash")
    rows = _read(tmp_path / "cats", "..\\cats\\1.png") + _read(tmp_path, "cats\\1.png", ".\\cats\\1.png", "cats\\2.png")
    images = [pickle.loads(pickle.dumps(row.read_image))() for row in rows]
    assert images == [b"with a slash", b"with a slash", b"with a slash", b"with a backslash"]
    assert [row.notes for row in rows] == [(BACKSLASHES,)] * 4


def test_the_key_is_the_path_as_written(tmp_path):
    """The same table has the same keys on every machine."""
    _put(tmp_path, "cats/1.png", b"")
    assert [row.key for row in _read(tmp_path, "cats\\1.png", "cats/1.png")] == ["cats\\1.png", "cats/1.png"]


def test_a_path_longer_than_a_name_may_be(tmp_path):
    folders = ["f" * 100] * 4
    _put(tmp_path, "/".join([*folders, "1.png"]), b"deep")
    (row,) = _read(tmp_path, "\\".join([*folders, "1.png"]))
    assert row.read_image() == b"deep"


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("cats\\1.png", r"cats\\1.png, nor with slashes for its backslashes$"),
        (
            "C:\\cats\\1.png",
            r"C:\\cats\\1.png, nor .*; it names a drive of Windows: make it relative to the table's folder",
        ),
        ("C:/cats/1.png", r"C:/cats/1.png; it names a drive of Windows"),
    ],
)
def test_a_file_that_is_nowhere_is_missing_under_both_names(tmp_path, path, words):
    (row,) = _read(tmp_path, path)
    with pytest.raises(ImageError, match=words) as caught:
        row.read_image()
    assert caught.value.reason == "missing"


def test_a_file_that_cannot_be_read_is_not_replaced(tmp_path):
    (tmp_path / "cats\\1.png").mkdir()
    _put(tmp_path, "cats/1.png", b"another")
    (row,) = _read(tmp_path, "cats\\1.png")
    with pytest.raises(ImageError) as caught:
        row.read_image()
    assert caught.value.reason == "unreadable"
