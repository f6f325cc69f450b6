"""The embedding job as a Beam graph.

    ranges of files -> Reshuffle -> LookIntoFiles -> StorePlan     (only where the launcher could not look itself)
    ranges of units -> Reshuffle -> EmbedUnit     -> results       (in groups, if failures are limited)
    finished units  -> Reshuffle -> ReadResults   -> results
    all results     -> Publish

Promises: only numbers, looks, hashes and results pass through shuffles, never embeddings; the graph's size does not
depend on the source's; it is the same on every runner.
"""

import collections
from collections.abc import Iterable, Iterator, Mapping, Sequence

import apache_beam as beam
from apache_beam.pvalue import AsSingleton, PCollection

from lit_precompute.pipelines.embed.directory.job_directory import JobDirectory
from lit_precompute.pipelines.embed.directory.results import Result
from lit_precompute.pipelines.embed.errors import located
from lit_precompute.pipelines.embed.launch_options import LaunchOptions
from lit_precompute.pipelines.embed.planning.groups import Group, count_groups, group_units
from lit_precompute.pipelines.embed.planning.keys import DealHashes
from lit_precompute.pipelines.embed.planning.look import FILES_PER_ELEMENT, FindRepeats, LookIntoFiles, StorePlan
from lit_precompute.pipelines.embed.workers.publish import Publish
from lit_precompute.pipelines.embed.workers.unit import EmbedUnit

# Markers that one worker reads at a time, on many connections.
_MARKERS_PER_ELEMENT = 500


class ReadResults(beam.DoFn):
    """Takes (dataset, units that earlier launches have finished there); yields their results."""

    def __init__(self, launch: LaunchOptions):
        """Takes the launch."""
        self._launch = launch

    def process(self, element: tuple[int, Sequence[int]]) -> Iterator[bytes]:
        """Reads the markers of some shards."""
        dataset, units = element
        output = self._launch.datasets[dataset].output
        with located("reading what earlier launches have finished", output):
            for marker in JobDirectory(output).markers.read_many(units):
                yield Result.finished(marker, dataset).to_bytes()


def build_planned(
    pipeline: beam.Pipeline, launch: LaunchOptions, num_units: int, finished: Sequence[set[int]]
) -> PCollection[int]:
    """Adds the graph of a job whose plan is stored; returns what `Publish` yields.

    Args:
      pipeline: the pipeline.
      launch: the launch.
      num_units: units of the plan.
      finished: for each dataset, those that have a marker.
    """
    everywhere = set.intersection(*finished)
    missing = [unit for unit in range(num_units) if unit not in everywhere]
    groups = list(group_units(missing, is_limited=launch.embed.max_failures is not None))
    num_groups = 1 + max((group.number for group in groups), default=0)
    return _embed(pipeline, launch, pipeline | "Units" >> beam.Create(groups), num_groups, everywhere)


def build(pipeline: beam.Pipeline, launch: LaunchOptions, listing: str, num_files: int) -> PCollection[int]:
    """Adds the graph of a job whose workers look into the files; returns what `Publish` yields.

    Args:
      pipeline: the pipeline.
      launch: the launch.
      listing: name of the list of files, which the launcher has stored.
      num_files: its length.
    """
    num_groups = count_groups(is_limited=launch.embed.max_failures is not None)
    return _embed(pipeline, launch, look(pipeline, launch, listing, num_files), num_groups, finished=set())


def look(pipeline: beam.Pipeline, launch: LaunchOptions, listing: str, num_files: int) -> PCollection[Group]:
    """Adds what looks into the files and stores the plan; returns the groups of its units."""
    starts = range(0, num_files, FILES_PER_ELEMENT)
    found = (
        pipeline
        | "Files" >> beam.Create([(start, min(start + FILES_PER_ELEMENT, num_files)) for start in starts])
        | "SpreadFiles" >> beam.Reshuffle()
        | "Look" >> beam.ParDo(LookIntoFiles(launch, listing, num_files)).with_outputs("hashes", main="looks")
    )
    repeats = found["hashes"] | "ByBucket" >> beam.GroupByKey() | "FindRepeats" >> beam.ParDo(FindRepeats())
    together = {
        "looks": found["looks"] | "AllLooks" >> beam.Map(lambda look: (None, look)),
        "repeats": repeats | "AllRepeats" >> beam.Map(lambda repeat: (None, repeat)),
    }
    return together | "Together" >> beam.CoGroupByKey() | "StorePlan" >> beam.ParDo(StorePlan(launch, listing))


def _embed(
    pipeline: beam.Pipeline,
    launch: LaunchOptions,
    groups: PCollection[Group],
    num_groups: int,
    finished: set[int],
) -> PCollection[int]:
    """Adds what embeds groups of units, those not finished in every dataset, and publishes the datasets."""
    numbers, starts = sorted(finished), range(0, len(finished), _MARKERS_PER_ELEMENT)
    parts = [
        (number, numbers[start : start + _MARKERS_PER_ELEMENT])
        for number in range(len(launch.datasets))
        for start in starts
    ]
    results = [
        pipeline
        | "Finished" >> beam.Create(parts)
        | "SpreadFinished" >> beam.Reshuffle()
        | "ReadResults" >> beam.ParDo(ReadResults(launch))
    ]
    is_limited = launch.embed.max_failures is not None
    for number in range(num_groups):
        units = (
            groups
            | f"Group{number}" >> beam.Filter(lambda group, number=number: group.number == number)
            | f"Numbers{number}" >> beam.FlatMap(lambda group: range(group.start, group.stop))
            | f"Spread{number}" >> beam.Reshuffle()
        )
        failures = [_count_failures(number, results)] if is_limited else []
        results.append(units | f"Embed{number}" >> beam.ParDo(EmbedUnit(launch), *failures))
    all_results = results | "Results" >> beam.Flatten()
    repeats = (
        all_results
        | "DealHashes" >> beam.ParDo(DealHashes(launch))
        | "HashesByBucket" >> beam.GroupByKey()
        | "FindRepeatedKeys" >> beam.ParDo(FindRepeats())
    )
    together = {
        "results": all_results | "AllResults" >> beam.Map(lambda result: (None, result)),
        "repeats": repeats | "AllRepeatedKeys" >> beam.Map(lambda repeat: (None, repeat)),
    }
    return together | "AtOnce" >> beam.CoGroupByKey() | "Publish" >> beam.ParDo(Publish(launch))


def _count_failures(number: int, results: Sequence[PCollection[bytes]]) -> AsSingleton:
    """Returns how many rows of each dataset failed before a group, as a side input: the group waits for it."""
    total = (
        tuple(results)
        | f"Before{number}" >> beam.Flatten()
        | f"Failures{number}" >> beam.Map(_failures_of)
        | f"Sum{number}" >> beam.CombineGlobally(_add_up)
    )
    return AsSingleton(total)


def _failures_of(data: bytes) -> dict[int, int]:
    result = Result.from_bytes(data)
    return {result.dataset: result.num_failures}


def _add_up(counts: Iterable[Mapping[int, int]]) -> dict[int, int]:
    total: collections.Counter[int] = collections.Counter()
    for each in counts:
        total.update(each)
    return dict(total)
