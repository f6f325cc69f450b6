"""Dataflow: what is checked and set before a job is submitted, and a submitted job as anyone can find it again.

Promises: what the service would refuse or leave broken after minutes and money is an error before anything is uploaded;
flags of the user's own are kept. A `DataflowJob` needs only its name: any machine with access to the project can ask
for its state, cancel it, or read why it failed in a worker's own words.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from apache_beam.options.pipeline_options import (
    DebugOptions,
    GoogleCloudOptions,
    PipelineOptions,
    WorkerOptions,
)

from lit_precompute.pipelines.engines.accelerators import check_accelerator, requested_accelerator
from lit_precompute.pipelines.engines.requirements import Accelerator
from lit_precompute.schemas.storage import is_url

ONE_PROCESS = "no_use_multiple_sdk_containers"
_MANY_PROCESSES = "use_multiple_sdk_containers"
# Gigabytes of a worker's disk: what the service needs, and what pip installs with CUDA's libraries.
_DISK_BASE, _DISK_OF_ACCELERATOR = 25, 25
_ACTIVE = {"JOB_STATE_PENDING", "JOB_STATE_QUEUED", "JOB_STATE_RUNNING", "JOB_STATE_CANCELLING", "JOB_STATE_DRAINING"}
_SHARED = "Dataflow's workers cannot read this machine's disk; copy it to a bucket and give gs://..."


def dataflow_flags(beam_flags: Sequence[str], *, places: Mapping[str, str | None], weights_bytes: int = 0) -> list[str]:
    """Checks a job before it is submitted; returns the flags to add.

    Args:
      beam_flags: Beam's pipeline options, as the user gave them.
      places: what workers read and write, by the option that names it: `{"--source": "gs://..."}`; None for weights as
        published, which workers fetch.
      weights_bytes: size of the weights; 0 if it is not known.

    Raises:
      ValueError: an option is missing, or does not fit the others; says what to give.
    """
    options = PipelineOptions(list(beam_flags))
    _check_cloud(options.view_as(GoogleCloudOptions))
    for option, place in places.items():
        if place and not is_url(place):
            raise ValueError(f"{option} {place}: {_SHARED}")
    requested = requested_accelerator(beam_flags)
    worker = options.view_as(WorkerOptions)
    check_accelerator(requested, worker.machine_type)
    needed = disk_size_gb(requested.kind, weights_bytes)
    if worker.disk_size_gb and worker.disk_size_gb < needed:
        raise ValueError(
            f"--disk_size_gb={worker.disk_size_gb}: workers need {needed} GB for the image, packages and weights"
        )
    experiments = options.view_as(DebugOptions).experiments or []
    if _MANY_PROCESSES in experiments:
        raise ValueError(
            f"--experiments={_MANY_PROCESSES}: every process would load the tower and want the whole accelerator; "
            f"leave it out, which is as --experiments={ONE_PROCESS}"
        )
    added = [] if ONE_PROCESS in experiments else [f"--experiments={ONE_PROCESS}"]
    if not worker.disk_size_gb and needed > _DISK_BASE:
        added.append(f"--disk_size_gb={needed}")
    return added


def disk_size_gb(accelerator: Accelerator, weights_bytes: int) -> int:
    """Returns the gigabytes that a worker's disk needs, and has unless the user asks for more."""
    return _DISK_BASE + (_DISK_OF_ACCELERATOR if accelerator != "cpu" else 0) + math.ceil(weights_bytes / 1e9)


def _check_cloud(cloud: GoogleCloudOptions) -> None:
    missing = [f"--{name}" for name in ("project", "region", "temp_location") if not getattr(cloud, name)]
    if "--region" in missing and cloud.dataflow_endpoint is not None and _has_default_region():
        missing.remove("--region")
    if missing:
        raise ValueError(
            f"--runner=DataflowRunner needs {' and '.join(missing)}: for example --project=my-project "
            "--region=us-central1 --temp_location=gs://my-bucket/tmp"
        )
    is_here = "//localhost" in (cloud.dataflow_endpoint or "")
    for name in ("temp_location", "staging_location"):
        place = getattr(cloud, name)
        if place and not place.startswith("gs://") and not is_here:
            raise ValueError(f"--{name} {place}: must be a folder on Google Cloud Storage, such as gs://my-bucket/tmp")


