"""Comparisons with known figures: towers large, base and small, of which base may be as good as large."""

import dataclasses

from lit_precompute.choosing.costs import MillionRows
from lit_precompute.choosing.result import ChosenTower, TowerChoice
from lit_precompute.tune.evaluation.paired import FIGURES, Estimate


def tower(name, value, hours, difference=None, error="", **more):
    """Returns a tower with the same recall everywhere, known to 3 points."""
    return ChosenTower(
        name=name,
        tower=name,
        width=768,
        num_parameters=86_000_000,
        resolution=224,
        dataset=f"out/embedded/{name}",
        num_rows=2000,
        num_failures=0,
        tower_rate=50.0,
        decoding_rate=None,
        job_rate=None,
        limit="",
        million_rows=MillionRows(hours=hours, **{"money": {}, **more}),
        recalls={} if error else dict.fromkeys(FIGURES, Estimate(value, value - 0.03, value + 0.03)),
        difference=None if difference is None else Estimate(*difference),
        error=error,
    )


def choice(*towers, **more):
    """Returns a comparison of towers, best first."""
    given = TowerChoice(
        source="captions.tsv",
        output="out",
        num_asked=2000,
        seed=0,
        num_rows=2000,
        num_trained_on=1500,
        num_held_out=500,
        num_held_out_texts=600,
        num_alike=0,
        num_left_out=0,
        num_unusable=0,
        trainings=3,
        text_tower=None,
        device="1 device of kind cpu, 2 cores",
        machine="this machine",
        currency="USD",
        chances=dict.fromkeys(FIGURES, 0.01),
        towers=towers,
        notes=("a note",),
    )
    return dataclasses.replace(given, **more)


BEST = tower("large", 0.40, 30.0)
NEAR = tower("base", 0.39, 10.0, (-0.01, -0.03, 0.012))
FAR = tower("small", 0.20, 3.0, (-0.2, -0.23, -0.17))
