"""Recalls of several models and their paired intervals: against `evaluate`, scipy's bootstrap and a plain loop."""

import numpy as np
import pytest
import scipy.stats

from lit_precompute.tune.evaluation.paired import FIGURES, Comparison, chances, compare, row_hits
from lit_precompute.tune.evaluation.retrieval import recalls
from tests.tune.evaluation.making import unit

NUM_ROWS = 120


def _hits(noise, seed):
    """Returns the hits of embeddings that are the further apart the more noise there is; rows have 1 to 3 texts."""
    shared = np.random.default_rng(0)
    images = unit(shared.standard_normal((NUM_ROWS, 8)))
    owners = np.repeat(np.arange(NUM_ROWS), shared.integers(1, 4, NUM_ROWS))
    texts = unit(images[owners] + noise * np.random.default_rng(seed).standard_normal((len(owners), 8)))
    return images, texts, owners


def _all_hits(noises=(0.4, 0.5), num_trainings=1):
    found = [
        [row_hits(*_hits(noise, 10 * place + training)) for training in range(num_trainings)]
        for place, noise in enumerate(noises)
    ]
    return np.array([[each.hits for each in runs] for runs in found]), found[0][0].counts


def test_values_and_chances_are_those_of_retrieval():
    hits, counts = _all_hits()
    found = compare(hits, counts, num_resamples=10)
    expected = recalls(*_hits(0.5, 10))
    for way in ("image_to_text", "text_to_image"):
        for k, share in getattr(expected, way).items():
            figure = f"{way}_recall_at_{k}"
            assert found.estimate(1, figure).value == pytest.approx(share.value, abs=1e-12)
            assert chances(counts[-1])[figure] == pytest.approx(share.chance, abs=1e-12)
    both = expected.image_to_text[5].value + expected.text_to_image[5].value
    assert found.estimate(1, "mean_recall_at_5").value == pytest.approx(both / 2, abs=1e-12)


def test_draws_match_a_plain_loop():
    """Rows and trainings are repeated as often as they are drawn, and the shares of what is there are taken."""
    hits, counts = _all_hits(num_trainings=3)
    found = compare(hits, counts, num_resamples=50, seed=4)
    rng = np.random.default_rng(4)
    rows = rng.multinomial(NUM_ROWS, np.full(NUM_ROWS, 1 / NUM_ROWS), size=50)
    trainings = rng.multinomial(3, np.full(3, 1 / 3), size=(50, 2))
    for draw in range(50):
        chosen = np.repeat(np.arange(NUM_ROWS), rows[draw])
        for model in range(2):
            runs = np.repeat(np.arange(3), trainings[draw, model])
            shares = [[hits[model, run, f, chosen].sum() / counts[f, chosen].sum() for f in range(6)] for run in runs]
            expected = np.mean(shares, axis=0)
            np.testing.assert_allclose(found.draws[draw, model, :6], expected, rtol=1e-12)
            np.testing.assert_allclose(found.draws[draw, model, 6:], (expected[:3] + expected[3:]) / 2, rtol=1e-12)


@pytest.mark.parametrize("figure", ["text_to_image_recall_at_5", "image_to_text_recall_at_1"])
def test_intervals_match_scipys_bootstrap(figure):
    """Both are of random draws: percentiles of 20,000 have a standard error of about 1 % of an interval's width."""
    hits, counts = _all_hits()
    found, place = compare(hits, counts, num_resamples=20_000), FIGURES.index(figure)
    asked, (one, other) = counts[place], hits[:, 0, place]

    def expected(statistic, *data):
        drawn = scipy.stats.bootstrap(
            data, statistic, paired=True, vectorized=True, method="percentile", n_resamples=20_000, rng=1
        )
        return drawn.confidence_interval

    def share(hit, count, axis=-1):
        return hit.sum(axis=axis) / count.sum(axis=axis)

    def gap(hit, other_hit, count, axis=-1):
        return share(hit, count, axis) - share(other_hit, count, axis)

    of_one, of_gap = expected(share, one, asked), expected(gap, one, other, asked)
    own, difference = found.estimate(0, figure), found.difference(0, 1, figure)
    assert difference.value == pytest.approx(own.value - found.estimate(1, figure).value)
    for estimate, interval in ((own, of_one), (difference, of_gap)):
        width = interval.high - interval.low
        assert 0.02 < width < 0.3
        assert estimate.low == pytest.approx(interval.low, abs=0.05 * width)
        assert estimate.high == pytest.approx(interval.high, abs=0.05 * width)


def test_a_difference_is_better_known_than_its_parts_where_rows_are_hard_for_both():
    hits, counts = _all_hits((0.4, 0.4))
    hits[1] = hits[0]
    hits[1, 0, :, :6] = 0  # the same but for six rows
    found = compare(hits, counts)
    own, gap = found.estimate(0, "mean_recall_at_5"), found.difference(0, 1, "mean_recall_at_5")
    assert (gap.high - gap.low) < (own.high - own.low) / 1.5
    assert gap.low > 0
    itself = found.difference(0, 0, "mean_recall_at_5")
    assert (itself.value, itself.low, itself.high) == (0, 0, 0)


def test_trainings_that_differ_widen_the_interval():
    """Where rows are alike only trainings vary: of four with a variance v, the mean of four drawn ones has v / 4."""
    shares = np.array([0.1, 0.2, 0.4, 0.5])
    hits = np.broadcast_to(shares[None, :, None, None], (1, 4, 6, 50))
    found: Comparison = compare(hits.copy(), np.ones((6, 50), np.int64), num_resamples=20_000)
    assert found.estimate(0, "mean_recall_at_5").value == pytest.approx(0.3)
    assert found.draws[:, 0, 7].var() == pytest.approx(shares.var() / 4, rel=0.05)


def test_rows_that_are_drawn_in_parts_are_drawn_alike(monkeypatch):
    hits, counts = _all_hits()
    whole = compare(hits, counts, num_resamples=2000)
    monkeypatch.setattr("lit_precompute.tune.evaluation.paired._DRAWN_AT_ONCE", 7 * NUM_ROWS)
    parts = compare(hits, counts, num_resamples=2000)
    first, second = (each.estimate(0, "mean_recall_at_5") for each in (whole, parts))
    assert first == pytest.approx(second, abs=0.02)
