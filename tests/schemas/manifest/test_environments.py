"""Which versions a shard records."""

import pytest

from lit_precompute.schemas import current_environment


def _install(folder, distribution, module, version):
    """Writes a distribution's metadata, as its installer would."""
    info = folder / f"{distribution}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
    (info / "top_level.txt").write_text(f"{module}\n")


@pytest.mark.parametrize(
    ("installed", "recorded"),
    [
        (["usual_name"], {"usual-name": "1.0"}),
        (["another.Name"], {"another-name": "1.0"}),
        (["usual_name", "another_name"], {"usual-name": "1.0"}),
        (["second_name", "first_name"], {"first-name": "1.0"}),
        ([], {}),
    ],
)
def test_the_distribution_that_provides_a_module_is_recorded(tmp_path, monkeypatch, installed, recorded):
    for distribution in installed:
        _install(tmp_path / "site", distribution, "some_module", "1.0")
    monkeypatch.syspath_prepend(tmp_path / "site")
    plain = current_environment("cpu")
    found = current_environment("cpu", {"some_module": "usual-name"})
    assert found.device == "cpu"
    assert set(plain.libraries) == {"lit-precompute", "array-record", "pyarrow", "numpy"}
    assert found.libraries == plain.libraries | recorded
