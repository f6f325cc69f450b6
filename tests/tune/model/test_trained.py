"""Which parameters are trained, and how fast; the factors are worked out by hand."""

import pytest

from lit_precompute.tune.model.options import TrainedOptions
from lit_precompute.tune.model.trained import rate_factors, trained_names

NAMES = [
    "token_embedding/embedding",
    "blocks/0/attention/query/kernel",
    "blocks/1/attention/query/kernel",
    "blocks/10/attention/query/kernel",
    "final_norm/scale",
    "pooling/probe",
    "head/kernel",
]
SHAPES = dict.fromkeys(NAMES, (2,))


@pytest.mark.parametrize(
    ("options", "locked"),
    [
        (TrainedOptions(), []),
        (TrainedOptions(last_layers=0), NAMES[:5]),
        (TrainedOptions(last_layers=1), NAMES[:3]),
        (TrainedOptions(last_layers=10), NAMES[:2]),
        (TrainedOptions(last_layers=11), NAMES[:1]),
        (TrainedOptions(locked="blocks/*"), NAMES[1:4]),
        (TrainedOptions(locked="token_*, */probe"), [NAMES[0], NAMES[5]]),
        (TrainedOptions(locked="head/*", last_layers=1), [*NAMES[:3], NAMES[6]]),
    ],
)
def test_what_is_not_trained(options, locked):
    assert trained_names(options, SHAPES) == set(NAMES) - set(locked)


def test_a_layers_rate_is_its_share_of_the_next_ones():
    shapes = {name: shape for name, shape in SHAPES.items() if "blocks/10/" not in name}
    assert rate_factors(TrainedOptions(layer_decay=0.5), shapes) == {
        "token_embedding/embedding": 0.125,
        "blocks/0/attention/query/kernel": 0.25,
        "blocks/1/attention/query/kernel": 0.5,
        "final_norm/scale": 1.0,
        "pooling/probe": 1.0,
        "head/kernel": 1.0,
    }


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: trained_names(TrainedOptions(locked="block/*"), SHAPES), r"'block/\*' fits none of the .* 7 param"),
        (lambda: trained_names(TrainedOptions(last_layers=12), SHAPES), r"<= the text tower's 11 blocks, got 12"),
        (lambda: TrainedOptions(last_layers=-1), r"last_layers must be >= 0 or None, got -1"),
        (lambda: TrainedOptions(layer_decay=1.5), r"layer_decay must be in \(0, 1\], got 1.5"),
    ],
)
def test_refuses(make, message):
    with pytest.raises(ValueError, match=message):
        make()
