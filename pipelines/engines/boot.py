"""A worker on a machine of a Spark or Flink cluster: `lit-embed-worker`, the command of `--environment_type=PROCESS`.

    --environment_type=PROCESS --environment_options=process_command=/opt/lit/bin/lit-embed-worker

The engine starts it with the addresses of its services. Beam's own program for this is in its containers only, and
installs what a job stages; this one runs in the environment that it is installed in, and takes nothing but the
pipeline's options.
"""

import argparse
import json
import logging
import os
import sys
from collections.abc import Sequence

from apache_beam.portability.api import beam_provision_api_pb2, beam_provision_api_pb2_grpc
from apache_beam.runners.job.utils import struct_to_dict
from grpc import insecure_channel

_ANSWER_S = 60


def main(arguments: Sequence[str] | None = None) -> None:
    """Asks the engine what to do, and does it until the engine ends it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    for name in ("id", "provision_endpoint"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("control_endpoint", "logging_endpoint", "artifact_endpoint", "semi_persist_dir"):
        parser.add_argument(f"--{name}", default="")
    given = parser.parse_args(arguments)
    worker_id = given.id.strip("'")  # Prism quotes it for a shell that there is none of
    with insecure_channel(given.provision_endpoint) as channel:
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
        ("CONTROL", info.control_endpoint.url or given.control_endpoint),
        ("LOGGING", info.logging_endpoint.url or given.logging_endpoint),
        ("STATUS", info.status_endpoint.url),
    ):
        if url:  # a message as text, which is what Beam reads
            os.environ[f"{name}_API_SERVICE_DESCRIPTOR"] = f"url: {json.dumps(url)}"
    from apache_beam.runners.worker import sdk_worker_main

    logging.captureWarnings(True)
    sdk_worker_main.main(sys.argv)


if __name__ == "__main__":
    main()
