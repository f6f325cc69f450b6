"""Huge pages for the commands that compute.

On CPUs XLA takes the memory for what lies between a step's operations from glibc, which maps it anew each time, and the
system gives it page by page when it is first written: for a step of BERT-base 138,000 times 4 KiB, which takes a
fifteenth of the step. glibc asks for pages of 2 MiB where `GLIBC_TUNABLES` tells it to; it looks there when a process
starts.
"""

import os
import pathlib
import sys
from collections.abc import Mapping, Sequence

_TUNABLES, _TUNABLE = "GLIBC_TUNABLES", "glibc.malloc.hugetlb"
_SINCE = (2, 35)
_MODES = pathlib.Path("/sys/kernel/mm/transparent_hugepage/enabled")
# An option of Python's that says that this was done: the variable may be lost on the way.
_DONE = "huge_pages"


def restart_with_huge_pages() -> None:
    """Starts this process's command again with huge pages; returns where they are not to be had, or are there already.

    To be called before anything else is done. A program that calls a command's function is left alone.
    """
    try:
        libc, modes = os.confstr("CS_GNU_LIBC_VERSION") or "", _MODES.read_text()
    except (AttributeError, OSError, ValueError):
        return  # another C library or system
    tunables = tunables_for_huge_pages(os.environ, libc, modes)
    is_own = is_whole_program(sys.orig_argv, sys.argv)
    done = sys._xoptions  # pyright: ignore[reportPrivateUsage] -- the documented name
    if tunables is None or not is_own or not sys.executable or _DONE in done:
        return
    command = [sys.executable, "-X", _DONE, *sys.orig_argv[1:]]
    try:
        os.execve(sys.executable, command, {**os.environ, _TUNABLES: tunables})
    except OSError:
        return  # slower, and otherwise the same


def is_whole_program(started: Sequence[str], arguments: Sequence[str]) -> bool:
    """Returns whether a process was started as this command: by the path of its script, or as `python -m MODULE`.

    Args:
      started: Python's own command line, `sys.orig_argv`.
      arguments: the command's, `sys.argv`.
    """
    before, script = list(started[: len(started) - len(arguments) + 1]), arguments[0]
    if not before or list(started[len(before) :]) != list(arguments[1:]):
        return False
    path = before[-1].replace(".", os.sep)
    is_module = before[-2:-1] == ["-m"] and script.endswith((f"{path}.py", os.path.join(path, "__main__.py")))  # noqa: PTH118
    return is_module or before[-1] == script


def tunables_for_huge_pages(environment: Mapping[str, str], libc: str, modes: str) -> str | None:
    """Returns the value of `GLIBC_TUNABLES` that asks for huge pages; None if it is not to be changed.

    Args:
      environment: of the process; what the user has set there stays.
      libc: name and version of the C library, such as "glibc 2.36".
      modes: of the system, the chosen one in brackets: only "madvise" gives huge pages to those who ask.
    """
    given = environment.get(_TUNABLES, "")
    if _TUNABLE in given or "[madvise]" not in modes or _version(libc) < _SINCE:
        return None
    return ":".join(filter(None, (given, f"{_TUNABLE}=1")))


def _version(libc: str) -> tuple[int, ...]:
    name, _, version = libc.partition(" ")
    parts = version.split(".")
    return tuple(map(int, parts)) if name == "glibc" and all(map(str.isdigit, parts)) else ()
