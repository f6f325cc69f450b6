"""Reading the images of a source, whole or not at all."""

import io
import tarfile

import pytest

from lit_precompute.precompute.images.reading import LargeFileError
from lit_precompute.precompute.sources.files import read_image
from lit_precompute.schemas.storage import open_file
from tests.flaky_server import flaky_server
from tests.precompute.sources.looked import look, rows_of


def _rows(path):
    return rows_of(look(path))


@pytest.mark.parametrize("name", ["a.jpg", "folder\\a.jpg"])
def test_a_table_reads_nothing_of_a_longer_image(tmp_path, name):
    (tmp_path / "folder").mkdir()
    for path in ("a.jpg", "folder/a.jpg"):
        (tmp_path / path).write_bytes(b"12345")
    (tmp_path / "t.csv").write_text(f"path,text\n{name},x\n")
    (row,) = _rows(tmp_path / "t.csv")
    assert row.read_image() == row.read_image(5) == read_image(open_file, str(tmp_path / "a.jpg"), 5) == b"12345"
    with pytest.raises(LargeFileError):
        row.read_image(4)


def test_an_image_by_url_is_one_request():
    with flaky_server() as server:
        server.contents["/a.jpg"] = b"12345"
        assert read_image(open_file, f"{server.address}/a.jpg", 4) == b"12345"
        assert server.asked == [("GET", "/a.jpg", None)]


def test_a_tar_reads_nothing_of_a_longer_image(tmp_path):
    with tarfile.open(tmp_path / "0.tar", "w") as tar:
        info = tarfile.TarInfo("a.jpg")
        info.size = 5
        tar.addfile(info, io.BytesIO(b"12345"))
    (row,) = _rows(tmp_path / "0.tar")
    assert row.read_image() == row.read_image(5) == b"12345"
    with pytest.raises(LargeFileError):
        row.read_image(4)
