"""A pipeline on its runner: started, looked at, cancelled, waited for, the same way on every engine.

Beam's results differ: a local runner has finished before there is one, portable runners raise when a job does not end
well, Dask raises the worker's exception, and some keep no counters. Here a job that does not end well is a state, and
its error is a text.

Promises: `wait` returns only with an ended job, and calls `look` regularly from the caller's thread, so that signals
are handled; an interrupt leaves `wait` at once, and the job goes on until it is cancelled.
"""

import contextlib
import threading
import traceback
from collections.abc import Callable
from typing import Any, Literal, Protocol

import apache_beam as beam
from apache_beam.metrics.metric import MetricResults, MetricsFilter
from apache_beam.options.pipeline_options import PortableOptions
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
from apache_beam.runners.runner import PipelineResult, PipelineState
from grpc import FutureTimeoutError, RpcError

from lit_precompute.schemas.wording import one_line

JobState = Literal["pending", "running", "done", "failed", "cancelled", "unknown"]
ENDED: tuple[JobState, ...] = ("done", "failed", "cancelled")

_STATES: dict[str, JobState] = {
    PipelineState.STARTING: "pending",
    PipelineState.PENDING: "pending",
    PipelineState.STOPPED: "pending",
    PipelineState.RUNNING: "running",
    PipelineState.CANCELLING: "running",
    PipelineState.DRAINING: "running",
    PipelineState.RESOURCE_CLEANING_UP: "running",
    PipelineState.DONE: "done",
    PipelineState.FAILED: "failed",
    PipelineState.CANCELLED: "cancelled",
    PipelineState.DRAINED: "cancelled",
    PipelineState.UPDATED: "cancelled",  # replaced by another job
}
_BLOCKING = ("FnApiRunner", "SwitchingDirectRunner", "DirectRunner", "BundleBasedDirectRunner")
# Runners that start a program, which they download unless it is here: what to give.
_JAR = "give --{engine}_job_server_jar=FILE, or --runner=PortableRunner --job_endpoint=HOST:8099 (docs/engines.md)"
_PROGRAMS = {
    "PrismRunner": "give --prism_location=FILE (docs/engines.md)",
    "FlinkRunner": _JAR.format(engine="flink"),
    "SparkRunner": _JAR.format(engine="spark"),
}


class Service(Protocol):
    """A submitted job as its engine's own service knows it, for engines that have one (Dataflow)."""

    @property
    def job_id(self) -> str: ...

    @property
    def link(self) -> str: ...

    def failure(self) -> str:
        """Returns why the job failed, in a worker's own words if there are any; "" if nothing says why."""
        ...


