"""Submits small jobs to Dataflow without a cloud: `python -m tests.pipelines.engines.submitting < cases.json`.

Runs in the environment of requirements/dataflow.txt. Standard input has cases, `{name: {"flags": [...], ...}}`;
standard output gets what became of each. The flags that `lit-embed` adds on Dataflow are added here by the same
functions. A case with a `folder` needs no service: the job's description and what is staged go there. Otherwise there
is a fake Dataflow in this process, where the job ends with the state `end`, or is cancelled by its name alone once it
runs if `cancel` is set; what is staged goes to the `bucket`.

The fake service is reached through a proxy, which needs no port 80: Beam refuses a port in the service's address, and
an address whose path has "sandbox" selects REST without marking the job as a local one.
"""

import contextlib
import http.server
import json
import os
import re
import sys
import threading
from typing import ClassVar

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.dataflow import dataflow_runner

from lit_precompute.pipelines.engines.accelerators import requested_accelerator
from lit_precompute.pipelines.engines.dataflow import DataflowJob, dataflow_flags
from lit_precompute.pipelines.engines.staging import staging_flags

ADDRESS = "http://dataflow.invalid/sandbox"
CLOUD = ("--runner=DataflowRunner", "--project=my-project", "--region=us-central1", "--no_auth")
# As the service words them: a traceback, then a summary without the cause.
ERRORS = (
    'Traceback (most recent call last):\n  File "apache_beam/runners/common.py", line 1498, in process\n'
    "lit_precompute.pipelines.embed.errors.WorkerError: rows 1 to 8 of gs://data/a.tar: gs://data/a.tar: Forbidden "
    "[while running 'Embed-ptransform-42']\n\nDuring handling of the above exception, another exception occurred:\n"
    "    ... 1 more\n",
    "Workflow failed. Causes: S02:Embed failed., The job failed because a work item has failed 4 times. Look in "
    "previous log entries for the cause of each one of the 4 failures. The work item was attempted on these workers: \n"
    "  beamapp-root-harness-0\n      Root cause: The worker lost contact with the service.",
)


class FakeDataflow(http.server.BaseHTTPRequestHandler):
    """One job of the API v1b3, as a proxy sees it: the request's line has the whole address."""

    end, wanted, polls = "DONE", "", 0
    job: ClassVar[dict] = {}
    requests: ClassVar[list[str]] = []

    @classmethod
    def begin(cls, end):
        """Forgets the last job."""
        cls.end, cls.wanted, cls.polls, cls.job, cls.requests = end, "", 0, {}, []

    def log_message(self, *arguments):
        """Says nothing."""

    def _answer(self):
        fake, path = FakeDataflow, self.path.partition("?")[0].removeprefix("http://dataflow.invalid")
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
        fake.requests.append(f"{self.command} {path}")
        answer = {"id": "2026-01-01_job", "projectId": "my-project", "location": "us-central1"}
        if self.command == "POST":
            fake.job = body
            answer |= {"clientRequestId": body["clientRequestId"], "name": body["name"]}
        elif self.command == "PUT":
            fake.wanted = body["requestedState"]
        elif path.endswith("/messages"):
            texts = ERRORS if fake.end == "FAILED" else ()
            level = {"time": "2026-01-01T00:00:00Z", "messageImportance": "JOB_MESSAGE_ERROR"}
            answer = {"jobMessages": [{"id": text[:9], "messageText": text, **level} for text in texts]}
        elif path.endswith("/metrics"):
            answer = {"metrics": []}
        elif re.search(r"/jobs/[^/]+$", path):
            fake.polls += 1
            answer["currentState"] = "JOB_STATE_" + self._state()
        data = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _state(self):
        if FakeDataflow.wanted:
            return "CANCELLED"
        return "RUNNING" if FakeDataflow.polls < 2 or FakeDataflow.end == "RUNNING" else FakeDataflow.end

    do_GET = do_POST = do_PUT = _answer  # noqa: N815 -- the standard library's names


@contextlib.contextmanager
def fake_service():
    """Runs the fake service during the block, where Beam finds it."""
    from apache_beam.internal.gcp import auth

    auth._Credentials._credentials_init = True  # as if it had looked for credentials and found none, which takes 24 s
    service = http.server.ThreadingHTTPServer(("127.0.0.1", 0), FakeDataflow)
    threading.Thread(target=service.serve_forever, daemon=True).start()
    os.environ |= {"http_proxy": f"http://127.0.0.1:{service.server_address[1]}", "no_proxy": "localhost,127.0.0.1"}
    try:
        yield
    finally:
        service.shutdown()


def keep(element):
    """Stands for the work of a unit."""
    return element


def submit(case, flags):
    """Returns what Beam returns for a job with the flags that lit-embed would add to these, and all flags."""
    places = case.get("places", {"--source": "gs://data/a.tar"})
    added = dataflow_flags(flags, places=places, weights_bytes=case.get("weights_bytes", 0))
    added += staging_flags(
        flags,
        tower=case.get("tower", "vit_b16"),
        urls=[place for place in places.values() if place],
        accelerator=requested_accelerator(flags).kind,
    )
    flags = [*flags, *added]
    pipeline = beam.Pipeline(options=PipelineOptions(flags))
    pipeline | beam.Create([0]) | beam.Reshuffle() | "Embed" >> beam.Map(keep)
    return pipeline.run(), flags


def describe(case):
    """Submits a job without a service; returns the flags and what is known of the job."""
    folder = case["folder"]
    local = ("--dataflow_endpoint=http://localhost:1", f"--template_location={folder}/job.json")
    places = (f"--staging_location={folder}", f"--temp_location={folder}")
    # Beam would run pip for a list of all that is installed.
    quick = "--experiments=disable_logging_submission_environment"
    result, flags = submit(case, [*case["flags"], *CLOUD, *local, *places, quick])
    return {"flags": flags, "job": DataflowJob.of(result, flags), "state": result.state}


def follow(case):
    """Submits a job to the fake service and waits for its end; returns what is known of it."""
    FakeDataflow.begin(case["end"])
    here = (f"--dataflow_endpoint={ADDRESS}", f"--temp_location={case['bucket']}/tmp")
    result, flags = submit(case, [*case["flags"], *CLOUD, *here])
    job = DataflowJob.of(result, flags)
    assert job is not None
    said = {"job": job._asdict(), "link": job.link}
    if case.get("cancel"):
        said |= {"before": job.state(), "cancelled": job.cancel(), "again": job.cancel()}
    try:
        said["state"] = result.wait_until_finish()
    except dataflow_runner.DataflowRuntimeException:
        said["state"] = job.state()
    return said | {"failure": job.failure(), "requests": FakeDataflow.requests, "description": FakeDataflow.job}


def main():
    """Prints a JSON object: for each case what became of the job, or the error."""
    dataflow_runner.time.sleep = lambda seconds: None  # it waits five seconds between looks
    outcomes = {}
    with fake_service():
        for name, case in json.load(sys.stdin).items():
            outcomes[name] = describe(case) if "folder" in case else follow(case)
    print(json.dumps(outcomes))


if __name__ == "__main__":
    main()
