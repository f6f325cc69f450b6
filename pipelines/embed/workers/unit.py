"""The work of one unit: embeds its rows and writes its shard, in each dataset. This is what Beam's workers run."""

import contextlib
import itertools
from collections.abc import Iterator, Mapping, Sequence

import apache_beam as beam

from lit_precompute.pipelines.embed.directory.markers import ShardMarker
from lit_precompute.pipelines.embed.directory.results import Result
from lit_precompute.pipelines.embed.errors import located
from lit_precompute.pipelines.embed.job import Job
from lit_precompute.pipelines.embed.launch_options import LaunchOptions
from lit_precompute.pipelines.embed.reporting.recorder import Recorder, count_leftovers
from lit_precompute.pipelines.embed.workers.process_registry import PROCESS
from lit_precompute.pipelines.embed.workers.unit_shard import UnitShard
from lit_precompute.pipelines.embed.workers.worker_dataset import WorkerDataset
from lit_precompute.precompute.embedding import embed_examples
from lit_precompute.precompute.sources.planning import Uniqueness
from lit_precompute.precompute.sources.source import Example, WorkUnit

_NO_FAILURES: Mapping[int, int] = {}


class StopRequestedError(RuntimeError):
    """The launcher requested a stop; finished shards are kept."""


class EmbedUnit(beam.DoFn):
    """Takes numbers of units; yields what became of each, once a shard's files and its marker are in the output.

    Where several towers embed the same rows, those whose shard is missing do it in one pass over the images.
    """

    def __init__(self, launch: LaunchOptions):
        """Takes what is pickled for the workers; the plan, the towers and the batch sizes are read there."""
        self._launch = launch

    def setup(self) -> None:
        """Opens the outputs; everything else waits for the first unit, when the plan is there for sure."""
        self._datasets = [WorkerDataset(self._launch, number) for number in range(len(self._launch.datasets))]
        PROCESS.make_room(len(self._datasets))
        self._progress = PROCESS.progress(self._launch.embed.output)

    def process(self, element: int, num_failures: Mapping[int, int] = _NO_FAILURES) -> Iterator[bytes]:
        """Embeds one unit.

        Args:
          element: its number.
          num_failures: for each dataset, rows that failed in the groups of units before this one; none if there is no
            limit.
        """
        with located(f"unit {element}", self._launch.embed.output):
            datasets = [dataset for dataset in self._datasets if dataset.is_open()]
            try:
                results = self._attempt(element, datasets, num_failures)
            except Exception:
                overtaken = [dataset for dataset in datasets if dataset.directory.is_published()]
                if not overtaken:
                    raise
                for dataset in overtaken:  # a faster launcher on the same output has removed what was needed
                    dataset.directory.sweep()
                results = list(self.process(element, num_failures))
        yield from results

    def _attempt(self, element: int, datasets: Sequence[WorkerDataset], num_failures: Mapping[int, int]) -> list[bytes]:
        """Returns what became of a unit in each dataset."""
        output, recorder = self._launch.embed.output, Recorder(self._launch.name)
        with located("starting a worker", output), recorder.times.phases.during("starting"):
            for dataset in datasets:
                dataset.settle()
        datasets = [each for each in datasets if not each.is_limit_exceeded(num_failures.get(each.number, 0))]
        if not datasets:
            return []
        unit = datasets[0].job.plan.units[element]
        with located(_describe(unit, datasets[0].job), output):
            begun = {dataset: dataset.begin(element) for dataset in datasets}
            results = [result for result in begun.values() if result]
            todo = [dataset for dataset, result in begun.items() if not result]
            try:
                with self._progress.unit():
                    results += self._embed(unit, todo, recorder)
            except Exception as error:
                for dataset in todo:
                    dataset.end_badly(error, is_stop_requested=self._progress.is_stop_requested)
                raise
        count_leftovers()
        return [result.to_bytes() for result in results]

    def _embed(self, unit: WorkUnit, datasets: Sequence[WorkerDataset], recorder: Recorder) -> list[Result]:
        """Writes the unit's shards and their markers."""
        if not datasets:
            return []
        markers = self._write_shards(unit, datasets, recorder)
        for dataset, marker in markers.items():
            dataset.mark(marker)
        return [Result.finished(marker, dataset.number) for dataset, marker in markers.items()]

    def _write_shards(
        self, unit: WorkUnit, datasets: Sequence[WorkerDataset], recorder: Recorder
    ) -> dict[WorkerDataset, ShardMarker]:
        self._check_stop()
        phases, decoding = recorder.times.phases, self._launch.embed.decoding
        with phases.during("starting"):
            preparer = PROCESS.preparer([each.use() for each in self._datasets if each.is_settled], decoding)
            uses, keys = [dataset.use() for dataset in datasets], list[str]()
            for use in uses:
                use.embedder.compile()
        with contextlib.ExitStack() as stack:
            shards = [
                stack.enter_context(UnitShard(each.directory, each.job, unit.number, PROCESS.environment()))
                for each in datasets
            ]
            with self._launch.files.unchanged([part.path for part in unit.files]):
                examples = self._examples(datasets[0].job, unit, keys)
                for number, batch in embed_examples(examples, uses, preparer, recorder.times):
                    self._check_stop()
                    with phases.during("writing"):
                        shards[number].append(batch)
                    self._progress.add(num_rows=len(batch.examples), num_failures=len(batch.failures))
                    recorder.add(datasets, number, batch)
            with phases.during("writing"):
                markers = {dataset: shard.finish(keys) for dataset, shard in zip(datasets, shards, strict=True)}
        return recorder.finish(markers, decoding)

    def _examples(self, job: Job, unit: WorkUnit, keys: list[str]) -> Iterator[Example]:
        """Yields a unit's rows; adds their keys to `keys`."""
        source = self._launch.source
        unique = Uniqueness(source.on_repeated_keys)
        parts = (source.read(part, job.plan.tables) for part in unit.files)
        for example in itertools.islice(itertools.chain.from_iterable(parts), unit.max_rows):
            unique.check(example.key, example.source)
            keys.append(example.key)
            yield example

    def _check_stop(self) -> None:
        if self._progress.is_stop_requested:
            raise StopRequestedError("the launcher requested a stop")


def _describe(unit: WorkUnit, job: Job) -> str:
    """Returns where a unit's rows are, for errors."""
    if unit.first_row is None or unit.num_rows is None:
        paths = [part.path for part in unit.files]
        return paths[0] if len(paths) == 1 else f"{paths[0]} to {paths[-1]}"
    first, last = unit.first_row + 1, unit.first_row + unit.num_rows
    rows = f"row {first:,}" if first == last else f"rows {first:,} to {last:,}"
    return f"{rows} of {job.plan.source.path}"
