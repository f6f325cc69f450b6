"""Words that messages share."""

import errno
import os
import shutil
import tempfile
import types

import pytest

from lit_precompute.schemas.wording import counted, is_full_disk, os_error_in_words, visible


@pytest.mark.parametrize(("number", "words"), [(0, "0 rows"), (1, "1 row"), (1024, "1,024 rows")])
def test_counts_with_their_noun(number, words):
    assert counted(number, "row") == words


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("clears\x1b[2J \x9b31m \x7f\x00", r"clears\x1b[2J \x9b31m \x7f\x00"),
        ("\u202eevil \u200f\u061c \u2066", r"\u202eevil \u200f\u061c \u2066"),
        ("half \udcff \ud800", r"half \udcff \ud800"),
        ("lines\u2028\u2029\x0b\x0c\x85", r"lines\u2028\u2029\x0b\x0c\x85"),
        ("over\rwritten\r", r"over\rwritten\r"),
        ("a\tb\nc\r\nd", "a\tb\nc\r\nd"),
        ("👩‍👩‍👧‍👦 שלום é \\x1b", "👩‍👩‍👧‍👦 שלום é \\x1b"),
    ],
)
def test_what_a_reader_would_obey_is_shown_by_its_number(text, shown):
    """Line breaks, tabs, emoji made of several characters and letters that run from right to left stay."""
    assert visible(text) == shown


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "a.png"), "a.png: No such file or directory"),
        (IsADirectoryError(errno.EISDIR, "Is a directory", "temporary", None, "a.arrow"), "a.arrow: Is a directory"),
        (OSError(errno.ENOENT, "No such file or directory", "from", None, "to"), "from: No such file or directory"),
        (OSError(errno.EMFILE, "Too many open files"), "[Errno 24] Too many open files"),
        (ConnectionError("the store went away"), "the store went away"),
        (TimeoutError(), "TimeoutError()"),
    ],
)
def test_an_error_says_where_and_what(error, words):
    assert os_error_in_words(error, "out") == words


def test_a_copy_that_finds_no_room_names_the_copy(tmp_path):
    full = OSError(errno.ENOSPC, "No space left on device", "/source/a", None, str(tmp_path / "a"))
    assert os_error_in_words(full).endswith(f" MB in all), writing {tmp_path}/a")


@pytest.mark.parametrize("name", ["out/below/file", None])
def test_a_full_disk_is_named_by_its_file_system(tmp_path, monkeypatch, name):
    """Known by where it is mounted, even if the file was not created."""
    monkeypatch.chdir(tmp_path)
    mounted = next(place for place in (tmp_path, *tmp_path.parents) if place.is_mount())
    size = f"{shutil.disk_usage(mounted).total / 1e6:,.1f} MB in all"
    full = OSError(errno.ENOSPC, "No space left on device", name)
    expected = f"no space left on the file system at {mounted} ({size}), writing {name or 'out'}"
    assert os_error_in_words(full, "out") == expected
    place = tempfile.gettempdir()  # of files that are to be uploaded
    if name is None:
        assert os_error_in_words(full, "gs://bucket/out").endswith(f" MB in all), writing {place}")
    quota = OSError(errno.EDQUOT, "Disk quota exceeded", name)
    assert os_error_in_words(quota, "out") == expected.replace("no space left", "the quota is used up")


@pytest.mark.parametrize(
    ("free", "files", "free_files", "is_of_files"),
    [
        (40, 8, 0, True),
        (40, 1000, 3, True),
        (100, 1000, 999, False),
        (0, 8, 0, False),
        (1, 8, 8, False),
        (40, 0, 0, False),
    ],
)
def test_a_disk_without_room_for_another_file_says_so(tmp_path, monkeypatch, free, files, free_files, is_of_files):
    """What is scarcer ran out; some file systems, such as btrfs, have no bound on files and say 0."""
    counts = types.SimpleNamespace(
        f_blocks=100, f_bavail=free, f_bfree=free, f_frsize=1024, f_files=files, f_favail=free_files
    )
    monkeypatch.setattr(os, "statvfs", lambda _: counts)
    full = OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "a"))
    mounted = next(place for place in (tmp_path, *tmp_path.parents) if place.is_mount())
    what = f"no more files can be created on the file system at {mounted} ({files:,} in all)"
    if not is_of_files:
        what = f"no space left on the file system at {mounted} (0.1 MB in all)"
    assert os_error_in_words(full) == f"{what}, writing {tmp_path}/a"


def test_a_full_disk_is_found_behind_other_errors_which_may_name_each_other():
    """As drivers leave them that raise the error of another thread again."""
    first, second = OSError("refused"), ValueError("not so")
    first.__cause__, second.__context__ = second, first
    assert not is_full_disk(first)
    second.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    assert is_full_disk(first)
