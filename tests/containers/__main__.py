"""Runs what a target of containers/Dockerfile runs, without Docker: `python -m tests.containers cpu`, as root.

COPY, ENV, WORKDIR and RUN act in a mount namespace in which /opt is empty, with this machine's Python in place of the
base image's. Beam's boot program is compiled from its source in the Go module of the same version. It needs a network
and takes minutes. With --dry-run pip only resolves what it would install (CUDA's libraries take gigabytes).
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from tests.containers.dockerfile import DOCKERFILE, ROOT, TARGETS, arguments, instructions_of

BOOT = "github.com/apache/beam/sdks/v2/python/container@v{}"


def _copy(rest, workdir):
    if rest.startswith("--from="):
        return
    *sources, target = rest.split()
    place = pathlib.Path(workdir, target)
    for name in sources:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, place, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, place)


def _run(command, workdir, environment):
    print("RUN", command, flush=True)
    subprocess.run(["/bin/sh", "-c", f"set -e; {command}"], cwd=workdir, env=environment, check=True)


def build(target, dry_run):
    """Runs the target's instructions; raises if one fails."""
    text = DOCKERFILE.read_text(encoding="utf-8")
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    environment |= {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_"))}
    environment |= arguments(text)
    workdir = "/"
    for word, rest in instructions_of(text, target):
        if word == "WORKDIR":
            workdir = rest
            pathlib.Path(rest).mkdir(parents=True, exist_ok=True)
        elif word == "ENV":
            for part in rest.split():
                name, _, value = part.partition("=")
                environment[name] = value.replace(f"${name}", environment.get(name, ""))
        elif word == "COPY":
            _copy(rest, workdir)
        elif word == "RUN":
            is_install = dry_run and rest.startswith("pip install")
            command = rest.partition("&&")[0].replace("install", "install --quiet --dry-run", 1) if is_install else rest
            _run(command, workdir, environment)


def main():
    """Compiles boot, then builds in a namespace of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.inside:
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/opt"], check=True)
        shutil.copytree(given.inside, "/opt/apache/beam")
        build(given.target, given.dry_run)
        return
    beam = arguments(DOCKERFILE.read_text(encoding="utf-8"))["BEAM_VERSION"]
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "GOBIN": folder, "CGO_ENABLED": "0"}
        subprocess.run(["go", "install", BOOT.format(beam)], env=environment, check=True)
        (pathlib.Path(folder) / "container").rename(pathlib.Path(folder) / "boot")
        command = ["unshare", "--mount", sys.executable, "-m", "tests.containers", *sys.argv[1:], "--inside", folder]
        sys.exit(subprocess.run(command, cwd=ROOT, check=False).returncode)


if __name__ == "__main__":
    main()
