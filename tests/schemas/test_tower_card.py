"""The two identities of a tower: the same network, and interchangeable embeddings."""

import pytest

from lit_precompute.schemas import TowerCard

CARD = TowerCard(
    name="small",
    architecture={
        "family": "vit",
        "width": 24,
        "pooling": "average",
        "resolution": 224,
        "compute_type": "float32",
        "position_resize": "linear",
    },
    weights_sha256="a" * 64,
    preprocessing={"size": 224, "crop": "central", "value_range": {"kind": "scale", "low": -1.0, "high": 1.0}},
    output_width=24,
    pooling="average",
    num_parameters=1_000,
    fingerprint="f" * 64,
)


def changed(*, architecture=None, preprocessing=None, **fields):
    return CARD.model_copy(
        update={
            "architecture": CARD.architecture | (architecture or {}),
            "preprocessing": CARD.preprocessing | (preprocessing or {}),
            **fields,
        }
    )


@pytest.mark.parametrize(
    ("other", "differences"),
    [
        (changed(name="another", num_parameters=7, fingerprint="e" * 64), {}),
        (
            changed(architecture={"resolution": 288}, preprocessing={"size": 288, "crop": "none"}),
            {"resolution": (224, 288), "size": (224, 288), "crop": ("central", "none")},
        ),
        (changed(architecture={"compute_type": "bfloat16"}), {"compute_type": ("float32", "bfloat16")}),
        (changed(architecture={"position_resize": "bicubic"}), {"position_resize": ("linear", "bicubic")}),
        (changed(preprocessing={"jpeg": "fast"}), {"jpeg": (None, "fast")}),
    ],
)
def test_preprocessing_and_resolution_do_not_change_the_model_identity(other, differences):
    assert other.model_identity == CARD.model_identity is not None
    assert CARD.identity_differences(other) == {}
    assert CARD.preprocessing_differences(other) == differences


@pytest.mark.parametrize(
    ("other", "differences"),
    [
        (changed(weights_sha256="b" * 64), {"weights_sha256": ("a" * 64, "b" * 64)}),
        (changed(architecture={"width": 32}), {"architecture.width": (24, 32)}),
        (changed(architecture={"depth": 2}), {"architecture.depth": (None, 2)}),
        # The architecture repeats it: it is reported once.
        (changed(architecture={"pooling": "map"}, pooling="map"), {"pooling": ("average", "map")}),
    ],
)
def test_weights_architecture_and_pooling_change_the_model_identity(other, differences):
    assert other.model_identity != CARD.model_identity
    assert CARD.identity_differences(other) == differences


@pytest.mark.parametrize("missing", ["family", "resolution", "compute_type"])
def test_a_card_that_does_not_identify_its_network_has_no_model_identity(missing):
    architecture = {name: value for name, value in CARD.architecture.items() if name != missing}
    assert CARD.model_copy(update={"architecture": architecture}).model_identity is None
    assert CARD.model_copy(update={"architecture": {}}).model_identity is None
