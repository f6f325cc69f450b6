"""The user's own modules: which files workers need, and what is refused."""

import sys

import pytest

from lit_precompute.pipelines.engines.user_modules import find_user_modules


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_a_module_comes_with_the_users_modules_that_it_imports(here):
    (here / "my_towers.py").write_text("import json\nimport helpers\nfrom lit_precompute import layers\n")
    (here / "helpers.py").write_text("import numpy as np\nimport jax.numpy\nimport more.deep\nimport my_towers\n")
    (here / "more").mkdir()
    for name in ("__init__.py", "deep.py", "names.txt"):
        (here / "more" / name).write_text("")
    (here / "unrelated.py").write_text("")
    found = find_user_modules("my_towers")
    assert set(found.files) == {"my_towers.py", "helpers.py", "more/__init__.py", "more/deep.py", "more/names.txt"}
    assert [requirement.partition("==")[0] for requirement in found.requires] == ["jax", "numpy"]
    assert "my_towers" not in sys.modules


def test_of_a_dotted_name_the_whole_package_is_taken(here):
    (here / "pack/inner").mkdir(parents=True)
    for name in ("__init__.py", "inner/__init__.py", "inner/towers.py", ".hidden"):
        (here / "pack" / name).write_text("")
    assert set(find_user_modules("pack.inner.towers").files) == {
        "pack/__init__.py",
        "pack/inner/__init__.py",
        "pack/inner/towers.py",
    }


def test_an_installed_module_is_a_requirement(here):
    found = find_user_modules("PIL.Image")
    assert not found.files and found.requires[0].startswith("pillow==")


def test_an_import_that_is_missing_here_is_left_out(here):
    (here / "towers_with_a_fallback.py").write_text("try:\n    import no_such_module\nexcept ImportError:\n    pass\n")
    assert find_user_modules("towers_with_a_fallback").requires == []


def test_what_cannot_be_copied_is_refused_with_what_to_do(here):
    (here / "fast").mkdir()
    (here / "fast/__init__.py").write_text("")
    (here / "fast/inner.so").write_bytes(b"")
    with pytest.raises(ValueError, match=r"fast: .*fast/inner\.so is compiled .*--sdk_container_image"):
        find_user_modules("fast")
    with pytest.raises(ValueError, match="there is no module 'nowhere'; its folder must be on Python's path"):
        find_user_modules("nowhere.towers")


def test_a_package_full_of_data_is_refused(here):
    (here / "heavy").mkdir()
    (here / "heavy/__init__.py").write_text("")
    with (here / "heavy/weights.npz").open("wb") as file:
        file.truncate(100_000_000)
    with pytest.raises(ValueError, match=r"heavy: its files have 100 MB, 67 MB can be staged .*weights\.npz"):
        find_user_modules("heavy")
