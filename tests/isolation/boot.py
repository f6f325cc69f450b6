"""What a worker's container does before Python starts: fetches what the job staged, installs it, runs the worker.

The steps and pip's arguments are those of Beam's boot program, in its order: requirements in two rounds, then each
extra package without and with what it needs, then the workflow. Source: apache/beam 2.77.0, boot.go and piputil.go of
sdks/python/container. It runs in the worker's environment and imports nothing of this project.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys

import grpc
from apache_beam.portability.api import (
    beam_artifact_api_pb2,
    beam_artifact_api_pb2_grpc,
    beam_provision_api_pb2,
    beam_provision_api_pb2_grpc,
    beam_runner_api_pb2,
    endpoints_pb2,
)
from google.protobuf import json_format

REQUIREMENTS, EXTRA_PACKAGES, WORKFLOW = "requirements.txt", "extra_packages.txt", "workflow.tar.gz"
STAGED = pathlib.Path("staged")


def fetch(endpoint, worker_id, dependencies):
    """Writes the staged files to a folder; returns their names."""
    service = beam_artifact_api_pb2_grpc.ArtifactRetrievalServiceStub(grpc.insecure_channel(endpoint))
    metadata = (("worker_id", worker_id),)
    request = beam_artifact_api_pb2.ResolveArtifactsRequest(artifacts=dependencies)
    names = []
    STAGED.mkdir(exist_ok=True)
    for artifact in service.ResolveArtifacts(request, metadata=metadata).replacements:
        name = beam_runner_api_pb2.ArtifactStagingToRolePayload.FromString(artifact.role_payload).staged_name
        asked = beam_artifact_api_pb2.GetArtifactRequest(artifact=artifact)
        parts = service.GetArtifact(asked, metadata=metadata)
        (STAGED / name).write_bytes(b"".join(part.data for part in parts))
        names.append(name)
    return names


def pip(*arguments, check=True):
    """Runs pip; what it prints goes to the worker's log."""
    command = [sys.executable, "-m", "pip", "install", "--no-cache-dir", "--disable-pip-version-check", *arguments]
    subprocess.run(command, check=check, stdout=sys.stderr)


def install(names):
    """Installs what was staged."""
    if REQUIREMENTS in names:
        found = ("-r", str(STAGED / REQUIREMENTS), "--find-links", str(STAGED))
        pip(*found, "--no-index", "--no-deps", check=False)
        pip(*found)
    packages = (STAGED / EXTRA_PACKAGES).read_text().split() if EXTRA_PACKAGES in names else []
    for package in packages:
        pip("--upgrade", "--force-reinstall", "--no-deps", str(STAGED / package), "--no-build-isolation")
        pip(str(STAGED / package), "--no-build-isolation")
    if WORKFLOW in names:
        pip(str(STAGED / WORKFLOW), "--no-build-isolation")


def main():
    """Becomes the worker."""
    parser = argparse.ArgumentParser()
    for name in ("id", "logging_endpoint", "artifact_endpoint", "provision_endpoint", "control_endpoint"):
        parser.add_argument(f"--{name}")
    given = parser.parse_args()
    service = beam_provision_api_pb2_grpc.ProvisionServiceStub(grpc.insecure_channel(given.provision_endpoint))
    request = beam_provision_api_pb2.GetProvisionInfoRequest()
    info = service.GetProvisionInfo(request, metadata=(("worker_id", given.id),)).info
    install(fetch(given.artifact_endpoint, given.id, info.dependencies))

    def descriptor(url):
        return str(endpoints_pb2.ApiServiceDescriptor(url=url))

    os.environ |= {
        "WORKER_ID": given.id,
        "PIPELINE_OPTIONS": json.dumps(json_format.MessageToDict(info.pipeline_options)),
        "SEMI_PERSISTENT_DIRECTORY": str(STAGED.parent.absolute()),
        "LOGGING_API_SERVICE_DESCRIPTOR": descriptor(given.logging_endpoint),
        "CONTROL_API_SERVICE_DESCRIPTOR": descriptor(given.control_endpoint),
        "RUNNER_CAPABILITIES": " ".join(info.runner_capabilities),
    }
    os.execv(sys.executable, [sys.executable, "-m", "apache_beam.runners.worker.sdk_worker_main"])


if __name__ == "__main__":
    main()
