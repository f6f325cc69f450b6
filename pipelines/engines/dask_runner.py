"""Beam's runner for Dask with its own translation of a pipeline into tasks.

Beam's (2.77.0) is right for a chain of steps only: it mixes outputs with tags, ignores `Reshuffle`, so that what a
group yields stays on one worker, computes side inputs again in every task, lets each process hash keys differently
(apache/beam#29365), and waits forever for an error with a deep stack.

Promises: every key arrives once; elements of `Create` and after `Reshuffle` are spread over the cluster; an error
reaches the launcher as text. Does not window, and keeps no counters. What travels between steps stays in the workers'
memory, so elements must be small.
"""

# Beam's overrides, by which steps are recognised, are private.
# pyright: reportPrivateUsage=false

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import apache_beam as beam
from apache_beam.internal import pickler
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.pipeline import AppliedPTransform, Pipeline, PipelineVisitor
from apache_beam.pvalue import PValue
from apache_beam.runners.dask import dask_runner, overrides
from apache_beam.runners.runner import PipelineState
from dask import distributed
from dask.delayed import delayed

from lit_precompute.pipelines.engines import dask_tasks as tasks

# Partitions after `Reshuffle`, for each of the cluster's threads: units take unlike times.
_PARTITIONS_PER_THREAD = 16
_STATES = {"finished": PipelineState.DONE, "cancelled": PipelineState.CANCELLED}

_Partitions = list[Any]


class DaskRunner(dask_runner.DaskRunner):
    """Runs a pipeline on a Dask cluster: that of `--dask_client_address`, or one of this machine's processes."""

    def run_pipeline(self, pipeline: Pipeline, options: PipelineOptions) -> "DaskResult":
        """Submits the pipeline."""
        given = options.view_as(dask_runner.DaskOptions).get_all_options(drop_default=True, current_only=True)
        num_partitions, partition_size = given.pop("npartitions", None), given.pop("partition_size", None)
        client = _connect(given)
        threads = sum(cast(dict[str, int], client.nthreads()).values())
        pipeline.replace_all(overrides.dask_overrides())
        translation = _Translation(
            partition_size=partition_size or 1,
            num_partitions=num_partitions or max(1, threads) * _PARTITIONS_PER_THREAD,
            num_buckets=max(1, threads),
        )
        pipeline.visit(translation)
        return DaskResult(client, cast(_Partitions, client.compute(translation.ends())))


def _connect(given: Mapping[str, Any]) -> distributed.Client:
    """Returns a client of the cluster that the options name, or of processes here that log no more than this one."""
    level = logging.getLogger().getEffectiveLevel()
    logging.getLogger("distributed").setLevel(level)
    if given.get("address") or given.get("scheduler_file"):
        return distributed.Client(**given)
    client = distributed.Client(**given, silence_logs=level, dashboard_address="127.0.0.1:0")
    client.run(logging.disable, level - 1)
    return client


class DaskResult(dask_runner.DaskRunnerResult):
    """A pipeline that was submitted to Dask."""

    @property
    def state(self) -> str:
        """The state, from those of the tasks that end the pipeline."""
        if PipelineState.is_terminal(self._state):
            return self._state
        states = {future.status for future in self.futures}
        if "error" in states or "lost" in states:
            return PipelineState.FAILED
        return _STATES.get(states.pop(), PipelineState.RUNNING) if len(states) == 1 else PipelineState.RUNNING

    def wait_until_finish(self, duration: int | None = None) -> str:
        """Waits; then leaves the cluster, or ends its processes if this one has started them."""
        try:
            super().wait_until_finish(duration)
            if any(future.cancelled() for future in self.futures):  # which are not waited for
                self._state = PipelineState.CANCELLED
            return self._state
        finally:
            if duration is None:
                self.client.close()


class _Translation(PipelineVisitor):
    """Makes tasks of a pipeline: for each collection, a list of its partitions."""

    def __init__(self, *, partition_size: int, num_partitions: int, num_buckets: int):
        self._partition_size, self._num_partitions = partition_size, num_partitions
        self._num_buckets = num_buckets
        self._found: dict[AppliedPTransform, Callable[[str | None], _Partitions]] = {}
        self._unread: dict[AppliedPTransform, None] = {}

    def ends(self) -> _Partitions:
        """Returns the partitions that nothing reads."""
        return [partition for node in self._unread for partition in self._found[node](None)]

    def visit_transform(self, transform_node: AppliedPTransform) -> None:
        """Translates a step."""
        transform, inputs = transform_node.transform, list(transform_node.main_inputs.values())
        if isinstance(transform, overrides._Create):
            partitions = self._create(list(transform.values))
        elif isinstance(transform, overrides._Flatten):
            partitions = [partition for each in inputs for partition in self._read(each)]
        elif isinstance(transform, overrides._GroupByKeyOnly):
            partitions = self._group(self._read(inputs[0]))
        elif isinstance(transform, overrides._Reshuffle):
            partitions = self._spread(self._read(inputs[0]))
        elif isinstance(transform, overrides._GroupAlsoByWindow):
            partitions = self._read(inputs[0])
        elif isinstance(transform, beam.ParDo):
            self._add(transform_node, self._apply(transform_node, self._read(inputs[0])))
            return
        else:
            raise NotImplementedError(f"DaskRunner cannot run {transform_node.full_label}")
        self._add(transform_node, lambda tag: partitions)

    def _add(self, node: AppliedPTransform, found: Callable[[str | None], _Partitions]) -> None:
        self._found[node] = found
        self._unread[node] = None

    def _read(self, collection: PValue) -> _Partitions:
        producer = cast(AppliedPTransform, collection.producer)
        self._unread.pop(producer, None)
        return self._found[producer](None if collection.tag in (None, "None") else collection.tag)

    def _create(self, values: Sequence[Any]) -> _Partitions:
        starts = range(0, len(values), self._partition_size)
        parts = [values[start : start + self._partition_size] for start in starts]
        return [delayed(tasks.unpickle)(pickler.dumps(part)) for part in parts or [[]]]

    def _spread(self, partitions: _Partitions) -> _Partitions:
        together = delayed(tasks.concatenate)(*partitions)
        share = delayed(tasks.every_nth)
        return [share(together, first, self._num_partitions) for first in range(self._num_partitions)]

    def _group(self, partitions: _Partitions) -> _Partitions:
        split, group = delayed(tasks.split), delayed(tasks.group)
        splits = [split(partition, self._num_buckets) for partition in partitions]
        return [group(bucket, *splits) for bucket in range(self._num_buckets)]

    def _apply(self, node: AppliedPTransform, partitions: _Partitions) -> Callable[[str | None], _Partitions]:
        transform = cast(beam.ParDo, node.transform)
        views = [(type(view), view._view_options()) for view in node.side_inputs]
        sides = [delayed(tasks.concatenate)(*self._read(view.pvalue)) for view in node.side_inputs]
        step = pickler.dumps((node.full_label, transform.fn, list(transform.args), transform.kwargs, views))
        if len(node.outputs) == 1:
            apply = delayed(tasks.apply_to_main)
            done = [apply(step, partition, *sides) for partition in partitions]
            return lambda tag: done
        apply, of_tag = delayed(tasks.apply), delayed(tasks.of_tag)
        outputs = [apply(step, partition, *sides) for partition in partitions]
        return lambda tag: [of_tag(each, tag) for each in outputs]
