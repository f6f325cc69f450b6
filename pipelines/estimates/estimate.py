"""One job with each of several towers, side by side: what it writes, how long it takes, on what, and for how much.

Promises: where a figure has no ground there is none: no rate, no hours; no price, no dollars.
"""

import dataclasses
import math
from collections.abc import Sequence

from lit_precompute.pipelines.embed.options import EmbedOptions
from lit_precompute.pipelines.estimates.costs import Tariff, hourly_costs
from lit_precompute.pipelines.estimates.epochs import ImageSeconds
from lit_precompute.pipelines.estimates.machines import Machine
from lit_precompute.pipelines.estimates.prices import Prices
from lit_precompute.pipelines.estimates.row_bytes import dataset_bytes, vector_bytes, words_bytes
from lit_precompute.pipelines.estimates.source_estimate import SourceEstimate
from lit_precompute.pipelines.estimates.timing import Timing
from lit_precompute.towers.loading import configured

# Seconds until a new machine embeds: it starts, installs what the job stages or pulls its image, and loads the tower.
START_UP_S = 180.0
# Bytes a second at which a trainer reads stored rows from a store.
READ_BYTES_PER_S = 100e6
# Bytes that Dataflow shuffles: a hash of each key, and what is known of each file and each shard.
_KEY_BYTES, _RECORD_BYTES = 8, 1000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """What else than the job itself decides its time and its price.

    Attributes:
      machine: the job's machines, which are alike.
      prices: the price file.
      machines: how many there are; None: as many as `hours` needs, or one.
      hours: in which the job should end.
      tune_rate: pairs per second of training on stored embeddings, on such a machine.
      epochs: for which the speed-up is wanted.
    """

    machine: Machine
    prices: Prices
    machines: int | None = None
    hours: float | None = None
    tune_rate: float | None = None
    epochs: tuple[int, ...] = (1, 10, 100)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cost:
    """What the whole job costs in one tariff; `total` is None if a price is missing."""

    tariff: Tariff
    total: float | None
    parts: dict[str, float]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Duration:
    """How long a job takes.

    Attributes:
      images_per_second: of one machine; each view of an image counts.
      set_up_s: seconds until a machine embeds.
      shard_s: seconds that a shard takes, if it has the machine to itself.
      machines: how many there are.
      hours: until the job ends.
      machine_hours: of all machines together.
    """

    images_per_second: float
    set_up_s: float
    shard_s: float
    machines: int
    hours: float
    machine_hours: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Epochs:
    """When precomputing pays for itself.

    Attributes:
      pays_after: epochs from which on it is cheaper; None if never.
      speed_ups: how many times as long recomputing takes, by number of epochs.
    """

    pays_after: float | None
    speed_ups: dict[int, float]


@dataclasses.dataclass(frozen=True, kw_only=True)
class TowerEstimate:
    """The job with one tower.

    Attributes:
      name: of the tower.
      width: of its embeddings.
      num_parameters: of it.
      resolution: of its images.
      vector_bytes: that the job writes for embeddings.
      words_bytes: that it writes for texts and labels.
      timing: what was measured here; None if the rate was given, or is not known.
      duration: None without a rate.
      costs: in each tariff; none without a rate or a machine type.
      stored_month: what the dataset costs a month in a bucket; None if the price is missing.
      epochs: None without a rate.
    """

    name: str
    width: int
    num_parameters: int
    resolution: int
    vector_bytes: float
    words_bytes: float
    timing: Timing | None
    duration: Duration | None
    costs: tuple[Cost, ...]
    stored_month: float | None
    epochs: Epochs | None


