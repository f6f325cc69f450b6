"""Submitting a job to the engine that the flags name, and finding it again from its record."""

from collections.abc import Mapping, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions

from lit_precompute.pipelines.engines.accelerators import requested_accelerator
from lit_precompute.pipelines.engines.dataflow import DataflowJob, dataflow_flags
from lit_precompute.pipelines.engines.runners import (
    check_places,
    embeds_here,
    installs_staged_packages,
    outlives_launcher,
    runner_name,
)
from lit_precompute.pipelines.engines.running import RunningJob
from lit_precompute.pipelines.engines.running import start as start_running
from lit_precompute.pipelines.engines.staging import staging_flags
from lit_precompute.schemas.storage import is_url

__all__ = [
    "checked_flags",
    "is_template",
    "outlives_launcher",
    "record",
    "recorded_job",
    "requested_accelerator",
    "start",
]

_DATAFLOW = "DataflowRunner"


def checked_flags(
    beam_flags: Sequence[str], *, tower: str, other_towers: Sequence[str] = (), places: Mapping[str, str | None]
) -> list[str]:
    """Returns Beam's options with what the engine's workers need; nothing is submitted.

    Args:
      beam_flags: Beam's pipeline options, as the user gave them.
      tower: the tower's name; the module of `module:name` is staged.
      other_towers: names of others that the same job embeds with.
      places: paths and URLs that workers read and write, by the option that names them.

    Raises:
      ValueError: an option is missing or does not fit, or workers cannot see a place.
    """
    flags = list(beam_flags)
    if runner_name(flags) == _DATAFLOW:
        flags += dataflow_flags(flags, places=places)
    check_places(flags, places)
    if embeds_here(flags):
        return flags
    urls = [place for place in places.values() if place and is_url(place)]
    return flags + staging_flags(
        flags,
        tower=tower,
        other_towers=other_towers,
        urls=urls,
        accelerator=requested_accelerator(flags).kind,
        is_installed=installs_staged_packages(flags),
    )


def is_template(beam_flags: Sequence[str]) -> bool:
    """Returns whether the flags ask for a template of a job instead of a job."""
    return PipelineOptions(list(beam_flags)).view_as(GoogleCloudOptions).template_location is not None


def start(pipeline: beam.Pipeline, beam_flags: Sequence[str]) -> RunningJob:
    """Starts a pipeline on the runner that the flags name, and returns once its engine has accepted it."""
    if runner_name(beam_flags) != _DATAFLOW:
        return start_running(pipeline)
    return start_running(pipeline, service_of=lambda result: DataflowJob.of(result, beam_flags))


def record(job: RunningJob) -> dict[str, Any]:
    """Returns what a job can be found by, as JSON."""
    kept = {"runner": job.runner, "job_id": job.job_id, "link": job.link}
    return {**kept, "dataflow": job.service._asdict()} if isinstance(job.service, DataflowJob) else kept


def recorded_job(kept: Mapping[str, Any]) -> DataflowJob | None:
    """Returns a job that its engine still knows, from its record; None for engines that keep no jobs for others."""
    return DataflowJob(**kept["dataflow"]) if kept.get("dataflow") else None