class RunningJob:
    """A pipeline that was started.

    Attributes:
      runner: name of the runner's class.
      job_id: the engine's name for it; None where it has none.
      link: its page in a console; None where there is none.
      service: the engine's own view of it; None where there is none.
      exception: what the runner raised, once the job has ended badly.
    """

    def __init__(
        self,
        runner: str,
        result: PipelineResult | None = None,
        *,
        service: Service | None = None,
        pipeline: beam.Pipeline | None = None,
    ):
        """Takes the result of a pipeline that was submitted, or a pipeline whose runner blocks until it has ended."""
        self.runner, self._result, self.service = runner, result, service
        self.job_id: str | None = service.job_id if service else getattr(result, "_job_id", None)
        self.link: str | None = service.link if service else None
        self.exception: BaseException | None = None
        self._state: JobState | None = None
        self._thread = _thread(lambda: self._run(pipeline)) if pipeline else None

    def state(self) -> JobState:
        """Returns the state; `unknown` if the engine cannot be asked."""
        if self._state:
            return self._state
        if self._result is None:
            return "running"
        try:
            return _STATES.get(str(self._result.state), "unknown")
        except RpcError:  # the job server is gone
            return "unknown"

    def cancel(self) -> bool:
        """Asks the engine to cancel the job; returns False if it cannot or the job has ended.

        A pipeline in this process cannot be cancelled: its steps have to end by themselves.

        Raises:
          ConnectionError: the engine cannot be asked, or refuses.
        """
        if self._result is None or self.state() in ENDED:
            return False
        try:
            self._result.cancel()
        except NotImplementedError:
            return False
        except Exception as error:
            raise ConnectionError(cannot_cancel(self.runner, self.job_id, error)) from error
        return True

    def wait(self, look: Callable[[], None] = lambda: None, *, every_s: float = 0.5) -> JobState:
        """Waits until the job has ended; returns `done`, `failed` or `cancelled`.

        Args:
          look: called regularly, from this thread.
          every_s: how often.
        """
        if self._thread is None:
            self._thread = _thread(self._observe)
        while self._thread.is_alive():
            self._thread.join(every_s)
            look()
        assert self._state in ENDED, self._state
        return self._state

    def error(self) -> str:
        """Returns why the job has failed, with a worker's own sentence for `in_words` to find; "" if it has not."""
        if self.state() not in ("failed", "cancelled"):
            return ""
        texts = [self.service.failure()] if self.service else _messages(self._result)
        if self.exception is not None:
            texts += ["".join(traceback.format_exception(self.exception))]
        return "\n".join(text for text in texts if text)

    def metrics(self, query: MetricsFilter | None = None) -> dict[str, int]:
        """Returns the sums of the counters that match, by name; {} where the runner keeps none (Dask)."""
        if self._result is None:
            return {}
        try:
            found = self._result.metrics().query(query)
        except (NotImplementedError, RpcError):
            return {}
        sums: dict[str, int] = {}
        for counter in found.get(MetricResults.COUNTERS, []):
            name = counter.key.metric.name
            sums[name] = sums.get(name, 0) + (counter.result or 0)
        return sums

    def _observe(self) -> None:
        """Waits for the engine, in a thread; sets the state and the exception."""
        assert self._result is not None
        try:
            state = _STATES.get(str(self._result.wait_until_finish()), "unknown")
            # Some runners return while the job goes on, or without a state.
            self._state = state if state in ENDED else "failed"
        except BaseException as error:  # noqa: BLE001 -- whatever a runner raises is why the job ended
            self.exception = error
            self._state = "cancelled" if self.state() == "cancelled" else "failed"

    def _run(self, pipeline: beam.Pipeline) -> None:
        """Runs a pipeline whose runner blocks, in a thread."""
        try:
            self._result = pipeline.run()
        except BaseException as error:  # noqa: BLE001 -- as above
            self.exception, self._state = error, "failed"
        else:
            self._observe()


def start(pipeline: beam.Pipeline, *, service_of: Callable[[Any], Service | None] = lambda result: None) -> RunningJob:
    """Starts a pipeline and returns at once, or once its engine has accepted it.

    Args:
      pipeline: the pipeline, complete.
      service_of: returns the engine's own view of a submitted job from Beam's result.

    Raises:
      ConnectionError: no job server answers, or a program of the runner cannot be started.
      Exception: whatever else the runner raises if it does not accept the pipeline.
    """
    name = type(pipeline.runner).__name__
    if isinstance(pipeline.runner, FnApiRunner) or name in _BLOCKING:
        return RunningJob(name, pipeline=pipeline)
    try:
        result = pipeline.run()
    except FutureTimeoutError as error:
        portable = pipeline.options.view_as(PortableOptions)
        raise ConnectionError(
            f"--job_endpoint={portable.job_endpoint}: no job server answers there (--job_server_timeout: "
            f"{portable.job_server_timeout} s)"
        ) from error
    except (RuntimeError, OSError, ValueError) as error:
        if (how := _PROGRAMS.get(name)) is None:
            raise
        raise ConnectionError(f"--runner={name} cannot start the job: {one_line(str(error))}; {how}") from error
    return RunningJob(name, result, service=service_of(result))


def cannot_cancel(runner: str, job_id: str | None, error: Exception) -> str:
    """Returns what to say where an engine cannot be asked to cancel a job."""
    return f"{runner} could not be asked to cancel {job_id or 'the job'}: {one_line(str(error)) or repr(error)}"


def _thread(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, name="engine", daemon=True)
    thread.start()
    return thread


def _messages(result: PipelineResult | None) -> list[str]:
    """Returns the error messages that a job server has sent; the exception repeats only the last."""
    messages = getattr(result, "_messages", [])
    with contextlib.suppress(AttributeError):
        return [
            each.message_response.message_text
            for each in messages
            if each.message_response.importance == each.message_response.JOB_MESSAGE_ERROR
        ]
    return []
