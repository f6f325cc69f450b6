"""What a user wants to know of a job before it is run: options of `lit-embed plan`. Imports nothing heavy."""

import dataclasses

from lit_precompute.precompute.options import check_count


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is to be estimated.

    Attributes:
      sample: Time this many rows here: really read, decoded and embedded, by towers with random weights.
      rate: Images per second of one machine, views counted, instead of --sample: one number, or one a tower: 900,310.
      machines: How many machines; by default as --max_num_workers says, or 1.
      hours: In how many hours the job should end, instead of --machines.
      rows: Rows of the source, where they are known and cannot be estimated.
      tune_rate: Pairs per second of lit-tune on such a machine; without it, epochs are compared by their image side
        alone.
      epochs: After how many epochs to show the speed-up of precomputing.
    """

    sample: int = 0
    rate: str = ""
    machines: int | None = None
    hours: float | None = None
    rows: int | None = None
    tune_rate: float | None = None
    epochs: tuple[int, ...] = (1, 10, 100)

    def __post_init__(self):
        for flag, value in (("--machines", self.machines), ("--rows", self.rows)):
            check_count(flag, value, most=10**15)
        for flag, value in (("--hours", self.hours), ("--tune-rate", self.tune_rate)):
            if value is not None and not 0 < value < float("inf"):
                raise ValueError(f"{flag} must be > 0, got {value:g}")
        if self.sample < 0:
            raise ValueError(f"--sample must be >= 0, got {self.sample}")
        if self.sample and self.rate:
            raise ValueError("--sample and --rate are both given: time a sample, or give the rate")
        if self.machines is not None and self.hours is not None:
            raise ValueError("--machines and --hours are both given: one follows from the other")
        if not self.epochs or min(self.epochs) < 1:
            raise ValueError(f"--epochs must be >= 1, got {' '.join(map(str, self.epochs)) or 'none'}")

    def rates(self, num_towers: int) -> list[float | None]:
        """Returns the given rate of each tower; None if there is none.

        Raises:
          ValueError: it is no number above 0, or there are neither one nor as many as towers.
        """
        if not self.rate:
            return [None] * num_towers
        try:
            rates = [float(text) for text in self.rate.split(",")]
        except ValueError:
            rates = [0.0]
        if not all(0 < rate < float("inf") for rate in rates):
            raise ValueError(f"--rate must be images per second, such as 900 or 900,310, got {self.rate!r}")
        if len(rates) not in (1, num_towers):
            raise ValueError(f"--rate: one number, or one for each of {num_towers} towers, got {len(rates)}")
        return [*(rates if len(rates) == num_towers else rates * num_towers)]
