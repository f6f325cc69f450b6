"""The price file: the shipped one, and what is said of a wrong one."""

import pytest

from lit_precompute.pipelines.engines.accelerators import check_accelerator, requested_accelerator
from lit_precompute.pipelines.estimates.prices import SHIPPED, read_prices

GOOD = 'date = 2026-01-02\ncurrency = "EUR"\nregion = "europe-west4"\n'


def _written(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return str(path)


def test_the_shipped_file_is_dated_and_names_its_sources():
    prices = read_prices()
    assert (prices.currency, prices.region, len(prices.date)) == ("USD", "us-central1", len("2026-11-28"))
    assert prices.dataflow.vcpu_hour == 0.056
    assert SHIPPED.read_text().count("Source: ") == 4


def test_beams_own_benchmarks_have_the_same_figures():
    from apache_beam.testing.load_tests import dataflow_cost_consts as beam

    prices = read_prices()
    assert prices.dataflow.vcpu_hour == beam.VCPU_PER_HR_BATCH
    assert prices.dataflow.memory_gb_hour == beam.MEM_PER_GB_HR_BATCH
    assert prices.dataflow.disk_gb_hour == beam.PD_PER_GB_HR
    assert prices.dataflow.shuffle_gb == beam.SHUFFLE_PER_GB_BATCH
    each = {"nvidia-l4": beam.L4_PER_GPU_PER_HOUR, "nvidia-a100-80gb": beam.A100_80GB_PER_GPU_PER_HOUR}
    assert {name: prices.dataflow_accelerators[name] for name in each} == pytest.approx(each, rel=1e-3)


@pytest.mark.parametrize("machine", ["g2-standard-16", "a2-highgpu-1g", "a2-ultragpu-1g", "n1-standard-16"])
def test_accelerators_have_the_names_that_dataflow_takes(machine):
    kind = {"g2": "nvidia-l4", "a2-h": "nvidia-tesla-a100", "a2-u": "nvidia-a100-80gb", "n1": "nvidia-tesla-t4"}
    name = next(value for prefix, value in kind.items() if machine.startswith(prefix))
    option = f"worker_accelerator=type:{name};count:1;install-nvidia-driver"
    check_accelerator(requested_accelerator([f"--dataflow_service_options={option}"]), machine)
    prices = read_prices()
    assert name in prices.dataflow_accelerators
    assert prices.machines[machine].vcpus == int(machine.rpartition("-")[2].removesuffix("g")) * (
        12 if machine.startswith("a2") else 1
    )


def test_prices_of_a_family_go_by_cores():
    machines = read_prices().machines
    for family in ("n2-standard-", "g2-standard-", "a2-highgpu-", "a2-ultragpu-"):
        each = [one for name, one in machines.items() if name.startswith(family)]
        assert len({round(one.hour / one.vcpus, 4) for one in each}) == 1
        assert all(one.spot_hour < one.hour for one in each)


def test_what_is_left_out_is_not_known(tmp_path):
    prices = read_prices(_written(tmp_path, GOOD))
    assert (prices.date, prices.machines, prices.dataflow.vcpu_hour) == ("2026-01-02", {}, None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("date = ?\n", r"mine.toml: not a TOML file: .*\(at line 1, column 8\)"),
        ('currency = "USD"', "date must be a day such as 2026-11-28, without quotes, got None"),
        (GOOD.replace("2026-01-02", '"today"'), "date must be a day such as .*, got 'today'"),
        (GOOD.replace('"EUR"', "7"), "currency must be a string, got 7"),
        (GOOD + "[machine]\n", "machine is not known here; there are date, currency, region, dataflow"),
        (GOOD + "[machines]\nx = 3\n", "machines.x must be a table of prices, got 3"),
        (GOOD + "[machines]\nx = { hours = 1 }\n", "machines.x.hours is not an option; choose from hour"),
        (GOOD + "[machines]\nx = { hour = -1 }\n", "machines.x.hour must be >= 0, got -1.0"),
        (GOOD + '[machines]\nx = { hour = "1" }\n', "machines.x.hour must be of type float, got '1'"),
        (GOOD + "[dataflow]\nvcpu_hour = nan\n", "dataflow.vcpu_hour must be >= 0, got nan"),
        (GOOD + "[dataflow.accelerators]\nl4 = true\n", "dataflow.accelerators.l4 must be a price >= 0, got True"),
    ],
)
def test_a_wrong_file_is_an_error_with_field_rule_and_value(tmp_path, text, message):
    with pytest.raises(ValueError, match=rf"mine.toml: .*{message.removeprefix('mine.toml: ')}") as error:
        read_prices(_written(tmp_path, text))
    assert str(error.value).endswith("; lit-embed plan --print-prices prints a file to copy from")
