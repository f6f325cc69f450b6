"""Flags for Beam that Beam's Python options do not define. Imports nothing heavy."""

from collections.abc import Sequence

DASK = "lit_precompute.pipelines.engines.dask_runner.DaskRunner"
_DASK_NAMES = ("dask", "daskrunner", DASK.lower(), "apache_beam.runners.dask.dask_runner.daskrunner")
_JOB_SERVERS = ("flinkrunner", "flink", "sparkrunner", "spark", "portablerunner", "portable")
# What Beam's job servers of Spark and Flink know that makes a difference to a batch job, as they describe themselves.
_OF_JOB_SERVERS = frozenset(
    (
        # both
        *("bundle_processor_cache_timeout", "default_sdk_harness_log_level", "element_processing_timeout_minutes"),
        *("enable_heap_dumps", "environment_expiration_millis", "files_to_stage", "load_balance_bundles"),
        *("retain_docker_containers", "sdk_harness_log_level_overrides"),
        # Spark
        *("bundle_size", "cache_disabled", "checkpoint_dir", "enable_spark_metric_sinks", "spark_master"),
        *("prefer_group_by_key_to_handle_huge_values", "storage_level"),
    )
)


def runner_of(beam_flags: Sequence[str]) -> str | None:
    """Returns the runner as it was typed; None if no flag names one."""
    found = None
    for number, flag in enumerate(beam_flags):
        name, is_given, value = flag.partition("=")
        if name == "--runner":
            found = value if is_given else next(iter(beam_flags[number + 1 :]), "")
    return found


def uses_dask(beam_flags: Sequence[str]) -> bool:
    """Returns whether the flags name the runner for Dask, by any of its names."""
    return (runner_of(beam_flags) or "").lower() in _DASK_NAMES


def without_job_server_flags(flags: Sequence[str], *, runner: str | None) -> list[str]:
    """Returns the flags less those, with their values, that only a job server knows.

    Args:
      flags: flags that Beam's Python options do not define, and their values.
      runner: the runner as it was typed; others than those of job servers have no such flags.
    """
    if (runner or "").lower() not in _JOB_SERVERS:
        return list(flags)
    kept, is_value = list[str](), False
    for flag in flags:
        if not flag.startswith("--"):
            kept += [] if is_value else [flag]
            continue
        name, is_given, _ = flag.removeprefix("--").partition("=")
        is_value = name in _OF_JOB_SERVERS and not is_given
        kept += [] if name in _OF_JOB_SERVERS else [flag]
    return kept
