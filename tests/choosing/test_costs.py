"""The cost of a million rows: that of `lit-embed plan` for a source of a million rows, but for starting machines."""

import pytest

from lit_precompute.choosing.costs import Pricing

L4 = "--dataflow_service_options=worker_accelerator=type:nvidia-l4;count:1;install-nvidia-driver"


def test_hours_are_of_the_measured_rate_unless_one_is_given():
    measured = Pricing.of([], None, "", 2)
    assert measured.cost(0, 100.0).hours == pytest.approx(10_000 / 3600) and measured.cost(0, 100.0).money == {}
    given = Pricing.of([], None, "50,200", 2)
    assert [given.cost(place, 100.0).hours for place in (0, 1)] == pytest.approx([20_000 / 3600, 5_000 / 3600])
    assert measured.notes() == ["dollars need a machine: --machine_type=..., as for `lit-embed plan`"]


def test_money_is_machine_hours_times_the_price_file(tmp_path):
    file = tmp_path / "prices.toml"
    file.write_text(
        'date = 2026-11-01\ncurrency = "EUR"\nregion = "here"\n[machines]\nbig = { hour = 3.6, spot_hour = 1.8 }\n'
    )
    pricing = Pricing.of(["--machine_type=big"], str(file), "", 1)
    assert pricing.cost(0, 100.0).money == pytest.approx({"on demand": 10.0, "spot": 5.0})
    notes = pricing.notes()
    assert f"prices: {file} of 2026-11-01, EUR in here, big" in notes
    assert any("if it is as fast as this machine; --rate gives" in note for note in notes)
    assert not any("--rate gives" in note for note in Pricing.of(["--machine_type=big"], str(file), "9", 1).notes())


def test_a_price_that_is_missing_is_named_and_not_guessed(tmp_path):
    file = tmp_path / "prices.toml"
    file.write_text('date = 2026-11-01\ncurrency = "EUR"\nregion = "here"\n[machines]\nbig = { hour = 3.6 }\n')
    pricing = Pricing.of(["--machine_type=big"], str(file), "", 1)
    assert pricing.cost(0, 100.0).money == {"on demand": pytest.approx(10.0), "spot": None}
    assert any("[machines] big = { spot_hour = ... }" in note for note in pricing.notes())


def test_dataflow_has_its_own_prices():
    """Cores, memory, accelerator and disk of a g2-standard-16, by the shipped file."""
    flags = ["--runner=DataflowRunner", "--machine_type=g2-standard-16", L4, "--region=us-central1"]
    cost = Pricing.of(flags, None, "1000", 1).cost(0, 1.0)
    prices = Pricing.of(flags, None, "1000", 1).prices
    accelerator = prices.dataflow_accelerators["nvidia-l4"]
    least = 16 * prices.dataflow.vcpu_hour + 64 * prices.dataflow.memory_gb_hour + accelerator
    assert [*cost.money] == ["on demand"]
    assert cost.money["on demand"] == pytest.approx(least * cost.hours, rel=0.02)  # and the disk


@pytest.mark.parametrize(("rates", "message"), [("fast", "--rate must be images per second"), ("1,2,3", "got 3")])
def test_rates_that_cannot_be_are_refused(rates, message):
    with pytest.raises(ValueError, match=message):
        Pricing.of([], None, rates, 2)
