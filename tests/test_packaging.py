"""The installed package: contents of the wheel, installation without extras, and packages of the same names."""

import importlib.metadata
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import zipfile

import numpy as np
import pytest
from packaging.requirements import Requirement

from tests.pipelines.embed.making import write_source
from tests.tune.small_runs import EXECUTION, RECIPE, flags, write_dataset

pytestmark = pytest.mark.slow

ROOT = pathlib.Path(__file__).parents[1]
COMMANDS = pathlib.Path(sys.executable).parent
FACE, FOLDERS = "lit_precompute", ("schemas", "towers", "precompute", "pipelines", "tune")
# Packages that a user may have next to a script; importing any of them is an error.
RIVALS = (*FOLDERS, "demo", "tests", "benchmarks")

TOWER = """
import flax.linen as nn
import lit_precompute as lit


class Means(nn.Module):
    @nn.compact
    def __call__(self, images):
        return nn.Dense(8, name="head")(images.mean((1, 2)))


lit.register_image_tower("means", lit.flax_entry(Means(), family="means", preprocessing=lit.Preprocessing(size=16)))
"""
SCRIPT = """
import lit_precompute as lit

with lit.EmbeddingDataset.open("dataset") as dataset:
    print(dataset.num_rows, len(lit.image_tower_names()) > 300, lit.TunedModel.load("run").output_width)
"""


def _build(source, target, *options):
    """Builds a wheel of a source tree, with the packages installed here."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    subprocess.run([*command, str(target), *options, str(source)], check=True, env=environment)
    (wheel,) = target.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A copy of the project, because builds leave files in the source tree."""
    copy = tmp_path_factory.mktemp("source")
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    for name in (FACE, *FOLDERS):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


@pytest.fixture(scope="module")
def wheel(source, tmp_path_factory):
    return _build(source, tmp_path_factory.mktemp("wheel"))


def _modules_on_disk():
    """Returns every module, and the price file of `lit-embed plan`."""
    inner = [path.relative_to(ROOT).as_posix() for name in FOLDERS for path in (ROOT / name).rglob("*.py")]
    inner += [path.relative_to(ROOT).as_posix() for name in FOLDERS for path in (ROOT / name).rglob("*.toml")]
    face = [path.relative_to(ROOT).as_posix() for path in (ROOT / FACE).rglob("*.py")]
    return sorted(face + [f"{FACE}/{path}" for path in inner])