def _has_default_region() -> bool:
    from apache_beam.runners.dataflow.dataflow_runner import DataflowRunner

    return DataflowRunner().get_default_gcp_region() is not None


class DataflowJob(NamedTuple):
    """A submitted job. As a dictionary it is kept with the dataset, so that it is found again.

    Attributes:
      project: its project.
      region: its region.
      job_id: the service's name for it.
      endpoint: the service's address, if it is not the usual one.
    """

    project: str
    region: str
    job_id: str
    endpoint: str | None = None

    @classmethod
    def of(cls, result: Any, beam_flags: Sequence[str]) -> "DataflowJob | None":
        """Returns the job that a run of Beam submitted; None for a template, which submits none."""
        if not result.has_job:
            return None
        cloud = PipelineOptions(list(beam_flags)).view_as(GoogleCloudOptions)
        usual = PipelineOptions([]).view_as(GoogleCloudOptions).dataflow_endpoint
        endpoint = None if cloud.dataflow_endpoint == usual else cloud.dataflow_endpoint
        job = result._job  # the only place that has the region which the service chose
        return cls(job.project_id or cloud.project, job.location or cloud.region, result.job_id(), endpoint)

    @property
    def link(self) -> str:
        """The job's page in the console."""
        return f"https://console.cloud.google.com/dataflow/jobs/{self.region}/{self.job_id}?project={self.project}"

    def state(self) -> str:
        """Returns its state: RUNNING, DONE, FAILED, CANCELLED ..."""
        return self._client().get_job(self.job_id).current_state.name.removeprefix("JOB_STATE_")

    def cancel(self) -> bool:
        """Asks the service to cancel the job; returns False if it had ended before."""
        client = self._client()
        if client.get_job(self.job_id).current_state.name not in _ACTIVE:
            return False
        return client.modify_job_state(self.job_id, "JOB_STATE_CANCELLED")

    def failure(self) -> str:
        """Returns why the job failed, in one line: a worker's own error where there is one; "" if nothing says why."""
        client, token, texts = self._client(), None, list[str]()
        while True:
            messages, token = client.list_messages(
                self.job_id, page_token=token, minimum_importance="JOB_MESSAGE_ERROR"
            )
            texts += [message.message_text for message in messages]
            if not token:
                return why_failed(texts)

    def _client(self) -> Any:
        from apache_beam.runners.dataflow.internal.apiclient import DataflowApplicationClient

        flags = [f"--project={self.project}", f"--region={self.region}"]
        if self.endpoint:
            flags.append(f"--dataflow_endpoint={self.endpoint}")
        return DataflowApplicationClient(PipelineOptions(flags))


# A worker's own error (pipelines/embed/errors.py), any exception's last line, the service's own words.
_OURS = re.compile(r"^(?:\w+\.)*(Worker(?:|Bug|Source)Error: .*?)(?: \[while running .*\])?$", re.MULTILINE)
_ANY = re.compile(
    r"^((?:\w+\.)*\w+(?:Error|Exception|Exit|Interrupt|NotFound|Denied)\b.*?)(?: \[while running .*\])?$", re.MULTILINE
)
_SUMMARY = "work item was attempted"
_CAUSES = re.compile(r"^Workflow failed\. Causes: (?:S\d+:\S* failed\., )?")


def why_failed(texts: Sequence[str]) -> str:
    """Returns the cause in the error messages of a job, oldest first, in one line without a full stop.

    An error keeps its class's name, without the module, by which `errors.in_words` knows a worker's. The service
    repeats it in several messages, each time with more around it; its last words are a summary without the cause.
    """
    for pattern in (_OURS, _ANY):
        found = [match for text in texts for match in pattern.findall(text)]
        if found:
            return _one_sentence(found[-1])
    others = [text for text in texts if _SUMMARY not in text] or list(texts)
    return _one_sentence(_CAUSES.sub("", others[-1])) if others else ""


def _one_sentence(text: str) -> str:
    return " ".join(text.split()).rstrip(".")
