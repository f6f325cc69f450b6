"""Beam's runners as users name them: what is checked before a job begins, where they embed, and pipelines on them.

An engine embeds *here* if this process does: in threads or processes of its own, or in a worker that it lends to a
runner (`LOOPBACK`). It *shares the disk* if its workers see this machine's folders; that is known only of workers here,
and of clusters whose master is on this machine's loopback address.
"""

import difflib
import importlib
import importlib.util
import logging
import shlex
import sys
from collections.abc import Mapping, Sequence

import apache_beam as beam
from apache_beam.options.pipeline_options import (
    DirectOptions,
    FlinkRunnerOptions,
    PipelineOptions,
    PortableOptions,
    SparkRunnerOptions,
    StandardOptions,
)
from apache_beam.options.pipeline_options_validator import PipelineOptionsValidator
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
from apache_beam.runners.runner import create_runner
from apache_beam.transforms.environments import SubprocessSDKEnvironment

from lit_precompute.pipelines.engines import worker
from lit_precompute.pipelines.engines.flags import DASK, runner_of, uses_dask
from lit_precompute.schemas.storage import is_url

_HERE = ("FnApiRunner", "DirectRunner", "BundleBasedDirectRunner")
_BEAMS = {name.lower().removesuffix("runner") for name in StandardOptions.KNOWN_RUNNER_NAMES}
_NAMES = ("DaskRunner", "DataflowRunner", "FlinkRunner", "FnApiRunner", "PortableRunner", "PrismRunner", "SparkRunner")
# Beam lends them a worker in this process unless told otherwise, if they start their own cluster.
_LENT_BY_DEFAULT = {
    "FlinkRunner": lambda options: options.view_as(FlinkRunnerOptions).flink_master in ("[local]", "[auto]"),
    "SparkRunner": lambda options: str(options.view_as(SparkRunnerOptions).spark_master_url).startswith("local"),
    "PrismRunner": lambda options: True,
}
_OWN_WORKER = "lit-embed-worker"
# They ask for machines, which nobody sees missing where a job runs in this process.
_OF_DATAFLOW = ("project", "region", "machine_type", "num_workers", "max_num_workers", "template_location")
_LOOPBACK = ("localhost", "127.", "[::1]")


def with_runner(beam_flags: Sequence[str]) -> list[str]:
    """Returns the flags with a runner that Beam finds: the one in this process by default.

    Raises:
      TypeError: the flags are one string, or a mapping, of which Beam would take nothing.
      ValueError: they name Dask, which is not installed.
    """
    if isinstance(beam_flags, str | Mapping):
        raise TypeError(f"beam_flags must be a list, such as ['--runner=DaskRunner'], got {beam_flags!r}")
    flags = list(beam_flags)
    if runner_of(flags) is None:
        return ["--runner=FnApiRunner", *flags]  # Beam's own default may download a program
    if str(runner_of(flags)).lower() in ("prism", "prismrunner"):
        return ["--prism_log_level=error", *flags]  # Beam would print its log; a later flag wins
    if not uses_dask(flags):
        return flags
    if not importlib.util.find_spec("distributed"):
        raise ValueError("--runner=DaskRunner needs Dask: pip install 'lit-precompute[dask]'")
    importlib.import_module(DASK.rpartition(".")[0])  # which makes --dask_... known to Beam
    return [*flags, f"--runner={DASK}"]


def check_runner(beam_flags: Sequence[str]) -> None:
    """Checks what Beam checks only when a pipeline is made.

    Raises:
      TypeError: the flags are one string, or a mapping, of which Beam would take nothing.
      ValueError: there is no such runner, a package that it needs is not installed, or it needs other options.
    """
    options = _options(beam_flags)
    name = str(options.view_as(StandardOptions).runner)
    given = options.get_all_options(drop_default=True)
    if runner_of(beam_flags) is None and (of_dataflow := [flag for flag in _OF_DATAFLOW if flag in given]):
        raise ValueError(
            f"--{of_dataflow[0]} asks Dataflow, but without --runner the job runs in this process: give "
            "--runner=DataflowRunner, or leave it out"
        )
    if "." not in name and name.lower().removesuffix("runner") not in _BEAMS:
        likely = difflib.get_close_matches(name, _NAMES, n=1)
        meant = f"Did you mean {likely[0]}? " if likely else ""
        raise ValueError(f"--runner={name}: there is no such runner. {meant}Give one of {', '.join(_NAMES)}")
    try:
        runner = create_runner(name)
    except (ValueError, ImportError, AttributeError) as error:
        raise ValueError(f"--runner={name}: {error}") from error
    if faults := PipelineOptionsValidator(options, runner).validate():
        raise ValueError(f"--runner={name}: {'; '.join(' '.join(fault.split()) for fault in faults)}")
    if name == "PortableRunner" and not options.view_as(PortableOptions).job_endpoint:
        raise ValueError("--runner=PortableRunner needs the job server's address, for example --job_endpoint=HOST:8099")


