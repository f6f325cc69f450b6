"""After how many epochs precomputing pays: the statements of the paper's figure 10, and sums by hand."""

import pytest

from lit_precompute.pipelines.estimates.epochs import ImageSeconds

SIZES = [ImageSeconds(image=image, text=2.0, row=0.5) for image in (0.1, 1.0, 10.0, 100.0)]


def test_by_hand():
    """Three epochs: 3 x (10 + 2) = 36 seconds against 10 + 3 x (2 + 0.5) = 17.5."""
    seconds = ImageSeconds(image=10.0, text=2.0, row=0.5)
    assert seconds.speed_up(3) == pytest.approx(36 / 17.5)
    assert seconds.pays_after() == pytest.approx(10 / 9.5)


@pytest.mark.parametrize("seconds", SIZES)
def test_up_to_one_epoch_the_ratio_is_constant(seconds):
    assert seconds.speed_up(0.1) == pytest.approx(seconds.speed_up(1)) == pytest.approx(seconds.speed_up(0.5))


def test_in_one_epoch_it_is_below_one_and_grows_with_the_tower():
    found = [seconds.speed_up(1) for seconds in SIZES]
    assert found == sorted(found)
    assert found[0] < 0.85
    assert 0.99 < found[-1] < 1


def test_beyond_one_epoch_it_grows_with_epochs_and_tower():
    for seconds in SIZES[1:]:
        found = [seconds.speed_up(epochs) for epochs in (1, 2, 10, 100)]
        assert found == sorted(found)
    assert [seconds.speed_up(10) for seconds in SIZES] == sorted(seconds.speed_up(10) for seconds in SIZES)


@pytest.mark.parametrize("seconds", SIZES[1:])
def test_it_pays_where_both_cost_the_same_whatever_the_text_costs(seconds):
    epochs = seconds.pays_after()
    assert seconds.speed_up(epochs) == pytest.approx(1)
    assert seconds.speed_up(epochs * 1.01) > 1


def test_a_tower_that_is_faster_than_reading_rows_never_pays():
    assert SIZES[0].pays_after() is None
    assert SIZES[0].speed_up(1000) < 1


def test_views_are_all_embedded_before_the_first_epoch():
    """Four views: 4 x 10 + 8 x (2 + 0.5) = 60 seconds against 8 x (10 + 2) = 96."""
    seconds = ImageSeconds(image=10.0, text=2.0, row=0.5, views=4)
    assert seconds.speed_up(8) == pytest.approx(96 / 60)
    assert seconds.speed_up(seconds.pays_after()) == pytest.approx(1)
