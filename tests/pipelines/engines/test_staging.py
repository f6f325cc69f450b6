"""What a job stages: this package whole, the user's tower, and nothing that the user stages."""

import importlib.metadata
import pathlib
import zipfile

import pytest

from lit_precompute.pipelines.engines.requirements import requirements
from lit_precompute.pipelines.engines.staging import package_wheel, staging_flags

ROOT = pathlib.Path(__file__).parents[3]
FACE, FOLDERS = "lit_precompute", ("schemas", "towers", "precompute", "pipelines", "tune")


def _staged(*flags, tower="vit_b16", **options):
    """Returns the names of the distributions that are staged."""
    found = staging_flags(flags, tower=tower, **options)
    return [pathlib.Path(flag).name.partition("-")[0] for flag in found if flag.startswith("--extra_package=")]


@pytest.fixture
def my_towers(tmp_path, monkeypatch):
    (tmp_path / "project").mkdir()
    (tmp_path / "project/my_towers.py").write_text("import numpy\n")
    monkeypatch.syspath_prepend(tmp_path / "project")
    return tmp_path / "project"


def test_the_wheel_has_every_module_and_the_version_that_is_installed(tmp_path):
    wheel = package_wheel(requirements("cpu", ["gs://bucket/a"]), tmp_path)
    on_disk = {path.relative_to(ROOT).as_posix() for path in (ROOT / FACE).rglob("*.py")}
    on_disk |= {
        f"{FACE}/{path.relative_to(ROOT).as_posix()}" for name in FOLDERS for path in (ROOT / name).rglob("*.py")
    }
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        archive.extractall(tmp_path / "installed")
    assert on_disk <= names and not [name for name in names - on_disk if name.endswith((".py", ".pyc"))]
    (found,) = importlib.metadata.distributions(path=[str(tmp_path / "installed")])
    assert found.version == importlib.metadata.version("lit-precompute")
    assert any(line.startswith("gcsfs==") for line in found.requires)


def test_the_users_tower_is_staged_beside_the_package(my_towers):
    assert _staged(tower="my_towers:wide") == ["lit_precompute", "lit_precompute_user_modules"]
    assert _staged(tower="hf-hub:timm/vit_base_patch16_224") == ["lit_precompute"]


@pytest.mark.parametrize(
    "flags",
    [
        [f"--setup_file={ROOT}/setup.py"],
        ["--extra_package=/wheels/lit_precompute-0.1.0-py3-none-any.whl"],
        ["--sdk_container_image=registry/lit-precompute:cuda"],
    ],
)
def test_the_package_is_not_staged_twice(flags, my_towers):
    assert _staged(*flags) == []
    assert _staged(*flags, tower="my_towers:wide") == ["lit_precompute_user_modules"]


def test_requirements_that_name_the_package_stage_it(tmp_path):
    (tmp_path / "requirements.txt").write_text("pandas\nlit-precompute[embed,gcp]==0.1.0\n")
    assert _staged(f"--requirements_file={tmp_path}/requirements.txt") == []
    (tmp_path / "requirements.txt").write_text("pandas\n")
    assert _staged(f"--requirements_file={tmp_path}/requirements.txt") == ["lit_precompute"]


def test_a_setup_file_of_the_users_own_stages_the_users_tower_only(my_towers):
    (my_towers / "setup.py").write_text("")
    assert _staged(f"--setup_file={my_towers}/setup.py", tower="my_towers:wide") == ["lit_precompute"]


def test_an_image_of_the_users_own_has_what_the_tower_imports(my_towers):
    flags = staging_flags(["--sdk_container_image=registry/mine"], tower="my_towers:wide")
    with zipfile.ZipFile(flags[0].partition("=")[2]) as archive:
        metadata = archive.read("lit_precompute_user_modules-0.dist-info/METADATA").decode()
    assert "Requires-Dist" not in metadata


def test_the_launchers_main_module_stays_here_unless_asked_for():
    assert "--no_save_main_session" in staging_flags([], tower="vit_b16")
    assert "--no_save_main_session" not in staging_flags(["--save_main_session"], tower="vit_b16")


def test_the_same_package_is_written_once():
    assert staging_flags([], tower="vit_b16") == staging_flags([], tower="vit_b16")


def test_nothing_is_staged_for_workers_that_install_nothing():
    assert staging_flags([], tower="compiled:tower", is_installed=False) == ["--no_save_main_session"]
