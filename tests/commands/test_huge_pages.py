"""Commands that compute begin again with huge pages: once, as the same process, where the system has them to give."""

import os
import pathlib
import subprocess
import sys

import pytest

from lit_precompute.commands.huge_pages import tunables_for_huge_pages

MADVISE = "always [madvise] never"
PROGRAM = """
import os, pathlib, sys
from lit_precompute.commands import huge_pages
huge_pages._MODES = pathlib.Path({modes!r})
huge_pages.restart_with_huge_pages()
print(os.getpid(), os.environ.get("GLIBC_TUNABLES"), sys.argv[1:])
"""


@pytest.mark.parametrize(
    ("environment", "libc", "modes", "expected"),
    [
        ({}, "glibc 2.36", MADVISE, "glibc.malloc.hugetlb=1"),
        ({}, "glibc 2.35", MADVISE, "glibc.malloc.hugetlb=1"),
        (
            {"GLIBC_TUNABLES": "glibc.malloc.arena_max=4"},
            "glibc 3.0",
            MADVISE,
            "glibc.malloc.arena_max=4:glibc.malloc.hugetlb=1",
        ),
        ({"GLIBC_TUNABLES": "glibc.malloc.hugetlb=0"}, "glibc 2.36", MADVISE, None),
        ({}, "glibc 2.34", MADVISE, None),
        ({}, "", MADVISE, None),
        ({}, "glibc 2.36", "[always] madvise never", None),
        ({}, "glibc 2.36", "always madvise [never]", None),
    ],
)
def test_huge_pages_are_asked_for_where_they_are_to_be_had(environment, libc, modes, expected):
    assert tunables_for_huge_pages(environment, libc, modes) == expected


def _started(modes, *arguments):
    environment = {name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES"}
    command = [sys.executable, "-c", PROGRAM.format(modes=str(modes)), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        said, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    return process.pid, said


def test_the_same_process_begins_again_with_the_same_arguments(tmp_path):
    modes = pathlib.Path(tmp_path, "enabled")
    modes.write_text(MADVISE)
    pid, said = _started(modes, "--a b", "c")
    assert said == f"{pid} glibc.malloc.hugetlb=1 ['--a b', 'c']\n"


def test_without_such_a_system_nothing_begins_again(tmp_path):
    pid, said = _started(tmp_path / "none", "x")
    assert said == f"{pid} None ['x']\n"


def test_the_installed_commands_ask_for_them():
    """Of a command as pip installs it, the process that computes has the variable, if this system gives huge pages."""
    command = pathlib.Path(sys.executable).parent / "lit-tune"
    modes = pathlib.Path("/sys/kernel/mm/transparent_hugepage/enabled")
    environment = {name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES"}
    program = f"""
import os, runpy, sys
sys.argv = [{str(command)!r}, "--help"]
print(os.environ.get("GLIBC_TUNABLES"), flush=True)
runpy.run_path({str(command)!r}, run_name="__main__")
"""
    said = subprocess.run(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, timeout=120, check=True, env=environment
    ).stdout
    again = modes.exists() and "[madvise]" in modes.read_text()
    first, _, rest = said.partition("\n")
    assert (first, rest.startswith("glibc.malloc.hugetlb=1")) == ("None", True) if again else first == "None"


@pytest.mark.parametrize("module", ["embed", "data"])
def test_an_interrupt_during_the_imports_is_a_message(module):
    program = f"""
import importlib
def interrupted(name): raise KeyboardInterrupt
importlib.import_module = interrupted
from lit_precompute.commands import entry_points
entry_points.run({module!r})
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert (ended.returncode, ended.stderr) == (130, "error: interrupted\n")
