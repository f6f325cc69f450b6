"""The model identity of real towers: the same however a network is run, another for another network."""

import numpy as np
import pytest
import safetensors.numpy

from lit_precompute.schemas import TowerCard
from lit_precompute.towers.loading import load_tower
from lit_precompute.towers.registry import find_tower, tower_names
from tests.oracles import vit as vit_oracle

FAMILIES = {find_tower(name).family.name: find_tower(name) for name in tower_names() if not name.startswith("test-")}


def _card(family, fields):
    return TowerCard(
        name="one",
        architecture={"family": family, **fields},
        weights_sha256="a" * 64,
        preprocessing={},
        output_width=8,
        pooling=fields["pooling"],
        num_parameters=1,
        fingerprint="f" * 64,
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_of_a_configuration_only_how_it_is_run_is_left_out(family):
    """Every field that a family has or gets counts, but for these."""
    fields = FAMILIES[family].config.to_json()
    identity = _card(family, fields).model_identity
    ignored = {name for name in fields if _card(family, {**fields, name: "another value"}).model_identity == identity}
    assert ignored == {"resolution", "compute_type"} | ({"position_resize"} & set(fields))
    assert _card("another family", fields).model_identity != identity


def test_one_file_is_one_network_at_every_resolution_resize_and_compute_type(tmp_path):
    arrays = vit_oracle.draw_hugging_face("ti16-224")
    path = str(tmp_path / "a.safetensors")
    safetensors.numpy.save_file(arrays, path)
    base = load_tower("vit_ti16", path).card()
    for options in ({"resolution": 160}, {"resize": "square", "resolution": 288}, {"compute_type": "bfloat16"}):
        other = load_tower("vit_ti16", path, **options).card()
        assert other.fingerprint != base.fingerprint
        assert other.model_identity == base.model_identity is not None
    assert load_tower("vit_ti16", path, pooling="average").card().model_identity != base.model_identity
    arrays["layernorm.bias"] = arrays["layernorm.bias"] + np.float32(1e-3)
    safetensors.numpy.save_file(arrays, tmp_path / "b.safetensors")
    other = load_tower("vit_ti16", str(tmp_path / "b.safetensors")).card()
    assert list(other.identity_differences(base)) == ["weights_sha256"]
