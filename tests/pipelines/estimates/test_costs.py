"""What a machine costs an hour, against sums by hand."""

import dataclasses

import pytest

from lit_precompute.pipelines.estimates.costs import hourly_costs
from lit_precompute.pipelines.estimates.machines import machine_of
from lit_precompute.pipelines.estimates.prices import (
    AcceleratorPrice,
    DataflowPrice,
    MachinePrice,
    Prices,
    StoragePrice,
)

PRICES = Prices(
    path="mine.toml",
    date="2026-01-02",
    currency="EUR",
    region="r",
    dataflow=DataflowPrice(vcpu_hour=0.5, memory_gb_hour=0.25, flexrs_vcpu_hour=0.125, disk_gb_hour=0.01),
    dataflow_accelerators={"nvidia-l4": 3.0},
    machines={
        "n2-standard-4": MachinePrice(vcpus=4, memory_gb=16, hour=2.0, spot_hour=1.0),
        "g2-standard-4": MachinePrice(vcpus=4, memory_gb=16, hour=2.0),
        "ct6e-standard-4t": MachinePrice(hour=10.0, spot_hour=5.0, includes_accelerators=True),
    },
    accelerators={"nvidia-l4": AcceleratorPrice(hour=4.0, spot_hour=1.5)},
    storage=StoragePrice(disk_gb_month=7.3),
)
L4 = "--dataflow_service_options=worker_accelerator=type:nvidia-l4;count:2;install-nvidia-driver"


def _costs(*flags, prices=PRICES):
    return {cost.tariff: cost for cost in hourly_costs(machine_of(flags), prices)}


def test_dataflow_charges_for_cores_memory_and_disk():
    found = _costs("--runner=DataflowRunner", "--machine_type=n2-standard-4")
    assert found["on demand"].parts == {"machine": 4 * 0.5 + 16 * 0.25, "disk": pytest.approx(25 * 0.01)}
    assert found["on demand"].total == pytest.approx(6.25)
    assert found["FlexRS"].total is None
    (missing,) = found["FlexRS"].missing
    assert missing.startswith("not in mine.toml: [dataflow] flexrs_memory_gb_hour = ...; add it to a file of your own")


def test_accelerators_on_dataflow_have_no_cheaper_tariff():
    found = _costs("--runner=DataflowRunner", "--machine_type=g2-standard-4", L4, "--disk_size_gb=100")
    assert found["on demand"].parts == {"machine": 6.0, "accelerators": 6.0, "disk": pytest.approx(1.0)}
    assert list(found) == ["on demand"]


def test_machines_of_ones_own_have_spot_prices():
    found = _costs("--machine_type=n2-standard-4", "--disk_size_gb=100")
    assert found["on demand"].parts == {"machine": 2.0, "disk": pytest.approx(1.0)}  # 7.3 a month of 730 hours
    assert found["spot"].total == pytest.approx(2.0)


def test_an_accelerator_is_paid_once():
    tpu = "--dataflow_service_options=worker_accelerator=type:tpu-v6e-slice;topology:2x2"
    assert _costs("--machine_type=ct6e-standard-4t", tpu)["spot"].parts["machine"] == 5.0
    found = _costs("--machine_type=g2-standard-4", L4)
    assert found["on demand"].parts["accelerators"] == 8.0
    assert found["spot"].missing == (
        "not in mine.toml: [machines] g2-standard-4 = { spot_hour = ... }; add it to a file of your own, --prices FILE",
    )


def test_a_machine_that_the_file_does_not_know_has_no_price():
    found = _costs("--runner=DataflowRunner", "--machine_type=m9-mega-1")["on demand"]
    assert (found.total, found.missing) == (
        None,
        (
            "not in mine.toml: [machines] m9-mega-1 = { vcpus = ..., memory_gb = ... }; add it to a file of your own, "
            "--prices FILE",
        ),
    )
    empty = dataclasses.replace(PRICES, dataflow=DataflowPrice(), dataflow_accelerators={})
    found = _costs("--runner=DataflowRunner", "--machine_type=g2-standard-4", L4, prices=empty)["on demand"]
    assert [line.partition(": ")[2].partition(" =")[0] for line in found.missing] == [
        "[dataflow] vcpu_hour",
        "[dataflow] memory_gb_hour",
        "[dataflow.accelerators] nvidia-l4",
        "[dataflow] disk_gb_hour",
    ]
