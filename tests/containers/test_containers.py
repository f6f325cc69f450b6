"""Dockerfiles: the linter's opinion, versions that agree with the locked ones, and what each target holds."""

import re
import subprocess

import pytest

from tests.containers.dockerfile import DOCKERFILE, ROOT, TARGETS, arguments, instructions_of

TEXT = DOCKERFILE.read_text(encoding="utf-8")


def _locked(name):
    return re.findall(rf"^{name}==(\S+)$", (ROOT / "requirements/lock.txt").read_text(encoding="utf-8"), re.MULTILINE)


def test_the_linter_has_nothing_to_say():
    program = ROOT / ".venv-dataflow/bin/hadolint"
    if not program.exists():
        pytest.fail("Dataflow's environment is missing; `make dataflow` sets it up", pytrace=False)
    ended = subprocess.run([program, str(DOCKERFILE)], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, "")


def test_beam_is_the_locked_one_everywhere():
    (version,) = _locked("apache-beam")
    assert arguments(TEXT)["BEAM_VERSION"] == version
    assert f"apache-beam[gcp]=={version}" in (ROOT / "requirements/dataflow.txt").read_text(encoding="utf-8")


def test_python_is_one_that_the_package_supports():
    found = re.search(r'python_requires=">=3\.(\d+),<3\.(\d+)"', (ROOT / "setup.py").read_text(encoding="utf-8"))
    assert int(found[1]) <= int(arguments(TEXT)["PYTHON_VERSION"].partition(".")[2]) < int(found[2])


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_is_checked_while_it_is_built_and_begins_with_boot(target):
    instructions = instructions_of(TEXT, target)
    assert instructions[-1] == ("ENTRYPOINT", '["/opt/apache/beam/boot"]')
    assert ("COPY", "--from=beam /opt/apache/beam /opt/apache/beam") in instructions
    (install,) = [rest for word, rest in instructions if word == "RUN" and "pip install" in rest]
    assert "--constraint requirements/lock.txt" in install
    assert install.endswith(f'python containers/check.py --beam "${{BEAM_VERSION}}" --accelerator {target}')


@pytest.mark.parametrize("target", TARGETS)
def test_what_is_copied_exists_and_has_every_part_of_the_package(target):
    names = [name for word, rest in instructions_of(TEXT, target) if word == "COPY" for name in rest.split()[:-1]]
    names = [name for name in names if not name.startswith(("--", "/"))]
    assert all((ROOT / name).exists() for name in names)
    folders = re.search(r"^_FOLDERS = \((.*)\)$", (ROOT / "setup.py").read_text(encoding="utf-8"), re.MULTILINE)
    assert {"lit_precompute", *re.findall(r'"(\w+)"', folders[1])} <= set(names)


def test_the_repository_is_sent_without_what_is_built():
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert {".venv*", "build", ".git"} <= set(ignored)
