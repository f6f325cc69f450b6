import errno
import os
import pathlib
import uuid

import fsspec
import pytest

from lit_precompute.schemas.storage import Names, list_names

NAMES = ["b", "a", "x/c", "x/y/d", "x-/e", "ü"]


@pytest.fixture(params=["here", "store"])
def folder(request, tmp_path: pathlib.Path) -> str:
    if request.param == "store":
        url = f"memory://{uuid.uuid4().hex}"
        for name in NAMES:
            fsspec.filesystem("memory").pipe_file(f"{url}/{name}", b"")
        return url
    for name in NAMES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    return str(tmp_path)


def test_lists_a_folder_and_all_below_in_the_order_of_code_points(folder):
    assert list_names(folder) == Names(["a", "b", "ü"], ["x", "x-"], [])
    assert list_names(folder, below=True) == Names(["a", "b", "x-/e", "x/c", "x/y/d", "ü"], ["x", "x-"], [])
    assert list_names(f"{folder}/x/") == Names(["c"], ["y"], [])


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        list_names(str(tmp_path / "nowhere"))
    assert list_names("memory://nowhere/at/all", below=True) == Names([], [], [])


def test_a_local_address_is_a_local_folder(tmp_path):
    (tmp_path / "a").write_bytes(b"")
    assert list_names(f"file://{tmp_path}").files == ["a"]


def test_circles_are_reported_and_not_followed(tmp_path):
    for name in ("a", "b/c"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "a" / "to_b").symlink_to(tmp_path / "b")
    (tmp_path / "b" / "c" / "to_a").symlink_to(tmp_path / "a")
    (tmp_path / "b" / "file").write_bytes(b"")
    (tmp_path / "up").symlink_to(tmp_path.parent)
    (tmp_path / "self").symlink_to(tmp_path / "self")
    listed = list_names(str(tmp_path), below=True)
    assert listed.files == ["a/to_b/file", "b/file", "self"]
    assert listed.circles == ["a/to_b/c/to_a", "b/c/to_a/to_b", "up"]
    # One begins within the circle.
    assert list_names(str(tmp_path / "b"), below=True).circles == ["c/to_a/to_b"]


def test_a_folder_that_cannot_be_listed_is_an_error(tmp_path, monkeypatch):
    (tmp_path / "closed").mkdir()
    scan = os.scandir

    def refusing(path: str):  # root may read everything: no mode keeps these tests out
        if path.endswith("closed"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(PermissionError, match="closed"):
        list_names(str(tmp_path), below=True)
