"""HDFS: a driver like fsspec's on the local disk, but for what HDFS refuses. No Hadoop is at hand to test with."""

import errno
import os
import pathlib
from concurrent.futures import ThreadPoolExecutor

import fsspec
import pytest
from fsspec.implementations.arrow import ArrowFSWrapper, HadoopFileSystem
from pyarrow.fs import LocalFileSystem

from lit_precompute.schemas.storage import Patience, StorageError, find_files, open_folder, read_range

QUICK = Patience(first_pause_s=0.001, max_pause_s=0.01, max_attempts=3)


class FakeHdfs(HadoopFileSystem):
    """Renames as HDFS does: never to a name that is taken."""

    def __init__(self, host="default", **options):
        ArrowFSWrapper.__init__(self, fs=LocalFileSystem(), **options)
        self.broken = 0

    def mv(self, path1, path2, **kwargs):
        if self.broken:
            self.broken -= 1
            raise OSError(errno.EIO, "HDFS rename failed")
        try:  # in one step, as the name node does it
            os.link(path1, path2)
        except FileExistsError as error:
            raise OSError(errno.EIO, "HDFS rename failed") from error
        pathlib.Path(path1).unlink()


@pytest.fixture
def folder(tmp_path):
    fsspec.register_implementation("hdfs", FakeHdfs, clobber=True)
    FakeHdfs.clear_instance_cache()
    yield open_folder(f"hdfs://node:8020{tmp_path}/out", patience=QUICK)
    fsspec.register_implementation("hdfs", HadoopFileSystem, clobber=True)


def test_what_is_written_is_read_and_found(folder, tmp_path):
    folder.write("a/b", b"1")
    folder.write("a/b", b"22")
    (tmp_path / "local").write_bytes(b"333")
    folder.upload(tmp_path / "local", "a/c")
    assert folder.read("a/b") == b"22"
    assert folder.exists("a/c")
    assert sorted(path.name for path in (tmp_path / "out/a").iterdir()) == ["b", "c"]  # nothing temporary
    assert {name: each.num_bytes for name, each in folder.find().items()} == {"a/b": 2, "a/c": 3}
    assert find_files(folder.join("a/*")) == [folder.join("a/b"), folder.join("a/c")]
    assert read_range(folder.join("a/c"), 1, 2) == b"3"
    folder.remove_folder("a")
    assert folder.find() == {}


def test_what_a_killed_process_has_left_is_removed(folder, tmp_path):
    folder.remove_unfinished()  # there is no such folder yet
    folder.write("a", b"1")
    (tmp_path / f"out/.manifest.json.{'0' * 32}").write_bytes(b"{")
    folder.remove_unfinished()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a"]


def test_of_many_one_creates(folder):
    with ThreadPoolExecutor(8) as threads:
        created = list(threads.map(lambda number: folder.create("note", b"%d" % number), range(8)))
    assert sum(created) == 1
    assert folder.read("note") == b"%d" % created.index(True)
    assert list(folder.find()) == ["note"]


def test_a_rename_that_fails_is_tried_again(folder, tmp_path):
    folder.write("a", b"0")
    fsspec.filesystem("hdfs", host="node", port=8020).broken = 1
    assert folder.create("note", b"1")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a", "note"]


def test_a_machine_without_hadoop_is_told_so():
    with pytest.raises(StorageError, match=r"hdfs://nowhere/a/b: needs Java and Hadoop.*set JAVA_HOME"):
        open_folder("hdfs://nowhere/a").read("b")
