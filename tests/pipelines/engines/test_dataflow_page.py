"""The commands of docs/dataflow.md, extracted from the page and submitted without a cloud."""

import json
import pathlib
import re
import shlex
from typing import Any

import pytest
import tyro

from lit_precompute.commands.beam_flags import check_beam_flags
from lit_precompute.commands.flags import flat_flags
from lit_precompute.commands.flex_template import arguments_of, metadata
from lit_precompute.pipelines.embed.options import EmbedOptions
from lit_precompute.pipelines.engines.dataflow import dataflow_flags
from tests.containers.dockerfile import ROOT, TARGETS

pytestmark = pytest.mark.slow

PAGE = (pathlib.Path(ROOT) / "docs/dataflow.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^    ((?:lit-embed|docker|gcloud) (?:.*\\\n)*.*)$", PAGE, re.MULTILINE)
RUNS = [command for command in COMMANDS if command.startswith("lit-embed run ")]
SET_HERE = ("--runner", "--project", "--region", "--temp_location")


def _parsed(command):
    """Returns a command's options and the flags that go to Beam."""
    arguments = shlex.split(command.replace("\\\n", " "))[2:]
    options: Any = flat_flags(EmbedOptions)
    return tyro.cli(options, args=arguments, return_unknown_args=True)


@pytest.fixture(scope="module")
def described(submit_all, tmp_path_factory):
    """For each command, its options and the job's pool of workers and environment."""
    cases, parsed = {}, {}
    for number, command in enumerate(RUNS):
        options, flags = _parsed(command)
        check_beam_flags(flags)
        folder = tmp_path_factory.mktemp("job")
        parsed[number] = options, folder
        places = {"--source": options.source.path, "--output": options.output, "--weights": options.tower.weights}
        rest = [flag for flag in flags if flag.partition("=")[0] not in SET_HERE]
        cases[number] = {"flags": rest, "folder": str(folder), "places": places, "tower": options.tower.name}
    submit_all(cases)
    jobs = {}
    for number, (options, folder) in parsed.items():
        environment = json.loads((folder / "job.json").read_text())["environment"]
        (pool,) = environment["workerPools"]
        jobs[RUNS[number]] = options, environment, pool
    return jobs


def test_the_page_has_a_command_for_each_kind_of_machine():
    accelerators = " ".join(RUNS)
    assert len(RUNS) == 5
    assert all(
        kind in accelerators for kind in ("nvidia-l4", "nvidia-tesla-a100", "tpu-v5-lite-podslice", "n2-standard")
    )


@pytest.mark.parametrize("command", RUNS)
def test_a_command_is_accepted_and_its_job_is_what_it_says(described, command):
    _, environment, pool = described[command]
    assert f"--machine_type={pool['machineType']}" in command
    assert f"--max_num_workers={pool['autoscalingSettings'].get('maxNumWorkers')}" in command or "hint" in command
    assert "no_use_multiple_sdk_containers" in environment["experiments"]
    (image,) = (each["containerImage"] for each in pool["sdkHarnessContainerImages"])
    staged = {package["name"] for package in pool.get("packages", [])}
    assert (f"--sdk_container_image={image}" in command) != any(name.endswith(".whl") for name in staged)


def test_the_images_are_targets_of_the_dockerfile():
    targets = {*TARGETS, "template"}
    assert set(re.findall(r"/lit:(\w+)", PAGE)) | set(re.findall(r"--target (\w+)", PAGE)) <= targets
    builds = [command for command in COMMANDS if command.startswith("docker build")]
    assert len(builds) == 2
    assert all((ROOT / re.search(r"--file (\S+)", build)[1]).exists() for build in builds)


def test_the_flex_template_is_run_with_parameters_that_it_has():
    """gcloud's own flags reach Beam by the names of Google's launcher."""
    (command,) = (command for command in COMMANDS if command.startswith("gcloud dataflow flex-template run "))
    flags = [flag.partition("=")[::2] for flag in shlex.split(command.replace("\\\n", " "))[5:]]
    parameters = dict(value.split("=", 1) for flag, value in flags if flag == "--parameters")
    described = {one["name"]: one for one in metadata()["parameters"]}
    assert all(re.fullmatch(described[name].get("regexes", [".*"])[0], value) for name, value in parameters.items())
    assert {name for name, one in described.items() if not one["isOptional"]} <= parameters.keys()
    names = {"worker-machine-type": "machine_type", "max-workers": "max_num_workers"}
    names |= {"additional-experiments": "experiments"}
    of_beam = {
        names.get(flag[2:], flag[2:].replace("-", "_")): value for flag, value in flags if flag != "--parameters"
    }
    del of_beam["template_file_gcs_location"]
    given = [f"--{name}={value}" for name, value in ({"runner": "DataflowRunner"} | of_beam | parameters).items()]
    arguments = arguments_of(given)
    options, beam_flags = _parsed(shlex.join(["lit-embed", *(part for part in arguments if part != "--no-wait")]))
    check_beam_flags(beam_flags)
    assert len(beam_flags) == len(of_beam) + 2  # the runner, the image
    added = dataflow_flags(beam_flags, places={"--source": options.source.path, "--output": options.output})
    assert "--disk_size_gb=50" in added


def test_the_readmes_command_is_the_pages():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"^    (lit-embed run --runner=DataflowRunner (?:.*\\\n)*.*)$", readme, re.MULTILINE)
    assert command in RUNS
