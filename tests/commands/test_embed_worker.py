"""lit-embed-worker: what an engine's services say reaches Beam's worker."""

import concurrent.futures
import json
import os

import grpc
import pytest
from apache_beam.portability.api import beam_provision_api_pb2, beam_provision_api_pb2_grpc, endpoints_pb2
from apache_beam.runners.worker import sdk_worker_main
from google.protobuf import struct_pb2, text_format

from lit_precompute.commands import embed_worker


class Services(beam_provision_api_pb2_grpc.ProvisionServiceServicer):
    """Knows one worker, and no address of logging."""

    def GetProvisionInfo(self, request, context):  # noqa: N802 -- gRPC's name
        assert dict(context.invocation_metadata())["worker_id"] == "worker-7"
        options = struct_pb2.Struct()
        options.update({"beam:option:experiments:v1": ["one"]})
        info = beam_provision_api_pb2.ProvisionInfo(
            pipeline_options=options,
            control_endpoint=endpoints_pb2.ApiServiceDescriptor(url="127.0.0.1:11"),
            runner_capabilities=["a", "b"],
        )
        return beam_provision_api_pb2.GetProvisionInfoResponse(info=info)


@pytest.fixture
def address():
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(1))
    beam_provision_api_pb2_grpc.add_ProvisionServiceServicer_to_server(Services(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(0).wait()


@pytest.mark.parametrize("worker_id", ["worker-7", "'worker-7'"])
def test_what_the_engine_says_reaches_beams_worker(address, monkeypatch, worker_id):
    monkeypatch.setattr(os, "environ", dict(os.environ))
    started = []
    monkeypatch.setattr(sdk_worker_main, "main", started.append)
    embed_worker.main([f"--id={worker_id}", f"--provision_endpoint={address}", "--logging_endpoint=127.0.0.1:12"])
    assert len(started) == 1
    assert os.environ["WORKER_ID"] == "worker-7"
    assert json.loads(os.environ["PIPELINE_OPTIONS"]) == {"beam:option:experiments:v1": ["one"]}
    assert os.environ["RUNNER_CAPABILITIES"] == "a b"
    for name, url in (("CONTROL", "127.0.0.1:11"), ("LOGGING", "127.0.0.1:12")):
        descriptor = endpoints_pb2.ApiServiceDescriptor()
        text_format.Parse(os.environ[f"{name}_API_SERVICE_DESCRIPTOR"], descriptor)
        assert descriptor.url == url
    assert "STATUS_API_SERVICE_DESCRIPTOR" not in os.environ
