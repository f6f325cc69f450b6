"""The Flex Template in Dataflow's environment: Google's client reads its metadata, and its script writes a job."""

import json
import os
import re
import subprocess

import pytest
from apache_beam.internal import pickler
from apache_beam.portability.api import beam_runner_api_pb2 as api

from lit_precompute.commands.flex_template import metadata
from lit_precompute.schemas.storage import open_folder
from tests.containers.dockerfile import DOCKERFILE, ROOT, arguments, instructions_of

pytestmark = pytest.mark.slow
ADDRESS = "http://dataflow.invalid/sandbox"  # a template is written without asking it
L4 = "worker_accelerator=type:nvidia-l4;count:2;install-nvidia-driver"
SCRIPT = str(ROOT / "containers/flex_template.py")
# As if Beam had looked for credentials and found none, which takes it half a minute.
WITHOUT_CREDENTIALS = """
import runpy, sys
from apache_beam.internal.gcp import auth
auth._Credentials._credentials_init = True
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
IMAGE = "us-docker.pkg.dev/my-project/lit/worker:cuda"


def _run(dataflow_bin, *command, **settings):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [dataflow_bin / "python", *command], env=environment, capture_output=True, text=True, check=False, **settings
    )


def test_googles_client_reads_the_metadata(dataflow_bin):
    ended = _run(dataflow_bin, "-m", "tests.pipelines.engines.template_metadata", input=json.dumps(metadata()))
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith(f"{len(metadata()['parameters'])} ")


def test_the_image_has_the_launcher_and_the_script():
    instructions = instructions_of(DOCKERFILE.read_text(encoding="utf-8"), "template")
    launcher = "/opt/google/dataflow/python_template_launcher"
    assert ("COPY", f"--from=launcher {launcher} {launcher}") in instructions
    (script,) = [rest.partition("=")[2] for word, rest in instructions if word == "ENV" and rest.startswith("FLEX_")]
    assert (ROOT / script.removeprefix("/opt/source/")).is_file()
    assert arguments(DOCKERFILE.read_text(encoding="utf-8"))["BEAM_VERSION"]


@pytest.fixture(scope="module")
def launched(dataflow_bin, gcs_server, tmp_path_factory):
    """What the script says and writes, run as the launcher runs it, which then submits the job."""
    folder = tmp_path_factory.mktemp("launcher")
    with gcs_server.selected():
        bucket = gcs_server.make_bucket()
        open_folder(f"{bucket}/data").write("captions.tsv", b"path\ttext\na.png\ta dog\n")
        parameters = {
            "source": f"{bucket}/data/captions.tsv",
            "tower": "vit_b16",
            "weights": f"{bucket}/weights/vit-base.npz",
            "output": f"{bucket}/out",
            "rows_per_shard": "8",
            "gather": "true",
            "whole_tars": "false",
            "sdk_container_image": IMAGE,
        }
        of_the_launcher = {
            "runner": "DataflowRunner",
            "project": "my-project",
            "region": "us-central1",
            "job_name": "embedding",
            "template_location": f"{bucket}/staging/template_launches/1/job_object",
            "staging_location": f"{bucket}/staging",
            "temp_location": f"{bucket}/tmp",
            "machine_type": "g2-standard-24",
            "experiments": f"{L4},disable_logging_submission_environment",
            "use_public_ips": "false",
            "labels": '{"goog-dataflow-provided-template-type": "flex"}',
        }
        here = {"dataflow_endpoint": ADDRESS, "no_auth": "true"}
        given = [f"--{name}={value}" for name, value in (parameters | of_the_launcher | here).items()]
        ended = _run(dataflow_bin, "-c", WITHOUT_CREDENTIALS, SCRIPT, *given, cwd=folder)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        job = json.loads(open_folder(f"{bucket}/staging").read("template_launches/1/job_object"))
        _, _, graph = job["environment"]["sdkPipelineOptions"]["options"]["pipelineUrl"].rpartition(f"{bucket}/")
        graph = open_folder(bucket).read(graph)
    return ended, job, graph


def test_the_script_writes_the_job_that_the_launcher_submits(launched):
    ended, job, _ = launched
    (pool,) = job["environment"]["workerPools"]
    assert (job["name"], pool["machineType"], pool["diskSizeGb"]) == ("embedding", "g2-standard-24", 50)
    assert {L4, "no_use_multiple_sdk_containers"} <= {*job["environment"]["experiments"]}
    assert [each["containerImage"] for each in pool["sdkHarnessContainerImages"]] == [IMAGE]
    assert pool["ipConfiguration"] == "WORKER_IP_PRIVATE"
    assert "the template is written" in ended.stdout


def test_workers_have_to_find_the_gpus_that_are_asked_for(launched):
    *_, graph = launched
    steps = api.Pipeline.FromString(graph).components.transforms.values()
    (step,) = [step for step in steps if step.spec.urn.endswith("pardo:v1") and step.unique_name == "Publish"]
    do_fn, *_ = pickler.loads(api.ParDoPayload.FromString(step.spec.payload).do_fn.payload)
    options = do_fn._launch.embed
    assert (options.device, options.num_devices) == ("gpu", 2)
    assert (options.rows_per_shard, options.source.gather, options.source.whole_tars) == (8, True, False)


def test_it_says_what_a_wrong_parameter_is(dataflow_bin, tmp_path):
    given = ["--source=file:///no/table.tsv", "--tower=vit_b16", f"--output=file://{tmp_path}/out", "--gather=yes"]
    ended = _run(dataflow_bin, SCRIPT, *given)
    assert ended.returncode == 2
    assert re.search(r"error: gather must be true or false, got 'yes'", ended.stderr)
