"""Files and folders that appear whole or not at all, and locks."""

import signal
import subprocess
import sys

import pytest

from lit_precompute.schemas.storage import lock_file, publish_folder, write_bytes_atomically, write_text_atomically


def _start(program):
    """Starts a program that may use the public names of this module."""
    head = "import os, pathlib, signal, time; from lit_precompute.schemas.storage import lock_file, publish_folder\n"
    return subprocess.Popen([sys.executable, "-c", head + program], stdout=subprocess.PIPE, text=True)


def test_a_text_is_replaced_whole(tmp_path):
    write_text_atomically(tmp_path / "a/note.json", "first")
    write_text_atomically(tmp_path / "a/note.json", "second\n")
    assert [(path.name, path.read_text()) for path in (tmp_path / "a").iterdir()] == [("note.json", "second\n")]


def test_an_error_names_the_file_and_not_the_temporary_one(tmp_path):
    (tmp_path / "folder").mkdir()
    for path, error in ((tmp_path / "folder", IsADirectoryError), (tmp_path / ("a" * 300), OSError)):
        with pytest.raises(error) as caught:
            write_bytes_atomically(path, b"")
        assert caught.value.filename == str(path)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


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
