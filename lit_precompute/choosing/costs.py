"""What a million rows cost with a tower: hours of a machine, and dollars where a machine type is named."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from lit_precompute.pipelines.estimates.costs import hourly_costs
from lit_precompute.pipelines.estimates.machines import Machine, machine_of
from lit_precompute.pipelines.estimates.prices import Prices, read_prices
from lit_precompute.pipelines.estimates.wanted import Wanted

_ROWS = 1_000_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pricing:
    """Whose hours are counted, and what they cost.

    Attributes:
      machine: the machine.
      prices: the price file.
      rates: images per second of such a machine, by tower; None: as measured here.
    """

    machine: Machine
    prices: Prices
    rates: Sequence[float | None]

    @classmethod
    def of(cls, beam_flags: Sequence[str], prices: str | None, rates: str, num_towers: int) -> Pricing:
        """Returns the pricing.

        Args:
          beam_flags: which name the machine, as those of the job will.
          prices: a price file; None: the one that is shipped.
          rates: one for all towers, or one for each, separated by commas; "": as measured.
          num_towers: how many there are.

        Raises:
          ValueError, OSError: flags, rates or the file cannot be used.
        """
        found = Wanted(rate=rates).rates(num_towers)
        return cls(machine=machine_of(beam_flags), prices=read_prices(prices), rates=found)

    def cost(self, place: int, measured_rate: float) -> MillionRows:
        """Returns what a million rows cost with the tower at a place, which embeds so many images a second here."""
        hours = _ROWS / (self.rates[place] or measured_rate) / 3600
        hourly = hourly_costs(self.machine, self.prices) if self.machine.type else []
        dollars = {each.tariff: None if each.total is None else each.total * hours for each in hourly}
        return MillionRows(hours=hours, money=dict(dollars))

    def notes(self) -> list[str]:
        """Returns what was assumed, and what is missing."""
        machine, prices = self.machine, self.prices
        if not machine.type:
            return ["dollars need a machine: --machine_type=..., as for `lit-embed plan`"]
        notes = [line for cost in hourly_costs(machine, prices) for line in cost.missing]
        notes.append(f"prices: {prices.path} of {prices.date}, {prices.currency} in {prices.region}, {machine.words}")
        if machine.region and machine.region != prices.region:
            notes.append(f"the job runs in {machine.region}, whose prices may differ from those of {prices.region}")
        if None in self.rates:
            notes.append(
                f"costs are of {machine.words} if it is as fast as this machine; --rate gives its images/s, by tower"
            )
        return list(dict.fromkeys(notes))


@dataclasses.dataclass(frozen=True, kw_only=True)
class MillionRows:
    """What a million rows cost.

    Attributes:
      hours: of one machine.
      money: in the price file's currency, by tariff; None where a price is missing; empty without a machine type.
    """

    hours: float
    money: dict[str, float | None]

    @property
    def compared(self) -> float:
        """What towers are compared by: money in the first tariff that has a price, or hours."""
        return next((value for value in self.money.values() if value is not None), self.hours)
