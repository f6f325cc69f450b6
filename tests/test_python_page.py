"""docs/python.md shows every public name, and its examples run."""

import pathlib
import re
import subprocess
import sys

import pytest

import lit_precompute

ROOT = pathlib.Path(__file__).parents[1]
PAGE = ROOT / "docs/python.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_every_public_name_is_used():
    used = {name for example in EXAMPLES for name in re.findall(r"\blit\.(\w+)", example)}
    assert used == {*lit_precompute.__all__}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_show_only_public_names(page: pathlib.Path):
    text = page.read_text(encoding="utf-8")
    assert re.findall(r"^ *(?:from|import) lit_precompute\.\S+", text, re.MULTILINE) == []
    for line in re.findall(r"^ *from lit_precompute import (.+)$", text, re.MULTILINE):
        assert {*line.split(", ")} <= {*lit_precompute.__all__}, line


@pytest.mark.slow
def test_the_examples_run_in_order_in_an_empty_folder(tmp_path):
    script = tmp_path / "examples.py"
    script.write_text("\n".join(EXAMPLES), encoding="utf-8")
    folder = tmp_path / "folder"
    folder.mkdir()
    result = subprocess.run([sys.executable, str(script)], cwd=folder, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "right, by chance 25%" in result.stdout
