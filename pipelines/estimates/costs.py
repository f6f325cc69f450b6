"""What a machine costs an hour, by the price file; what the file lacks is named, with the line to add."""

import dataclasses
from typing import Literal

from lit_precompute.pipelines.estimates.machines import Machine
from lit_precompute.pipelines.estimates.prices import HOURS_PER_MONTH, MachinePrice, Prices

Tariff = Literal["on demand", "spot", "FlexRS"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class HourlyCost:
    """What one machine costs an hour.

    Attributes:
      tariff: how it is rented.
      parts: what the cost is of, such as {"machine": 0.77, "disk": 0.001}.
      missing: what the price file lacks, in sentences; if anything, there is no sum.
    """

    tariff: Tariff
    parts: dict[str, float]
    missing: tuple[str, ...]

    @property
    def total(self) -> float | None:
        """The sum; None if a price is missing."""
        return None if self.missing else sum(self.parts.values())


def hourly_costs(machine: Machine, prices: Prices) -> list[HourlyCost]:
    """Returns what a machine costs an hour, for each way to rent it."""
    assert machine.type, "only a machine with a name has a price"
    if not machine.is_on_dataflow:
        return [_rented(machine, prices, tariff) for tariff in ("on demand", "spot")]
    # Beam has no flag for spot workers, and FlexRS takes no accelerators.
    tariffs: tuple[Tariff, ...] = ("on demand",) if machine.accelerator else ("on demand", "FlexRS")
    return [_on_dataflow(machine, prices, tariff) for tariff in tariffs]


class _Parts:
    """Adds up what is known, and notes what is not."""

    def __init__(self, path: str):
        self._path, self.known, self.missing = path, dict[str, float](), list[str]()

    def add(self, what: str, price: float | None, times: float, line: str) -> None:
        """Adds a price, or says which line the file lacks."""
        if price is not None:
            self.known[what] = self.known.get(what, 0.0) + price * times
        elif times:
            self.lack(line)

    def lack(self, line: str) -> None:
        """Says which line the file lacks."""
        self.missing.append(f"not in {self._path}: {line}; add it to a file of your own, --prices FILE")

    def cost(self, tariff: Tariff) -> HourlyCost:
        """Returns the sum."""
        return HourlyCost(tariff=tariff, parts=self.known, missing=tuple(self.missing))


def _on_dataflow(machine: Machine, prices: Prices, tariff: Tariff) -> HourlyCost:
    parts, charges = _Parts(prices.path), prices.dataflow
    flexible, shape = tariff == "FlexRS", prices.machines.get(machine.type, MachinePrice())
    vcpu_hour = charges.flexrs_vcpu_hour if flexible else charges.vcpu_hour
    gb_hour = charges.flexrs_memory_gb_hour if flexible else charges.memory_gb_hour
    prefix = "flexrs_" if flexible else ""
    if shape.vcpus is None or shape.memory_gb is None:
        parts.lack(f"[machines] {machine.type} = {{ vcpus = ..., memory_gb = ... }}")
    parts.add("machine", vcpu_hour, shape.vcpus or 0.0, f"[dataflow] {prefix}vcpu_hour = ...")
    parts.add("machine", gb_hour, shape.memory_gb or 0.0, f"[dataflow] {prefix}memory_gb_hour = ...")
    if machine.accelerator:
        price = prices.dataflow_accelerators.get(machine.accelerator)
        line = f"[dataflow.accelerators] {machine.accelerator} = ..."
        parts.add("accelerators", price, machine.num_accelerators, line)
    parts.add("disk", charges.disk_gb_hour, machine.disk_gb, "[dataflow] disk_gb_hour = ...")
    return parts.cost(tariff)


def _rented(machine: Machine, prices: Prices, tariff: Tariff) -> HourlyCost:
    parts, field = _Parts(prices.path), "spot_hour" if tariff == "spot" else "hour"
    found = prices.machines.get(machine.type, MachinePrice())
    line = f"[machines] {machine.type} = {{ {field} = ... }}"
    parts.add("machine", getattr(found, field), 1.0, line)
    if machine.accelerator and not found.includes_accelerators:
        accelerator = prices.accelerators.get(machine.accelerator)
        line = f"[accelerators] {machine.accelerator} = {{ {field} = ... }}"
        parts.add("accelerators", getattr(accelerator, field, None), machine.num_accelerators, line)
    month = prices.storage.disk_gb_month
    hour = None if month is None else month / HOURS_PER_MONTH
    parts.add("disk", hour, machine.disk_gb, "[storage] disk_gb_month = ...")
    return parts.cost(tariff)