def runner_name(beam_flags: Sequence[str]) -> str:
    """Returns the runner's name as users type it."""
    return str(_options(beam_flags).view_as(StandardOptions).runner).rpartition(".")[2]


def embeds_here(beam_flags: Sequence[str]) -> bool:
    """Returns whether the runner that the flags name embeds in this process, on this machine's devices."""
    options, name = _options(beam_flags), runner_name(beam_flags)
    environment = options.view_as(PortableOptions).environment_type
    if name in _HERE or environment == "LOOPBACK":
        return True
    lends = _LENT_BY_DEFAULT.get(name)
    return lends is not None and not environment and lends(options)


def shares_disk(beam_flags: Sequence[str]) -> bool:
    """Returns whether the workers are known to see this machine's folders."""
    if embeds_here(beam_flags):
        return True
    options, name = _options(beam_flags), runner_name(beam_flags)
    portable = options.view_as(PortableOptions)
    if portable.environment_type == "DOCKER" or (name != "DaskRunner" and not portable.environment_type):
        return False  # workers in containers, which is also what Beam takes by default
    if name == "DaskRunner":
        given = options.get_all_options()
        return not given.get("scheduler_file") and _is_loopback(given.get("address"))
    masters = {
        "FlinkRunner": options.view_as(FlinkRunnerOptions).flink_master,
        "SparkRunner": options.view_as(SparkRunnerOptions).spark_master_url,
        "PrismRunner": None,
        "PortableRunner": portable.job_endpoint,
    }
    return name in masters and _is_loopback(masters[name])


def _is_loopback(address: str | None) -> bool:
    """Returns whether an address is this machine's; so is none, and a word such as `embed`."""
    if not address or ":" not in address:
        return True
    return address.rpartition("//")[2].startswith(_LOOPBACK)


def installs_staged_packages(beam_flags: Sequence[str]) -> bool:
    """Returns whether workers elsewhere install what a job stages.

    Dask's, and those of `lit-embed-worker`, work in the environment that they were started in.
    """
    portable = _options(beam_flags).view_as(PortableOptions)
    commands = [portable.environment_config or "", *(portable.environment_options or [])]
    return runner_name(beam_flags) != "DaskRunner" and not any(_OWN_WORKER in command for command in commands)


def check_places(beam_flags: Sequence[str], places: Mapping[str, str | None]) -> None:
    """Checks that the workers see what they read and write.

    Args:
      beam_flags: Beam's pipeline options.
      places: paths and URLs by the option that names them, such as `--output`.

    Raises:
      ValueError: one is on this machine's disk, and the workers are not known to share it.
    """
    if shares_disk(beam_flags):
        return
    for option, place in places.items():
        if place and not is_url(place):
            raise ValueError(
                f"{option} {place}: the workers of --runner={runner_name(beam_flags)} do not share this machine's "
                "disk; give a URL (gs://..., s3://..., hdfs://...), or file://... if they mount it at the same "
                "path. Workers with --environment_type=LOOPBACK, or of a master on 127.0.0.1, do share it"
            )


def outlives_launcher(beam_flags: Sequence[str]) -> bool:
    """Returns whether a job goes on when this process ends: its workers and what steers them are elsewhere."""
    if embeds_here(beam_flags):
        return False
    name, portable = runner_name(beam_flags), _options(beam_flags).view_as(PortableOptions)
    if name == "DataflowRunner":
        return True
    # Without an endpoint Beam starts a job server, which ends with this process; Dask forgets tasks without a client.
    return name != "DaskRunner" and bool(portable.job_endpoint) and portable.job_endpoint != "embed"


def new_pipeline(beam_flags: Sequence[str]) -> beam.Pipeline:
    """Returns an empty pipeline on the runner that the flags name.

    Worker processes of a local runner take no options but their command, and Beam's own would log everything.
    """
    options = _options(beam_flags)
    direct = options.view_as(DirectOptions)
    if runner_name(beam_flags) not in _HERE or direct.direct_running_mode != "multi_processing":
        return beam.Pipeline(options=options)
    direct.direct_running_mode = None  # the runner would replace the command
    level = logging.getLogger().getEffectiveLevel()
    command = f"{shlex.quote(sys.executable)} -m {worker.__name__} {level}"
    processes = SubprocessSDKEnvironment.from_command_string(command)  # pyright: ignore[reportFunctionMemberAccess]
    return beam.Pipeline(runner=FnApiRunner(default_environment=processes), options=options)


def _options(beam_flags: Sequence[str]) -> PipelineOptions:
    return PipelineOptions(with_runner(beam_flags))
