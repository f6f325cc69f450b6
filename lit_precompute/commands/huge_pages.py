"""Huge pages for the commands that compute.

On CPUs XLA takes the memory for what lies between a step's operations from glibc, which maps it anew each time, and the
system gives it page by page when it is first written: for a step of BERT-base 138,000 times 4 KiB, which takes a
fifteenth of the step. glibc asks for pages of 2 MiB where `GLIBC_TUNABLES` tells it to; it looks there when a process
starts.
"""

import os
import pathlib
import sys
from collections.abc import Mapping

_TUNABLES, _TUNABLE = "GLIBC_TUNABLES", "glibc.malloc.hugetlb"
_SINCE = (2, 35)
_MODES = pathlib.Path("/sys/kernel/mm/transparent_hugepage/enabled")


def restart_with_huge_pages() -> None:
    """Starts this process's command again with huge pages; returns where they are not to be had, or are there already.

    To be called before anything else is done.
    """
    try:
        libc, modes = os.confstr("CS_GNU_LIBC_VERSION") or "", _MODES.read_text()
    except (AttributeError, OSError, ValueError):
        return  # another C library or system
    tunables = tunables_for_huge_pages(os.environ, libc, modes)
    if tunables is None or not sys.executable:
        return
    try:
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, _TUNABLES: tunables})
    except OSError:
        return  # slower, and otherwise the same


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
