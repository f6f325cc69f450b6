"""Publishing: which versions a manifest records."""

import pytest

from lit_precompute.schemas import EmbeddingDataset, publish_manifest
from tests.schemas.making import write


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
    before = write(tmp_path / "dataset")
    fields = {name: getattr(before, name) for name in ("shards", "tables", "tower", "source", "probes", "block_rows")}
    after = publish_manifest(tmp_path / "dataset", libraries={"some_module": "usual-name"}, **fields)
    assert after.libraries == before.libraries | recorded
    EmbeddingDataset.open(tmp_path / "dataset").close()
