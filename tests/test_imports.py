"""Which folder may import what: checks every import statement against the table in docs/architecture.md."""

import ast
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
FACE = "lit_precompute"
FOLDERS = ("schemas", "towers", "precompute", "pipelines", "tune")

# Which of our folders each may import, besides itself.
OURS = {
    "schemas": set(),
    "towers": {"schemas"},
    "precompute": {"schemas", "towers"},
    "pipelines": {"schemas", "towers", "precompute"},
    "tune": {"schemas", "towers"},
    FACE: set(FOLDERS),
}
# Third-party packages that each may import.
OTHERS = {
    "schemas": {"numpy", "pyarrow", "array_record", "pydantic", "ml_dtypes"},
    "towers": {
        "numpy",
        "jax",
        "jaxtyping",
        "flax",
        "safetensors",
        "huggingface_hub",
        "sentencepiece",
        "tokenizers",
        "ml_dtypes",
    },
    "precompute": {"numpy", "jax", "jaxtyping", "tensorflow", "PIL"},
    "pipelines": {"apache_beam", "numpy"},
    "tune": {"numpy", "pyarrow", "jax", "jaxtyping", "flax", "optax", "orbax", "safetensors", "tensorboard"},
    FACE: {"tyro", "rich", "apache_beam"},
}
# Single modules that may import more than their folder.
ALSO = {
    "precompute/sources/decompression.py": {"pyarrow"},
    "schemas/storage/": {"fsspec", "aiohttp", "gcsfs", "google_crc32c", "huggingface_hub"},
    "schemas/sharing/hub/": {"huggingface_hub"},
    "precompute/sources/records/": {"array_record", "google", "google_crc32c"},
    "pipelines/engines/": {"packaging", "grpc", "dask", "distributed"},
    "precompute/sources/columnar/": {"pyarrow"},
    "precompute/exchange/": {"pyarrow", "google"},
    "precompute/deriving/": {"pyarrow"},
    "precompute/images/formats/turbojpeg.py": {"simplejpeg"},
    "towers/tokenizers/stored_pieces.py": {"pyarrow"},
    "tune/evaluation/show": {"PIL", "precompute", "matplotlib"},
    "tune/training/plots.py": {"matplotlib"},
    "lit_precompute/commands/embed/sheet.py": {"PIL"},
}


def _imported(path: pathlib.Path) -> set[str]:
    """Returns the modules that a file imports, also late; names imported from a package count as modules."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def _part(name: str) -> str:
    """Returns the part that an imported module belongs to: one of our folders, the face, or another package."""
    parts = name.split(".")
    if parts[0] != FACE:
        return parts[0]
    return parts[1] if len(parts) > 1 and parts[1] in FOLDERS else FACE


def _sources() -> list[pathlib.Path]:
    return sorted(path.relative_to(ROOT) for folder in OURS for path in (ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("path", _sources(), ids=str)
def test_imports_only_what_the_table_allows(path: pathlib.Path):
    folder = path.parts[0]
    allowed = OURS[folder] | OTHERS[folder] | {folder} | sys.stdlib_module_names
    for place, more in ALSO.items():
        allowed |= more if str(path).startswith(place) else set()
    forbidden = {_part(name) for name in _imported(ROOT / path)} - allowed
    assert not forbidden, f"{path} may not import {sorted(forbidden)}"


def test_our_folders_are_imported_by_their_full_names():
    """`import schemas` would import a user's own package."""
    paths = [path for path in ROOT.glob("*/**/*.py") if not path.relative_to(ROOT).parts[0].startswith(".")]
    bare = [f"{path.relative_to(ROOT)}: {name}" for path in paths for name in _imported(path) if _part(name) in FOLDERS]
    bare = [line for line in bare if f": {FACE}." not in line]
    assert bare == []


def test_only_the_face_imports_commands_and_pipelines():
    heads = (f"{FACE}.commands", f"{FACE}.pipelines")
    for path in _sources():
        if path.parts[0] not in (FACE, "pipelines") and path.name != "__main__.py":
            assert not [name for name in _imported(ROOT / path) if name.startswith(heads)], path


@pytest.mark.parametrize("module", ["commands.tune", "tune.training.trainer", "commands.evaluate"])
def test_starts_without_tensorflow_or_beam(module: str):
    heavy = ("tensorflow", "apache_beam", "matplotlib", "torch")
    program = f"import sys, {FACE}.{module}; print([name for name in {heavy!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("embed --help", 0),
        ("embed run --help", 0),
        ("embed towers --help", 0),
        ("embed run --resize round --tower vit_b16", 2),
        ("embed run --source nowhere.tsv --tower vit_b16 --output out", 2),
        ("embed run --source nowhere.tar --tower vit_b16 --output out", 2),
        ("tune --help", 0),
        ("tune --dataset nowhere --output out", 2),
        ("tune --dataset nowhere --output out --recipe best", 2),
        ("eval --help", 0),
        ("eval zero-shot --model nowhere --dataset nowhere", 2),
        ("eval retrieval --model nowhere --dataset nowhere", 2),
        ("data --help", 0),
        ("data info nowhere", 2),
        ("data deduplicate nowhere --within --output x.selection", 2),
        ("data shuffle nowhere --output out", 2),
    ],
)
def test_commands_import_nothing_heavy_before_they_have_to(command: str, status: int):
    heavy = ("jax", "tensorflow", "apache_beam", "flax", "matplotlib", *(["PIL"] if command.startswith("data") else []))
    program = f"""
import sys
from {FACE}.__main__ import main
try:
    main()
finally:
    print("imported", [name for name in {heavy!r} if name in sys.modules])
"""
    arguments = [sys.executable, "-c", program, *command.split()]
    result = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert result.returncode == status, result.stderr
    assert result.stdout.splitlines()[-1] == "imported []"
    assert "Traceback" not in result.stderr


def test_only_commands_configure_logging_or_parse_flags():
    """A library leaves flags and logging to the program that uses it."""
    offenders = []
    for path in _sources():
        if path.parts[0] != FACE:
            text = (ROOT / path).read_text(encoding="utf-8")
            offenders += [f"{path}: {word}" for word in ("argparse", "basicConfig") if word in text]
    assert offenders == []


def test_only_storage_publishes_files():
    """Flushing and renaming happen in one package, so that every store is written through it."""
    offenders = []
    for path in _sources():
        if not path.is_relative_to("schemas/storage"):
            text = (ROOT / path).read_text(encoding="utf-8")
            offenders += [f"{path}: {word}" for word in ("fsync", "os.replace", ".rename(", "flock(") if word in text]
    assert offenders == []