def estimate_tower(
    options: EmbedOptions,
    source: SourceEstimate,
    request: Request,
    *,
    rate: float | None = None,
    timing: Timing | None = None,
) -> TowerEstimate:
    """Returns the job with one tower.

    Args:
      options: the tower, and how it embeds.
      source: what is embedded.
      request: machines and prices.
      rate: images per second of one machine, if given.
      timing: what was measured instead.

    Raises:
      ValueError: no such tower, or the time that is wanted is too short for any number of machines.
    """
    from lit_precompute.towers.catalogue import describe

    name, entry = configured(options.tower)
    described = describe(name, entry)
    each = vector_bytes(source.rows, entry.config.output_width, options.vector_type)
    vectors = _written(source, [each] * (1 + options.views))
    words = _written(source, words_bytes(source.rows, source.tables))
    rate = rate if timing is None else timing.rate * (1 + options.views)
    duration = None if rate is None else _duration(rate, source, options, request, timing)
    month = request.prices.storage.bucket_gb_month
    return TowerEstimate(
        name=name,
        width=entry.config.output_width,
        num_parameters=described.num_parameters,
        resolution=entry.config.resolution,
        vector_bytes=vectors,
        words_bytes=words,
        timing=timing,
        duration=duration,
        costs=() if duration is None or not request.machine.type else _costs(duration, source, request),
        stored_month=None if month is None else (vectors + words) / 1e9 * month,
        epochs=None
        if duration is None
        else _epochs(duration, vectors / source.num_rows, words / source.num_rows, options, request),
    )


def _written(source: SourceEstimate, row_bytes: Sequence[float]) -> float:
    """Returns the bytes of tables of so many bytes a row."""
    return sum(dataset_bytes(each, num_rows=source.num_rows, num_shards=source.num_units) for each in row_bytes)


def _duration(
    rate: float, source: SourceEstimate, options: EmbedOptions, request: Request, timing: Timing | None
) -> Duration:
    set_up_s = (0.0 if request.machine.is_here else START_UP_S) + (timing.set_up_s if timing else 0.0)
    images = source.num_rows * (1 + options.views)
    work_h, set_up_h = images / rate / 3600, set_up_s / 3600
    machines = request.machines or 1
    if request.hours is not None:
        if request.hours <= set_up_h:
            raise ValueError(
                f"--hours {request.hours:g}: a machine needs {set_up_s / 60:.1f} minutes until it embeds; give more"
            )
        machines = max(1, math.ceil(work_h / (request.hours - set_up_h)))
    machines = min(machines, source.num_units)  # a shard is the work of one machine
    return Duration(
        images_per_second=rate,
        set_up_s=set_up_s,
        shard_s=images / source.num_units / rate,
        machines=machines,
        hours=work_h / machines + set_up_h,
        machine_hours=work_h + machines * set_up_h,
    )


def _costs(duration: Duration, source: SourceEstimate, request: Request) -> tuple[Cost, ...]:
    costs: list[Cost] = []
    for hourly in hourly_costs(request.machine, request.prices):
        parts = {what: price * duration.machine_hours for what, price in hourly.parts.items()}
        if request.machine.is_on_dataflow and (price := request.prices.dataflow.shuffle_gb) is not None:
            parts["shuffle"] = price * _shuffled_bytes(source) / 1e9
        costs.append(Cost(tariff=hourly.tariff, total=None if hourly.missing else sum(parts.values()), parts=parts))
    return tuple(costs)


def _shuffled_bytes(source: SourceEstimate) -> float:
    return source.num_rows * _KEY_BYTES + (len(source.files) + source.num_units) * _RECORD_BYTES


def _epochs(duration: Duration, vectors: float, words: float, options: EmbedOptions, request: Request) -> Epochs:
    """Returns when it pays.

    Args:
      duration: of the job.
      vectors: bytes of a row in all tables of embeddings; an epoch reads one of them.
      words: bytes of its texts and labels.
      options: the job.
      request: what is wanted.
    """
    views = 1 + options.views
    seconds = ImageSeconds(
        image=1 / duration.images_per_second,
        row=(vectors / views + words) / READ_BYTES_PER_S,
        text=1 / request.tune_rate if request.tune_rate else 0.0,
        views=views,
    )
    return Epochs(
        pays_after=seconds.pays_after(), speed_ups={number: seconds.speed_up(number) for number in request.epochs}
    )


def missing_prices(request: Request) -> Sequence[str]:
    """Returns what the price file lacks for the machine, each once."""
    if not request.machine.type:
        return ()
    costs = hourly_costs(request.machine, request.prices)
    return list(dict.fromkeys(line for cost in costs for line in cost.missing))
