"""The estimate of a job: what the user wants to know, checked, and the answer."""

import dataclasses
from collections.abc import Callable, Sequence

from lit_precompute.pipelines.embed.options import EmbedOptions
from lit_precompute.pipelines.estimates.estimate import (
    READ_BYTES_PER_S,
    START_UP_S,
    Request,
    TowerEstimate,
    estimate_tower,
    missing_prices,
)
from lit_precompute.pipelines.estimates.prices import Prices
from lit_precompute.pipelines.estimates.source_estimate import SourceEstimate, estimate_source
from lit_precompute.pipelines.estimates.timing import Timing, time_rows
from lit_precompute.pipelines.estimates.wanted import Wanted
from lit_precompute.precompute.sources.files import Finder, Opener
from lit_precompute.schemas.storage import find_described, open_file
from lit_precompute.schemas.wording import counted
from lit_precompute.towers.loading import configured

_MIN_BATCHES = 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class SourceSummary:
    """The source, in figures; see `SourceEstimate`."""

    path: str
    format: str
    num_files: int
    num_rows: int
    is_exact: bool
    basis: str
    num_shards: int
    read_bytes: float | None
    image_bytes: float | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class JobEstimate:
    """What a job will be.

    Attributes:
      source: what is embedded.
      rows_per_shard: at most.
      vector_type: of the stored embeddings.
      machine: what embeds, in words.
      machine_type: its name; "" if no flag gives one.
      runner: the engine.
      graph_bytes: of the graph that is submitted; None for a job in this process, which submits none.
      graph_limit_bytes: what Dataflow takes.
      prices: the price file, with its date, currency and region.
      towers: the job with each tower.
      notes: what was assumed, what is missing, and what does not look right.
    """

    source: SourceSummary
    rows_per_shard: int
    vector_type: str
    machine: str
    machine_type: str
    runner: str
    graph_bytes: int
    graph_limit_bytes: int
    prices: dict[str, str]
    towers: tuple[TowerEstimate, ...]
    notes: tuple[str, ...]


def estimate_job(
    jobs: Sequence[EmbedOptions],
    wanted: Wanted,
    *,
    prices: Prices,
    beam_flags: Sequence[str] = (),
    report: Callable[[str, int, int], None] = lambda name, done, total: None,
    opener: Opener = open_file,
    find: Finder = find_described,
) -> JobEstimate:
    """Returns what a job will be.

    Args:
      jobs: the job with each tower; they differ in towers and outputs alone.
      wanted: what is to be estimated.
      prices: the price file.
      beam_flags: Beam's pipeline options.
      report: called with (tower, towers timed so far, towers) while a sample is timed.
      opener: opens a path.
      find: lists what a glob pattern matches.

    Raises:
      ValueError, OSError: the source, a tower or an option cannot be used.
    """
    from lit_precompute.pipelines.estimates.graph_size import LIMIT_BYTES, graph_bytes
    from lit_precompute.pipelines.estimates.machines import machine_of

    machine = machine_of(beam_flags)
    rates, options = wanted.rates(len(jobs)), jobs[0]
    for job in jobs:
        configured(job.tower)  # before the source is read
    request = Request(
        machine=machine,
        prices=prices,
        machines=wanted.machines or machine.most,
        hours=wanted.hours,
        tune_rate=wanted.tune_rate,
        epochs=wanted.epochs,
    )
    source = estimate_source(
        options.source,
        rows_per_unit=options.rows_per_shard,
        limit=options.limit,
        given_rows=wanted.rows,
        first_rows=wanted.sample,
        opener=opener,
        find=find,
    )
    found: list[TowerEstimate] = []
    for number, (job, rate) in enumerate(zip(jobs, rates, strict=True)):
        timing = None
        if wanted.sample:
            report(job.tower.name, number, len(jobs))
            timing = time_rows(source.rows[: wanted.sample], job, num_rows=source.num_rows)
        found.append(estimate_tower(job, source, request, rate=rate, timing=timing))
    num_units = source.num_units
    size = graph_bytes(jobs, source.source, source.files, num_units=num_units, looks_here=machine.is_here)
    notes = [*source.notes, *_notes(wanted, request, source, found)]
    if size > LIMIT_BYTES:
        notes.append(f"the graph is larger than Dataflow takes ({LIMIT_BYTES / 1e6:,.0f} MB): make fewer, larger files")
    return JobEstimate(
        source=_summary(options, source),
        rows_per_shard=options.rows_per_shard,
        vector_type=options.vector_type,
        machine=machine.words,
        machine_type=machine.type,
        runner=machine.runner,
        graph_bytes=size,
        graph_limit_bytes=LIMIT_BYTES,
        prices={name: getattr(prices, name) for name in ("path", "date", "currency", "region")},
        towers=tuple(found),
        notes=tuple(notes),
    )


