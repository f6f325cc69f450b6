"""The estimate of a job: hours, machines and dollars against sums by hand, and what is refused."""

import dataclasses

import pytest

from lit_precompute.pipelines.embed.options import EmbedOptions
from lit_precompute.pipelines.embed.several_towers import with_each_tower
from lit_precompute.pipelines.estimates.estimate import START_UP_S
from lit_precompute.pipelines.estimates.job import estimate_job
from lit_precompute.pipelines.estimates.prices import read_prices
from lit_precompute.pipelines.estimates.wanted import Wanted
from lit_precompute.precompute.sources.spec import SourceSpec
from lit_precompute.towers.options import ImageTowerOptions
from tests.pipelines.embed.making import write_source
from tests.towers.tiny_tower import NAME, WIDTH, register_tiny_tower

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*:FutureWarning"),
]
DATAFLOW = ("--runner=DataflowRunner", "--machine_type=n2-standard-16", "--region=us-central1")


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    register_tiny_tower()
    table = write_source(tmp_path_factory.mktemp("source"), 40, bad=False)
    return EmbedOptions(
        source=SourceSpec(str(table)), tower=ImageTowerOptions(name=NAME), output="out", rows_per_shard=8
    )


def _estimate(options, *beam_flags, **wanted):
    towers = wanted.pop("towers", NAME)
    jobs = with_each_tower(dataclasses.replace(options, tower=ImageTowerOptions(name="")), towers)
    return estimate_job(jobs, Wanted(**wanted), prices=read_prices(), beam_flags=beam_flags)


def test_hours_and_dollars_on_dataflow_by_hand(options):
    """3,600,000 rows at 100 a second are 10 hours; on 4 machines 2.5, and 3 minutes for each to begin."""
    found = _estimate(options, *DATAFLOW, rate="100", rows=3_600_000, machines=4)
    (tower,) = found.towers
    assert tower.duration.machines == 4
    assert tower.duration.hours == pytest.approx(2.5 + START_UP_S / 3600)
    assert tower.duration.machine_hours == pytest.approx(10 + 4 * START_UP_S / 3600)
    machine = 16 * 0.056 + 64 * 0.003557 + 25 * 0.000054
    shuffle = (3_600_000 * 8 + (1 + 450_000) * 1000) / 1e9 * 0.011
    on_demand, flexible = tower.costs
    assert on_demand.total == pytest.approx(10.2 * machine + shuffle)
    assert (on_demand.tariff, flexible.tariff) == ("on demand", "FlexRS")
    assert flexible.total < on_demand.total
    assert tower.stored_month == pytest.approx((tower.vector_bytes + tower.words_bytes) / 1e9 * 0.02)
    assert found.source.num_shards == 450_000
    assert "assumed: 3 minutes until a machine embeds" in found.notes


def test_machines_follow_from_hours(options):
    found = _estimate(options, *DATAFLOW, rate="100", rows=3_600_000, hours=1)
    assert found.towers[0].duration.machines == 11  # 10 hours of work, 57 minutes for each
    assert found.towers[0].duration.hours < 1


def test_machines_beyond_the_shards_are_idle(options):
    found = _estimate(options, *DATAFLOW, "--max_num_workers=50", rate="1")
    assert (found.source.num_rows, found.source.num_shards, found.source.is_exact) == (40, 5, True)
    assert found.towers[0].duration.machines == 5
    assert any("50 machines would have only 5 shards" in note for note in found.notes)


def test_towers_stand_side_by_side(options):
    found = _estimate(options, towers=f"{NAME},vit_b16@weights.npz", rate="100,10", machines=1)
    tiny, large = found.towers
    assert [tiny.width, large.width] == [WIDTH, 768]
    assert large.duration.hours == pytest.approx(10 * tiny.duration.hours)
    assert large.vector_bytes > tiny.vector_bytes
    assert (tiny.costs, tiny.words_bytes) == ((), large.words_bytes)


