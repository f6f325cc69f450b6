"""The towers of docs/towers.md, extracted from the page and run: a family in one module, and a Flax module."""

import pathlib
import re
import sys

import numpy as np
import pytest
import safetensors.numpy
import scipy.special

from lit_precompute.precompute.images.decoding import decode
from lit_precompute.precompute.images.preprocessing import prepare
from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.towers.loading import load_tower
from lit_precompute.towers.preprocessing import Preprocessing
from tests.pipelines.embed.making import run, write_source

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "towers.md"
FAMILY, FLAX = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture(scope="module", autouse=True)
def modules(tmp_path_factory):
    """Writes the page's modules where Python finds them, once, because a name can be registered only once.

    Their towers are named `test-...` like all that tests register, because other tests count the package's own.
    """
    folder = tmp_path_factory.mktemp("modules")
    for name, text in (("page_family", FAMILY), ("page_flax", FLAX)):
        as_test = re.sub(r'(register_image_tower\(\s*")', r"\1test-", text)
        assert as_test != text
        (folder / f"{name}.py").write_text(as_test, encoding="utf-8")
    sys.path.insert(0, str(folder))
    yield
    sys.path.remove(str(folder))


def _torch_state():
    """Returns the state of a torch model of the family, its classifier included."""
    shapes = {"stem.weight": (24, 3, 8, 8), "stem.bias": (24,), "fc1.weight": (96, 24), "fc1.bias": (96,)}
    shapes |= {"fc2.weight": (24, 96), "fc2.bias": (24,), "head.weight": (5, 24)}
    rng = np.random.default_rng(0)
    return {name: rng.normal(0, 0.2, shape).astype(np.float32) for name, shape in shapes.items()}


def _float64_family(state, images):
    """Returns the embedding as the family's docstring defines it: patches, one hidden layer, their mean."""
    pieces = images.astype(np.float64).reshape(len(images), 4, 8, 4, 8, 3)
    tokens = np.einsum("nyaxbc,wcab->nyxw", pieces, state["stem.weight"]) + state["stem.bias"]
    hidden = tokens @ state["fc1.weight"].T + state["fc1.bias"]
    hidden = hidden * (1 + scipy.special.erf(hidden / np.sqrt(2))) / 2
    return (tokens + hidden @ state["fc2.weight"].T + state["fc2.bias"]).mean((1, 2))


def test_a_family_is_one_module_of_sixty_lines_that_embeds(tmp_path, monkeypatch):
    assert FAMILY.count("\n") <= 60
    state = _torch_state()
    safetensors.numpy.save_file(state, tmp_path / "model.safetensors")
    source = write_source(tmp_path / "images", 9, bad=False)
    output = tmp_path / "embedded"
    tower = ("--tower", "page_family:test-patches_s8", "--weights", tmp_path / "model.safetensors")
    assert run(monkeypatch, "run", "--source", source, *tower, "--dtype", "float32", "--output", output) == 0
    with EmbeddingDataset.open(output) as dataset:
        rows = dataset.rows(0, 9, ["key", "embedding"])
    images = [decode((source.parent / key).read_bytes()) for key in rows["key"].to_pylist()]
    images = np.stack([prepare(image, Preprocessing(size=32)) for image in images])
    expected = _float64_family(state, images / 127.5 - 1)
    np.testing.assert_allclose(rows["embedding"], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "card"),
    [
        ("page_family:test-patches_s8", "family patches embedding average (24); --pooling also takes max (24)"),
        ("page_flax:test-colours", "family colours embedding output (16) parameters 368"),
    ],
)
def test_the_pages_towers_have_cards(monkeypatch, capsys, name, card):
    assert run(monkeypatch, "towers", name) == 0
    assert card in " ".join(capsys.readouterr().out.split())


def test_the_pages_flax_module_has_the_documented_names(tmp_path):
    shapes = {"convolution/kernel": (3, 3, 3, 8), "convolution/bias": (8,), "head/kernel": (8, 16), "head/bias": (16,)}
    np.savez(tmp_path / "weights.npz", **{name: np.ones(shape, np.float32) for name, shape in shapes.items()})
    assert load_tower("page_flax:test-colours", str(tmp_path / "weights.npz")).output_width == 16