def _modules_in(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return sorted(name for name in archive.namelist() if ".dist-info/" not in name)


def test_the_wheel_contains_every_module_inside_one_package(wheel):
    assert _modules_in(wheel) == _modules_on_disk()


def test_the_sdist_builds_the_same_wheel(source, wheel, tmp_path):
    command = [sys.executable, "setup.py", "--quiet", "sdist", "--dist-dir", str(tmp_path)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    (sdist,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    assert _modules_in(_build(unpacked, tmp_path / "again")) == _modules_in(wheel)


def _requirements(wheel):
    """Returns what the wheel requires, extras included."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        lines = archive.read(name).decode().splitlines()
    return [Requirement(line.partition(": ")[2]) for line in lines if line.startswith("Requires-Dist: ")]


def test_locked_versions_are_within_the_ranges(wheel):
    lines = (ROOT / "requirements/lock.txt").read_text(encoding="utf-8").splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith((" ", "#"))]
    locked = {pin.name: next(iter(pin.specifier)).version for pin in pins if not pin.marker or pin.marker.evaluate()}
    needed = [one for one in _requirements(wheel) if not one.marker or one.marker.evaluate({"extra": "dev"})]
    assert len(needed) > 20
    unfit = [str(one) for one in needed if not one.specifier.contains(locked[one.name])]
    assert unfit == []


def _needed(wheel):
    """Returns the installed distributions that the wheel needs without extras, dependencies included."""
    waiting = [(requirement, "") for requirement in _requirements(wheel)]
    found, seen = {}, set()
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        distribution = importlib.metadata.distribution(requirement.name)
        found[distribution.name] = distribution
        for own_extra in ("", *requirement.extras):
            if (distribution.name, own_extra) not in seen:
                seen.add((distribution.name, own_extra))
                waiting += [(Requirement(line), own_extra) for line in distribution.requires or []]
    return list(found.values())


def _link(distributions, folder):
    """Links these distributions into a folder of packages."""
    for distribution in distributions:
        site = pathlib.Path(str(distribution.locate_file("")))
        for file in distribution.files or []:
            if ".." not in file.parts and "__pycache__" not in file.parts and not file.is_absolute():
                target = folder.joinpath(*file.parts)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.symlink_to(site.joinpath(*file.parts))


@pytest.fixture(scope="module")
def plain(wheel, tmp_path_factory):
    """The Python of an environment with the wheel and what it needs without extras."""
    folder = tmp_path_factory.mktemp("plain")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    _link(_needed(wheel), packages)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    return folder / "bin/python"


def _run(command, folder, status=0):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    result = subprocess.run(
        list(map(str, command)), cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == status, result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    return result.stdout + result.stderr


def test_without_extras_one_can_tune_and_evaluate(plain, tmp_path):
    from lit_precompute import RECIPES

    program = "import importlib.util as u; print([u.find_spec(m) for m in ('tensorflow', 'apache_beam')])"
    assert _run([plain, "-c", program], tmp_path) == "[None, None]\n"
    write_dataset(tmp_path / "dataset")
    face = [plain, "-m", FACE]
    small = flags(RECIPE, EXECUTION, RECIPES["demo"])
    assert "next:  lit-eval" in _run([*face, "tune", "--dataset", "dataset", "--output", "run", *small], tmp_path)
    model = ["--model", "run/model", "--dataset", "dataset"]
    assert "text -> image" in _run([*face, "eval", "retrieval", *model], tmp_path)
    _run([*face, "eval", "show", *model, "--output", "page.html"], tmp_path)
    assert "sound; 96 rows" in _run([*face, "data", "verify", "dataset"], tmp_path)
    assert "vit_b16" in _run([*face, "embed", "towers", "vit_b16"], tmp_path)


def test_without_the_extra_embedding_says_which_to_install(plain, tmp_path):
    arguments = ["--source", "captions.tsv", "--tower", "vit_b16", "--output", "out"]
    assert "pip install 'lit-precompute[embed]'" in _run([plain, "-m", FACE, "embed", "run", *arguments], tmp_path, 2)
    program = "import lit_precompute as lit\n"
    program += "tower, source = lit.ImageTowerOptions(name='b'), lit.SourceSpec('a.tsv')\n"
    program += "options = lit.EmbedOptions(source=source, tower=tower, output='c')\n"
    program += "try:\n    lit.embed(options)\nexcept ModuleNotFoundError as error:\n    print(error)"
    assert "pip install 'lit-precompute[embed]'" in _run([plain, "-c", program], tmp_path)


@pytest.fixture(scope="module")
def crowded(tmp_path_factory):
    """A user's folder with packages of the same names as ours, a tower, a source and a script."""
    folder = tmp_path_factory.mktemp("crowded")
    for name in RIVALS:
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(f"raise RuntimeError('the rival {name} was imported')")
    (folder / "my_towers.py").write_text(TOWER)
    (folder / "script.py").write_text(SCRIPT)
    np.savez(
        folder / "weights.npz",
        **{"params/head/kernel": np.ones((3, 8), np.float32), "params/head/bias": np.ones(8, np.float32)},
    )
    write_source(folder / "images", 12)
    write_dataset(folder / "dataset")
    return folder


def _embed(folder, output, *more):
    tower = ["--tower", "my_towers:means", "--weights", "weights.npz", "--batch-size", 4]
    command = [COMMANDS / "lit-embed", "run", "--source", "images/captions.tsv", *tower, "--output", output, *more]
    return _run(command, folder)


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_embedding_beside_packages_of_the_same_names(crowded, kind):
    assert "12 rows of 8 numbers" in _embed(crowded, kind, "--decode-in", kind, "--decode-workers", 2)


def test_the_working_directory_shadows_nothing_installed(crowded):
    (crowded / "jax.py").write_text("raise RuntimeError('the rival jax was imported')")
    try:
        assert "12 rows of 8 numbers" in _embed(crowded, "shadowed", "--decode-in", "threads")
    finally:
        (crowded / "jax.py").unlink()


def test_tuning_and_a_script_beside_packages_of_the_same_names(crowded):
    from lit_precompute import RECIPES

    small = flags(RECIPE, EXECUTION, RECIPES["demo"])
    _run([COMMANDS / "lit-tune", "--dataset", "dataset", "--output", "run", *small], crowded)
    assert _run([sys.executable, "script.py"], crowded) == "96 True 24\n"