def test_each_view_costs_as_much_as_an_image(options):
    plain = _estimate(options, rate="100", machines=1).towers[0]
    views = _estimate(dataclasses.replace(options, views=3), rate="100", machines=1).towers[0]
    assert views.duration.hours == pytest.approx(4 * plain.duration.hours)
    assert views.vector_bytes == 4 * plain.vector_bytes
    assert views.words_bytes == plain.words_bytes
    assert views.epochs.pays_after == pytest.approx(4 * plain.epochs.pays_after)


def test_epochs_count_the_text_side_if_its_rate_is_given(options):
    alone = _estimate(options, rate="100", epochs=(1, 10)).towers[0].epochs
    together = _estimate(options, rate="100", tune_rate=100.0, epochs=(1, 10)).towers[0].epochs
    assert alone.speed_ups[10] == pytest.approx(10, rel=0.01)
    assert together.speed_ups[10] == pytest.approx(20 / 11, rel=0.01)  # 10 x (1 + 1) against 1 + 10 x 1
    assert alone.pays_after == together.pays_after


def test_without_a_rate_there_are_bytes_and_no_hours(options):
    found = _estimate(options)
    (tower,) = found.towers
    assert (tower.duration, tower.costs, tower.epochs) == (None, (), None)
    assert tower.vector_bytes > 40 * WIDTH * 2
    assert found.notes[-1].startswith("hours and dollars need a rate: --sample 256")


def test_a_sample_is_really_embedded(options, tmp_path):
    table = write_source(tmp_path, 40, bad=True)
    bad = dataclasses.replace(options, source=SourceSpec(str(table)), batch_size=4)
    found = _estimate(bad, sample=20)
    timing = found.towers[0].timing
    assert (timing.num_rows, timing.num_failures, timing.batch_size) == (20, 3, 4)
    assert found.towers[0].duration.images_per_second == pytest.approx(20 / timing.seconds)
    assert found.towers[0].duration.set_up_s == timing.set_up_s > 0
    assert any(f"{NAME}: 3 rows of these would fail" in note for note in found.notes)
    views = _estimate(dataclasses.replace(bad, views=1), sample=20).towers[0]
    assert views.duration.images_per_second == pytest.approx(2 * 20 / views.timing.seconds)


def test_what_the_price_file_lacks_is_named(options):
    found = _estimate(options, "--runner=DataflowRunner", "--machine_type=e2-tiny-1", rate="1")
    assert found.towers[0].costs[0].total is None
    assert any("not in prices.toml: [machines] e2-tiny-1 = { vcpus = ..." in note for note in found.notes)


def test_another_region_is_noted(options):
    found = _estimate(options, *DATAFLOW[:2], "--region=europe-west4", rate="1")
    assert any(note.startswith("the job runs in europe-west4, whose prices may differ") for note in found.notes)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"rate": "fast"}, "--rate must be images per second, such as 900 or 900,310, got 'fast'"),
        ({"rate": "0"}, "--rate must be images per second"),
        ({"rate": "1,2,3"}, "--rate: one number, or one for each of 1 towers, got 3"),
        ({"sample": 4, "rate": "1"}, "--sample and --rate are both given"),
        ({"sample": -1}, "--sample must be >= 0, got -1"),
        ({"machines": 2, "hours": 3.0}, "--machines and --hours are both given"),
        ({"machines": 0}, "--machines must be >= 1, got 0"),
        ({"hours": 0.0}, "--hours must be > 0, got 0"),
        ({"epochs": (0,)}, "--epochs must be >= 1, got 0"),
        ({"towers": "nothing-like-it"}, "unknown tower 'nothing-like-it'"),
    ],
)
def test_wrong_wishes_are_errors(options, wanted, message):
    with pytest.raises(ValueError, match=message):
        _estimate(options, **wanted)


def test_too_few_hours_for_any_number_of_machines_are_an_error(options):
    with pytest.raises(ValueError, match=r"--hours 0.01: a machine needs 3.0 minutes until it embeds; give more"):
        _estimate(options, *DATAFLOW, rate="1", hours=0.01)
