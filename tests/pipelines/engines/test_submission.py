"""Complete jobs, submitted without a cloud: what Dataflow would get, and how a job is found again."""

import json

import pytest
from apache_beam.portability.api import beam_runner_api_pb2 as api

pytestmark = pytest.mark.slow

L4 = "type:nvidia-l4;count:1;install-nvidia-driver"
V6E = "type:tpu-v6e-slice;topology:2x2"
IMAGE = "us-docker.pkg.dev/my-project/lit/worker:cuda"
WHEEL = "lit_precompute-0.1.0-py3-none-any.whl"
OPTION = "--dataflow_service_options=worker_accelerator="
DESCRIBED = {
    "options": {"flags": [OPTION + L4, "--machine_type=g2-standard-8"]},
    "hints": {"flags": [f"--resource_hint=accelerator={L4}", f"--sdk_container_image={IMAGE}"]},
    "tpu": {
        "flags": [OPTION + V6E, "--machine_type=ct6e-standard-4t"],
        "tower": "my_towers:wide",
        "weights_bytes": 9_000_000_000,
    },
}
FOLLOWED = {
    "done": {"flags": [], "end": "DONE"},
    "failed": {"flags": [], "end": "FAILED"},
    "cancelled": {"flags": [], "end": "RUNNING", "cancel": True},
}


@pytest.fixture(scope="module")
def submitted(submit_all, gcs_server, tmp_path_factory):
    folders = {name: tmp_path_factory.mktemp(name) for name in DESCRIBED}
    cases = {name: {**case, "folder": str(folders[name])} for name, case in DESCRIBED.items()}
    with gcs_server.selected():
        bucket = gcs_server.make_bucket()
        said = submit_all(cases | {name: {**case, "bucket": bucket} for name, case in FOLLOWED.items()})
    return {name: folders.get(name, outcome) for name, outcome in said.items()} | {"said": said}


def _described(folder):
    """Returns a job's environment, its one pool of workers, and the hints and artifacts in the job's graph."""
    environment = json.loads((folder / "job.json").read_text())["environment"]
    (pool,) = environment["workerPools"]
    graph = (folder / "pipeline.pb").read_bytes()
    assert len(graph) < 10_000_000
    (one,) = api.Pipeline.FromString(graph).components.environments.values()
    hints = {urn: value.decode() for urn, value in one.resource_hints.items()}
    artifacts = [api.ArtifactStagingToRolePayload.FromString(each.role_payload) for each in one.dependencies]
    return environment, pool, hints, {artifact.staged_name for artifact in artifacts}


def test_the_job_by_service_options(submitted):
    environment, pool, hints, artifacts = _described(submitted["options"])
    assert (pool["machineType"], pool["diskSizeGb"]) == ("g2-standard-8", 50)
    assert environment["serviceOptions"] == [f"worker_accelerator={L4}"] and hints == {}
    assert environment["experiments"].count("no_use_multiple_sdk_containers") == 1
    assert "use_multiple_sdk_containers" not in environment["experiments"]
    assert {package["name"] for package in pool["packages"]} == artifacts == {"extra_packages.txt", WHEEL}
    assert (submitted["options"] / "extra_packages.txt").read_text() == f"{WHEEL}\n"
    (image,) = pool["sdkHarnessContainerImages"]
    assert image["containerImage"].endswith("sdk:2.77.0")


def test_the_job_by_hints_and_an_image(submitted):
    environment, pool, hints, artifacts = _described(submitted["hints"])
    assert hints == {"beam:resources:accelerator:v1": L4} and not environment.get("serviceOptions")
    assert [each["containerImage"] for each in pool["sdkHarnessContainerImages"]] == [IMAGE]
    assert artifacts == set()  # the image has everything


def test_the_job_on_tpus_with_a_tower_of_the_users_own(submitted):
    _, pool, _, artifacts = _described(submitted["tpu"])
    assert pool["diskSizeGb"] == 59
    assert artifacts == {"extra_packages.txt", WHEEL, "lit_precompute_user_modules-0-py3-none-any.whl"}


def test_a_template_submits_nothing(submitted):
    assert {(said["job"], said["state"]) for said in (submitted["said"][name] for name in DESCRIBED)} == {
        (None, "DONE")
    }


def test_a_job_that_is_done(submitted):
    said = submitted["done"]
    assert (said["state"], said["failure"]) == ("DONE", "")
    assert said["link"].endswith("/us-central1/2026-01-01_job?project=my-project")
    (pool,) = said["description"]["environment"]["workerPools"]
    assert pool["kind"] == "harness"  # as the service itself would get it
    assert {package["name"] for package in pool["packages"]} == {
        "extra_packages.txt",
        "submission_environment_dependencies.txt",
        WHEEL,
    }
    assert {package["location"].partition("/")[0] for package in pool["packages"]} == {"storage.googleapis.com"}


def test_a_job_that_failed_says_a_workers_own_sentence(submitted):
    said = submitted["failed"]
    sentence = "WorkerError: rows 1 to 8 of gs://data/a.tar: gs://data/a.tar: Forbidden"
    assert (said["state"], said["failure"]) == ("FAILED", sentence)


def test_a_job_is_cancelled_by_its_name(submitted):
    said = submitted["cancelled"]
    assert (said["before"], said["cancelled"], said["again"], said["state"]) == ("RUNNING", True, False, "CANCELLED")
    assert [line for line in said["requests"] if line.startswith("PUT")] == [
        "PUT /sandbox/v1b3/projects/my-project/locations/us-central1/jobs/2026-01-01_job"
    ]
