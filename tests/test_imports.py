"""Who may import what: the table of docs/architecture.md, held against every import statement."""

import ast
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
OURS = {"schemas", "precompute", "pipelines", "tune"}

ALLOWED = {
    "schemas": {"numpy", "pyarrow", "array_record", "pydantic", "fsspec", "ml_dtypes"},
    "precompute": {
        *("schemas", "numpy", "jax", "flax", "tensorflow", "PIL", "ml_dtypes", "fsspec"),
        *("safetensors", "huggingface_hub", "aiohttp"),
    },
    "pipelines": {"schemas", "precompute", "apache_beam", "numpy", "fsspec"},
    "tune": {
        *("schemas", "numpy", "pyarrow", "jax", "flax", "optax", "orbax", "sentencepiece", "ml_dtypes"),
        *("safetensors", "tensorboard"),
    },
}
# Command-line modules parse flags and talk to terminals; plots and pages draw.
COMMAND_LINE = {"tyro", "rich"}
COMMAND_LINE_MODULES = {"command_line.py", "console.py", "__main__.py"}
DRAWING = {"matplotlib", "PIL"}


def _imported_packages(path: pathlib.Path) -> set[str]:
    """Returns the top-level names that a file imports, late imports too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add((node.module or "").split(".")[0])
    return names


def _allowed(path: pathlib.Path) -> set[str]:
    folder = path.relative_to(ROOT).parts[0]
    allowed = ALLOWED[folder] | {folder} | set(sys.stdlib_module_names)
    if path.name in COMMAND_LINE_MODULES:
        allowed |= COMMAND_LINE
    if folder == "tune" and path.name.startswith("show"):
        allowed |= DRAWING | {"precompute"}
    if folder == "tune" and path.name == "plots.py":
        allowed |= DRAWING
    return allowed


def _sources() -> list[pathlib.Path]:
    return sorted(path for folder in OURS for path in (ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("path", _sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_only_what_the_table_allows(path: pathlib.Path):
    forbidden = _imported_packages(path) - _allowed(path)
    assert not forbidden, f"{path.relative_to(ROOT)} may not import {sorted(forbidden)}"


@pytest.mark.parametrize("module", ["tune.command_line", "tune.training", "tune.evaluation.command_line"])
def test_starts_without_tensorflow_or_beam(module: str):
    heavy = ("tensorflow", "apache_beam", "matplotlib", "torch")
    program = f"import sys, {module}; print([name for name in {heavy!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert result.stdout.strip() == "[]"


def test_only_command_line_modules_configure_logging_or_parse_flags():
    """A library must leave flags and logging to whoever runs it."""
    offenders = []
    for path in _sources():
        if path.name in COMMAND_LINE_MODULES:
            continue
        text = path.read_text(encoding="utf-8")
        offenders += [f"{path.relative_to(ROOT)}: {word}" for word in ("argparse", "basicConfig") if word in text]
    assert offenders == []
