"""The package's public face: lazy, complete, typed."""

import ast
import importlib
import json
import pathlib
import re
import subprocess
import sys

import pytest

import lit_precompute

ROOT = pathlib.Path(__file__).parents[1]


def test_every_name_is_found_and_listed():
    assert sorted(lit_precompute.__all__) == sorted({*lit_precompute.__all__})
    assert {*lit_precompute.__all__} <= {*dir(lit_precompute)}
    for name in lit_precompute.__all__:
        assert getattr(lit_precompute, name) is getattr(lit_precompute, name)


def test_type_checkers_see_what_is_loaded():
    tree = ast.parse((ROOT / "lit_precompute/__init__.py").read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module != "typing"]
    shown = {alias.asname or alias.name: (node.module, alias.name) for node in imports for alias in node.names}
    assert {*shown} == {*lit_precompute.__all__}
    for public_name, (module, name) in shown.items():
        parent = importlib.import_module(module)
        found = getattr(parent, name, None) or importlib.import_module(f"{module}.{name}")
        assert getattr(lit_precompute, public_name) is found, public_name


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'lit_precompute' has no attribute 'embedd'"):
        _ = lit_precompute.embedd


def _imported_by(statement):
    """Returns the packages that a statement imports in a fresh process, the standard library excluded."""
    program = f"""
import sys
before = {{*sys.modules}}
{statement}
print(sorted({{name.partition(".")[0] for name in {{*sys.modules}} - before}} - {{*sys.stdlib_module_names}}))
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return {*json.loads(result.stdout.replace("'", '"'))}


def test_importing_the_package_imports_nothing_else():
    assert _imported_by("import lit_precompute") == {"lit_precompute"}


@pytest.mark.parametrize(
    "name", ["EmbeddingDataset", "DatasetWriter", "EmbedOptions", "parse_source", "embed", "RECIPES", "train"]
)
def test_names_that_need_no_jax_do_not_import_it(name):
    assert not _imported_by(f"from lit_precompute import {name}") & {"jax", "tensorflow", "apache_beam", "flax"}


@pytest.mark.slow
def test_a_type_checker_knows_the_types_of_all_names(tmp_path):
    parts = tmp_path / "parts/lit_precompute"
    parts.mkdir(parents=True)
    for path in (ROOT / "lit_precompute").glob("[!_]*"):
        (parts / path.name).symlink_to(path)
    for name in ("__init__.py", "../schemas", "../towers", "../precompute", "../pipelines", "../tune"):
        path = ROOT / "lit_precompute" / name
        (parts / path.name).symlink_to(path.resolve())
    names = "\n".join(f"reveal_type(lit.{name})" for name in lit_precompute.__all__)
    (tmp_path / "user.py").write_text(f"import lit_precompute as lit\n{names}\nlit.embed(3)\nlit.embedd()\n")
    settings = {"include": ["user.py"], "extraPaths": ["parts"], "typeCheckingMode": "standard"}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    command = [pathlib.Path(sys.executable).parent / "basedpyright", "--project", tmp_path, "--outputjson"]
    command += ["--pythonpath", sys.executable]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    said = json.loads(result.stdout)["generalDiagnostics"]
    types = [one["message"] for one in said if one["severity"] == "information"]
    assert len(types) == len(lit_precompute.__all__)
    assert not [message for message in types if re.search(r'is "(Any|Unknown|object)"', message)]
    errors = [one["rule"] for one in said if one["severity"] == "error"]
    assert errors == ["reportArgumentType", "reportAttributeAccessIssue"]
