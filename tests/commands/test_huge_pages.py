"""Commands that compute begin again with huge pages: once, as the same process, where the system has them to give."""

import os
import pathlib
import subprocess
import sys

import pytest

from lit_precompute.commands.huge_pages import is_whole_program, tunables_for_huge_pages

MADVISE = "always [madvise] never"
PROGRAM = """
import os, pathlib, sys
from lit_precompute.commands import huge_pages
huge_pages._MODES = pathlib.Path({modes!r})
if {loses_it}:  # as in a secure execution
    os.environ.pop("GLIBC_TUNABLES", None)
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


@pytest.mark.parametrize(
    ("started", "arguments", "expected"),
    [
        (["python", "/bin/lit-tune", "--a", "b"], ["/bin/lit-tune", "--a", "b"], True),
        (["python", "-I", "/bin/lit-tune"], ["/bin/lit-tune"], True),
        (["python", "-m", "lit_precompute", "tune", "x"], ["/lit_precompute/__main__.py", "tune", "x"], True),
        (["python", "-m", "benchmarks.text_steps"], ["/here/benchmarks/text_steps.py"], True),
        (["python", "-m", "pytest", "x"], ["/bin/lit-tune", "x"], False),
        (["python", "notebook.py"], ["/bin/lit-tune", "--a", "b"], False),
        (["python", "other.py", "--a"], ["/bin/lit-tune", "--a"], False),
        (["python", "-c", "import x"], ["-c"], False),
        ([], [""], False),
    ],
)
def test_only_a_process_that_is_the_command_begins_again(started, arguments, expected):
    assert is_whole_program(started, arguments) == expected


def _without_tunables(**more):
    return {name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES"} | more


def _started(folder, modes, *arguments, loses_it=False):
    program = folder / "program.py"
    program.write_text(PROGRAM.format(modes=str(modes), loses_it=loses_it))
    command = [sys.executable, str(program), *arguments]
    environment = _without_tunables(PYTHONPATH=str(pathlib.Path.cwd()))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        said, _ = process.communicate(timeout=900)
    assert process.returncode == 0
    return process.pid, said


@pytest.mark.parametrize("loses_it", [False, True])
def test_the_same_process_begins_again_once_with_the_same_arguments(tmp_path, loses_it):
    modes = tmp_path / "enabled"
    modes.write_text(MADVISE)
    pid, said = _started(tmp_path, modes, "--a b", "c", loses_it=loses_it)
    assert said == f"{pid} {None if loses_it else 'glibc.malloc.hugetlb=1'} ['--a b', 'c']\n"


def test_without_such_a_system_nothing_begins_again(tmp_path):
    pid, said = _started(tmp_path, tmp_path / "none", "x")
    assert said == f"{pid} None ['x']\n"


@pytest.mark.parametrize("command", [["lit-tune"], ["lit-embed"], ["lit-eval"], ["-m", "lit_precompute", "tune"]])
def test_the_commands_ask_for_them(tmp_path, command):
    """As a module that Python imports when it starts sees it, if this system gives huge pages."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\nsys.stderr.write(f\"tunables {os.environ.get('GLIBC_TUNABLES')}\\n\")\n"
    )
    folder = pathlib.Path(sys.executable).parent
    started = [sys.executable, *command] if command[0] == "-m" else [folder / command[0]]
    ended = subprocess.run(
        [*started, "--help"],
        capture_output=True,
        text=True,
        timeout=900,
        check=True,
        env=_without_tunables(PYTHONPATH=str(tmp_path)),
    )
    modes = pathlib.Path("/sys/kernel/mm/transparent_hugepage/enabled")
    again = ["tunables glibc.malloc.hugetlb=1"] if modes.exists() and "[madvise]" in modes.read_text() else []
    found = [line for line in ended.stderr.splitlines() if line.startswith("tunables")]
    assert found == ["tunables None", *again]


@pytest.mark.parametrize("module", ["embed", "data"])
def test_an_interrupt_during_the_imports_is_a_message(module):
    program = f"""
import importlib
def interrupted(name): raise KeyboardInterrupt
importlib.import_module = interrupted
from lit_precompute.commands import entry_points
entry_points.run({module!r})
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=900, check=False)
    assert (ended.returncode, ended.stderr) == (130, "error: interrupted\n")
