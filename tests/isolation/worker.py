"""Runs a worker of Beam that shares no disk with this process; it finds what it needs over the network, or not at all.

The worker has a mount namespace of its own, in which the repository, its environments, the home and the temporary
folder are empty; an environment of its own, which begins as an image with Beam and the packages that a job's wheels
require, and gets the wheels from the job itself (`boot`); another working directory; and no index to download from.
"""

import contextlib
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import zipfile

import pytest

from tests.isolation.image import folders_of_packages, link_packages, needed

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[1]
# The stores' addresses and credentials are the only variables that both have.
SHARED = ("STORAGE_EMULATOR_HOST", "AWS_")


def requirements_of(wheels):
    """Returns what wheels require."""
    found = []
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
            lines = archive.read(name).decode().splitlines()
        found += [line.partition(": ")[2] for line in lines if line.startswith("Requires-Dist: ")]
    return found


@contextlib.contextmanager
def isolated_worker(wheels, hidden=()):
    """Yields the port of a pool that starts such workers, and the folder that has their log.

    Args:
      wheels: what the job will stage; only what they require can be imported there, and Beam.
      hidden: more folders that they must not see.
    """
    root = pathlib.Path(tempfile.mkdtemp(prefix="lit-isolated-", dir="/var/tmp"))
    try:
        python = _make_image(root, wheels)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        folders = [str(path) for path in folders_of_packages()]
        emptied = {ROOT, pathlib.Path(sys.prefix), pathlib.Path.home(), pathlib.Path("/tmp"), *hidden}
        emptied |= {path.parents[2] for path in folders_of_packages() if not path.is_relative_to(sys.base_prefix)}
        variables = {name: value for name, value in os.environ.items() if name.startswith(SHARED)}
        variables |= {
            "PATH": f"{python.parent}:/usr/bin:/bin",
            "HOME": str(root / "work"),
            "PIP_NO_INDEX": "1",
            "PIP_NO_COMPILE": "1",
        }
        variables |= {"TF_CPP_MIN_LOG_LEVEL": "3", "TMPDIR": str(root / "work"), "PYTHONDONTWRITEBYTECODE": "1"}
        command = [*_unshare(), HERE / "enter.sh", root, sys.base_prefix, " ".join(folders)]
        command += [" ".join(sorted(map(str, emptied))), *(f"{name}={value}" for name, value in variables.items())]
        command += [python, "-m", "apache_beam.runners.worker.worker_pool_main", f"--service_port={port}"]
        command += [f"--container_executable={root}/boot"]
        with (root / "log").open("wb") as log:
            pool = subprocess.Popen(list(map(str, command)), stdout=log, stderr=log, start_new_session=True)
        try:
            _wait_for(port, pool, root / "log")
            yield port, root / "log"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pool.pid, 9)
            pool.wait()
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _unshare():
    """Returns the command that runs another in a mount namespace; as root of a user namespace where need be."""
    for command in (["unshare", "--mount"], ["unshare", "--map-root-user", "--mount"]):
        if subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0:
            return command
    return pytest.fail("this system lets nobody make a mount namespace, so no worker can be isolated", pytrace=False)


def _make_image(root, wheels):
    """Makes the worker's environment with Beam and what the wheels require; returns its Python."""
    (root / "work").mkdir()
    base = pathlib.Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
    subprocess.run([str(base), "-m", "venv", str(root / "image")], check=True)
    (packages,) = (root / "image").glob("lib/python*/site-packages")
    (root / "linked").mkdir()
    link_packages(needed(["apache-beam", *requirements_of(wheels)]), root / "linked", root)
    (packages / "image.pth").write_text(f"{root}/linked\n")
    python = root / "image/bin/python"
    (root / "boot").write_text(f"#!{python}\n" + (HERE / "boot.py").read_text())
    (root / "boot").chmod(0o755)
    return python


def _wait_for(port, pool, log):
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline and pool.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    raise AssertionError(f"no worker pool: {log.read_text(errors='replace')}")