def _summary(options: EmbedOptions, source: SourceEstimate) -> SourceSummary:
    return SourceSummary(
        path=options.source.path,
        format=source.format,
        num_files=len(source.files),
        num_rows=source.num_rows,
        is_exact=source.is_exact,
        basis=source.basis,
        num_shards=source.num_units,
        read_bytes=source.read_bytes,
        image_bytes=source.image_bytes,
    )


def _notes(wanted: Wanted, request: Request, source: SourceEstimate, towers: Sequence[TowerEstimate]) -> list[str]:
    machine, prices = request.machine, request.prices
    notes: list[str] = []
    if not (wanted.sample or wanted.rate):
        notes.append("hours and dollars need a rate: --sample 256 times rows here, --rate gives images/s of a machine")
        return notes
    for tower in towers:
        if tower.timing is not None:
            notes += _of_timing(tower.name, tower.timing, machine.is_here)
    if not machine.is_here:
        notes.append(f"assumed: {START_UP_S / 60:.0f} minutes until a machine embeds")
    most = request.machines
    if most is not None and most > source.num_units:
        notes.append(
            f"{most:,} machines would have only {counted(source.num_units, 'shard')}: a smaller --rows-per-shard"
        )
    if machine.type:
        notes += missing_prices(request)
        notes.append(
            f"prices: {prices.path} of {prices.date}, {prices.currency} in {prices.region}; --prices FILE for others"
        )
        if machine.region and machine.region != prices.region:
            notes.append(f"the job runs in {machine.region}, whose prices may differ from those of {prices.region}")
    elif not machine.is_here:
        notes.append("dollars need a machine: --machine_type=...")
    side = "" if request.tune_rate else ", the image side alone; --tune-rate N counts training's N pairs/s, too"
    notes.append(f"epochs: stored rows are read at {READ_BYTES_PER_S / 1e6:.0f} MB/s (assumed){side}")
    if len(towers) > 1:
        notes.append("each tower is a job of its own here; one job with --towers reads and decodes once for all")
    return notes


def _of_timing(name: str, timing: Timing, is_here: bool) -> list[str]:
    where = f"{timing.device}, {counted(timing.num_cores, 'core')}"
    of = f"{counted(timing.num_rows, 'row')} in {timing.seconds:.1f} s on {where}"
    notes = [
        f"{name}: measured here: {of}, batch {timing.batch_size}; the tower alone {timing.tower_rate:,.0f}, decoding "
        f"alone {timing.decoding_rate:,.0f} rows/s, so that {timing.limit} is the limit"
    ]
    if not is_here:
        notes.append(f"{name}: the job's machines are other ones: --rate gives theirs")
    if timing.num_failures:
        notes.append(f"{name}: {counted(timing.num_failures, 'row')} of these would fail")
    if timing.num_rows < _MIN_BATCHES * timing.batch_size:
        notes.append(f"{name}: few rows for its batches: --sample {_MIN_BATCHES * timing.batch_size} would tell more")
    return notes
