"""Wheels that are written without a build tool: what pip and importlib make of them, and their bytes."""

import importlib.metadata
import os
import subprocess
import sys
import zipfile

from lit_precompute.pipelines.engines.wheels import write_wheel


def _files(folder):
    (folder / "pack").mkdir(parents=True)
    (folder / "pack/__init__.py").write_text("value = 5\n")
    (folder / "pack/table.csv").write_text("a,b\n")
    return {f"pack/{name}": folder / "pack" / name for name in ("__init__.py", "table.csv")}


def test_pip_installs_it_with_its_data_and_metadata(tmp_path):
    files = _files(tmp_path / "source")
    wheel = write_wheel(tmp_path, name="a-pack", version="1.2", files=files, requires=["numpy==2.0"])
    target = tmp_path / "installed"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(target)]
    subprocess.run([*command, str(wheel)], check=True)
    assert (target / "pack/table.csv").read_text() == "a,b\n"
    (distribution,) = importlib.metadata.distributions(path=[str(target)])
    assert (distribution.name, distribution.version, distribution.requires) == ("a-pack", "1.2", ["numpy==2.0"])
    program = [sys.executable, "-c", "import pack; print(pack.value)"]
    assert subprocess.check_output(program, env={**os.environ, "PYTHONPATH": str(target)}, text=True) == "5\n"


def test_equal_contents_are_equal_bytes_whatever_the_files_times(tmp_path):
    files = _files(tmp_path / "source")
    first = write_wheel(tmp_path / "first", name="pack", version="1", files=files)
    for path in files.values():
        os.utime(path, (0, 10**9))
        path.chmod(0o600)
    again = write_wheel(tmp_path / "again", name="pack", version="1", files=dict(reversed(files.items())))
    assert first.read_bytes() == again.read_bytes() and first.parent.name == again.parent.name


def test_other_contents_are_kept_beside_it_under_the_same_name(tmp_path):
    files = _files(tmp_path / "source")
    first = write_wheel(tmp_path, name="pack", version="1", files=files)
    files["pack/__init__.py"].write_text("value = 6\n")
    other = write_wheel(tmp_path, name="pack", version="1", files=files)
    assert first.name == other.name == "pack-1-py3-none-any.whl" and first != other
    assert zipfile.ZipFile(first).read("pack/__init__.py") == b"value = 5\n"
