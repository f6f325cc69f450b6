"""Beam's runners: which one embeds here, what is checked before a job begins, and pipelines on them."""

import logging
import shlex
import sys
from collections.abc import Sequence

import apache_beam as beam
from apache_beam.metrics.metric import MetricResults, MetricsFilter
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions, StandardOptions
from apache_beam.options.pipeline_options_validator import PipelineOptionsValidator
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
from apache_beam.runners.runner import PipelineResult, create_runner
from apache_beam.transforms.environments import SubprocessSDKEnvironment

from lit_precompute.pipelines.embed import worker


def check_runner(beam_flags: Sequence[str]) -> None:
    """Checks what Beam checks only when a pipeline is made.

    Raises:
      ValueError: there is no such runner, a package that it needs is not installed, or it needs other options.
    """
    options = PipelineOptions(list(beam_flags))
    name = str(options.view_as(StandardOptions).runner)
    try:
        runner = create_runner(name)
    except (ValueError, ImportError, AttributeError) as error:
        raise ValueError(f"--runner={name}: {error}") from error
    if faults := PipelineOptionsValidator(options, runner).validate():
        raise ValueError(f"--runner={name}: {'; '.join(' '.join(fault.split()) for fault in faults)}")


def embeds_here(beam_flags: Sequence[str]) -> bool:
    """Returns whether the runner that the flags name embeds on this machine's devices."""
    runner = PipelineOptions(list(beam_flags)).view_as(StandardOptions).runner
    return str(runner).endswith(("FnApiRunner", "DirectRunner"))


def new_pipeline(beam_flags: Sequence[str]) -> beam.Pipeline:
    """Returns an empty pipeline on the runner that the flags name.

    Worker processes of a local runner take no options but their command, and Beam's own would log everything.
    """
    options = PipelineOptions(list(beam_flags))
    direct = options.view_as(DirectOptions)
    if not embeds_here(beam_flags) or direct.direct_running_mode != "multi_processing":
        return beam.Pipeline(options=options)
    direct.direct_running_mode = None  # the runner would replace the command
    level = logging.getLogger().getEffectiveLevel()
    command = f"{shlex.quote(sys.executable)} -m {worker.__name__} {level}"
    processes = SubprocessSDKEnvironment.from_command_string(command)  # pyright: ignore[reportFunctionMemberAccess]
    return beam.Pipeline(runner=FnApiRunner(default_environment=processes), options=options)


def count(result: PipelineResult, name: str) -> int:
    """Returns what the workers of a pipeline have counted; 0 where the runner keeps no counters."""
    try:
        found = result.metrics().query(MetricsFilter().with_name(name))
    except NotImplementedError:  # Dask
        return 0
    return sum(each.result or 0 for each in found.get(MetricResults.COUNTERS, []))
