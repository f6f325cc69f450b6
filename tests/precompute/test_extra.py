"""What embedding needs beside the package."""

import importlib.util

import pytest

from lit_precompute.precompute.extra import check_embed_extra


def test_installed_it_passes():
    check_embed_extra()


@pytest.mark.parametrize("module", ["apache_beam", "tensorflow"])
def test_a_missing_module_is_named_with_the_extra(monkeypatch, module):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == module else find_spec(name))
    with pytest.raises(ModuleNotFoundError, match=rf"{module} .*lit-precompute\[embed\]") as error:
        check_embed_extra()
    assert error.value.name == module
