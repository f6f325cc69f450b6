"""What a comparison says: the cheapest tower that may be as good as the best, or the best."""

import dataclasses

import pytest

from lit_precompute.choosing.costs import MillionRows
from lit_precompute.choosing.result import MEASURE
from lit_precompute.tune.evaluation.paired import FIGURES
from tests.choosing.results import BEST, FAR, NEAR, choice, tower


@pytest.mark.parametrize(
    ("towers", "verdict"),
    [
        (
            (BEST, NEAR, FAR),
            "base: its R@5 cannot be told from that of the best, large (-1.0 points, -3.0 to +1.2), at 0.33 times "
            "the cost; more --rows would tell more",
        ),
        (
            (BEST, dataclasses.replace(NEAR, million_rows=MillionRows(hours=60.0, money={})), FAR),
            "large: it retrieves best; base may be as good (-1.0 points, -3.0 to +1.2), at 2.00 times the cost",
        ),
        (
            (BEST, FAR),
            "large: it retrieves best; the next, small, is worse (-20.0 points, -23.0 to -17.0), at 0.10 times the "
            "cost",
        ),
        (
            (BEST, dataclasses.replace(FAR, million_rows=BEST.million_rows)),
            "large: it retrieves best; the next, small, is worse (-20.0 points, -23.0 to -17.0) and costs no less",
        ),
        ((BEST, tower("other", 0, 1.0, error="step 3: not finite")), "large: the trainings of all others failed"),
    ],
)
def test_the_verdict_names_the_tower_to_lock(towers, verdict):
    assert choice(*towers).verdict == verdict


def test_money_decides_where_it_is_known():
    dear = dataclasses.replace(NEAR, million_rows=MillionRows(hours=10.0, money={"on demand": 9.0, "spot": 1.0}))
    cheap = dataclasses.replace(BEST, million_rows=MillionRows(hours=30.0, money={"on demand": 3.0, "spot": 2.0}))
    assert choice(cheap, dear).verdict.startswith("large: it retrieves best; base may be as good")
    no_price = MillionRows(hours=10.0, money={"on demand": None, "spot": 1.0})
    assert no_price.compared == 1.0 and MillionRows(hours=10.0, money={"on demand": None}).compared == 10.0


def test_nothing_is_recommended_at_chance_or_without_any_training():
    said = choice(BEST, NEAR, chances=dict.fromkeys(FIGURES, 0.38)).verdict
    assert said.startswith("none can be recommended: no tower retrieves better than chance (38.0%) for certain")
    failed = tower("a", 0, 1.0, error="step 3: the loss is not finite")
    assert choice(failed).verdict == "no tower can be recommended: every one has a training that failed"


def test_json_names_intervals():
    found = choice(BEST, NEAR).to_json()
    assert found["towers"][1]["difference"] == {"value": -0.01, "interval_95": [-0.03, 0.012]}
    assert found["towers"][0]["difference"] is None
    assert found["towers"][0]["recalls"][MEASURE]["value"] == 0.4
    assert found["towers"][0]["million_rows"] == {"hours": 30.0, "money": {}}
    assert found["measure"] == MEASURE and found["notes"] == ("a note",)
