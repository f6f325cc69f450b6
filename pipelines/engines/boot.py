"""A worker that an engine starts as a process on its machine: `--environment_type=PROCESS`.

    --environment_type=PROCESS --environment_options=process_command=/opt/lit/bin/lit-embed-worker

The engine passes the addresses of its services. Beam's own program for this is in its containers only, and installs
what a job stages; this one works in the environment that it is installed in, and takes nothing but the pipeline's
options.
"""

import json
import logging
import os
import sys

from apache_beam.portability.api import beam_provision_api_pb2, beam_provision_api_pb2_grpc
from apache_beam.runners.job.utils import struct_to_dict
from grpc import insecure_channel

_ANSWER_S = 60


def work(worker_id: str, provision_endpoint: str, *, control_endpoint: str = "", logging_endpoint: str = "") -> None:
    """Asks the engine what to do, and does it until the engine ends it.

    Args:
      worker_id: the engine's name for this worker.
      provision_endpoint: address of the service that says what to do.
      control_endpoint: address of the service that hands out work, if the first does not say.
      logging_endpoint: address of the service that takes log messages, likewise.
    """
    with insecure_channel(provision_endpoint) as channel:
        info = (
            beam_provision_api_pb2_grpc.ProvisionServiceStub(channel)
            .GetProvisionInfo(
                beam_provision_api_pb2.GetProvisionInfoRequest(),
                metadata=[("worker_id", worker_id)],
                timeout=_ANSWER_S,
                wait_for_ready=True,
            )
            .info
        )
    os.environ["WORKER_ID"] = worker_id
    os.environ["PIPELINE_OPTIONS"] = json.dumps(struct_to_dict(info.pipeline_options))
    os.environ["RUNNER_CAPABILITIES"] = " ".join(info.runner_capabilities)
    for name, url in (
        ("CONTROL", info.control_endpoint.url or control_endpoint),
        ("LOGGING", info.logging_endpoint.url or logging_endpoint),
        ("STATUS", info.status_endpoint.url),
    ):
        if url:  # a message as text, which is what Beam reads
            os.environ[f"{name}_API_SERVICE_DESCRIPTOR"] = f"url: {json.dumps(url)}"
    from apache_beam.runners.worker import sdk_worker_main  # configures logging when it is imported

    logging.captureWarnings(True)
    sdk_worker_main.main(sys.argv)
