"""Files: found and opened by path or URL, published whole or not at all."""

import hashlib
import signal
import subprocess
import sys
import uuid

import fsspec
import pytest

from lit_precompute.schemas.storage import (
    beside,
    copy_file,
    file_sha256,
    file_version,
    find_files,
    is_file,
    is_folder,
    local_path,
    lock_file,
    open_file,
    publish_folder,
    write_text_atomically,
)


@pytest.fixture
def bucket():
    """The URL of a folder in a store in memory."""
    name = uuid.uuid4().hex
    store = fsspec.filesystem("memory")
    store.pipe({f"/{name}/a.txt": b"a", f"/{name}/b.txt": b"bb", f"/{name}/c.bin": b"ccc"})
    yield f"memory://{name}"
    store.rm(f"/{name}", recursive=True)


@pytest.fixture
def folder(tmp_path):
    """The same files, local."""
    for name, content in {"a.txt": b"a", "b.txt": b"bb", "c.bin": b"ccc"}.items():
        (tmp_path / name).write_bytes(content)
    return str(tmp_path)


def _start(program):
    """Starts a program that may use the public names of this module."""
    head = "import os, pathlib, signal, time; from lit_precompute.schemas.storage import lock_file, publish_folder\n"
    return subprocess.Popen([sys.executable, "-c", head + program], stdout=subprocess.PIPE, text=True)


def test_paths_and_urls_are_found_and_opened_alike(folder, bucket):
    for root in (folder, bucket):
        found = find_files(f"{root}/*.txt")
        assert [name.rpartition("/")[2] for name in found] == ["a.txt", "b.txt"]
        assert found[0].startswith(root.partition("://")[0])
        contents = []
        for name in found:
            with open_file(name) as file:
                contents.append(file.read())
        assert contents == [b"a", b"bb"]
        assert find_files(f"{root}/*.none") == []


def test_what_a_url_names(folder, bucket):
    assert is_folder(bucket) and not is_folder(f"{bucket}/a.txt")
    assert is_file(f"{bucket}/a.txt") and not is_file(bucket)
    assert str(local_path(f"file://{folder}/a.txt")) == f"{folder}/a.txt"
    assert local_path(f"{bucket}/a.txt") is None


def test_a_version_changes_with_the_file(bucket):
    before = file_version(f"{bucket}/a.txt")
    assert file_version(f"{bucket}/a.txt") == before
    fsspec.filesystem("memory").pipe(f"{bucket}/a.txt", b"another")
    assert file_version(f"{bucket}/a.txt") != before


def test_paths_beside_a_file():
    assert beside("table.csv", "a/1.jpg") == "a/1.jpg"
    assert beside("x/y/table.csv", "../1.jpg") == "x/y/../1.jpg"
    assert beside("gs://bucket/table.csv", "1.jpg") == "gs://bucket/1.jpg"
    assert beside("gs://bucket/table.csv", "s3://other/1.jpg") == "s3://other/1.jpg"
    assert beside("x/table.csv", "/1.jpg") == "/1.jpg"


def test_a_file_is_copied_whole_and_checked_before_it_appears(tmp_path, bucket):
    target = tmp_path / "new" / "b.txt"

    def refuse(path):
        assert path.read_bytes() == b"bb" and not target.exists()
        raise ValueError("not the expected file")

    with pytest.raises(ValueError, match="not the expected file"):
        copy_file(f"{bucket}/b.txt", target, check=refuse)
    assert list(target.parent.iterdir()) == []
    copy_file(f"{bucket}/b.txt", target)
    assert [(path.name, path.read_bytes()) for path in target.parent.iterdir()] == [("b.txt", b"bb")]


def test_a_hash_is_of_the_files_bytes(tmp_path):
    content = bytes(range(256)) * 10_000
    (tmp_path / "file").write_bytes(content)
    assert file_sha256(tmp_path / "file") == hashlib.sha256(content).hexdigest()


def test_a_text_is_replaced_whole(tmp_path):
    write_text_atomically(tmp_path / "a/note.json", "first")
    write_text_atomically(tmp_path / "a/note.json", "second\n")
    assert [(path.name, path.read_text()) for path in (tmp_path / "a").iterdir()] == [("note.json", "second\n")]


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    def fill(folder):
        (folder / "part").write_text("half")
        assert not (tmp_path / "made").exists()

    def fail(folder):
        fill(folder)
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        publish_folder(tmp_path / "made", fail)
    assert list(tmp_path.iterdir()) == []
    publish_folder(tmp_path / "made", fill)
    assert [path.name for path in tmp_path.iterdir()] == ["made"]
    with pytest.raises(FileExistsError, match=r"not empty.*made"):
        publish_folder(tmp_path / "made", lambda folder: (folder / "other").touch())
    assert [path.name for path in tmp_path.rglob("*")] == ["made", "part"]


@pytest.mark.parametrize("prefix", [".", ""])
def test_a_kill_leaves_a_temporary_folder_of_the_given_prefix(tmp_path, prefix):
    process = _start(f"""
def fill(folder):
    (folder / "part").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)

publish_folder({str(tmp_path / "made")!r}, fill, prefix={prefix!r})
""")
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(f"{prefix}made.")


def test_a_lock_ends_with_its_process(tmp_path):
    process = _start(f"""
lock = lock_file(pathlib.Path({str(tmp_path / "lock")!r}))
print("held", flush=True)
time.sleep(600)
""")
    assert process.stdout.readline() == "held\n"
    with pytest.raises(BlockingIOError):
        lock_file(tmp_path / "lock")
    process.kill()
    process.communicate(timeout=60)
    lock_file(tmp_path / "lock").close()
