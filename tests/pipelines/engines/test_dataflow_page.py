"""The commands of docs/dataflow.md, extracted from the page and submitted without a cloud."""

import json
import pathlib
import re
import shlex
from typing import Any

import pytest
import tyro

from lit_precompute.commands.embed.beam_flags import check_beam_flags
from lit_precompute.commands.embed.flags import flat_flags
from lit_precompute.pipelines.embed.options import EmbedOptions
from tests.containers.dockerfile import ROOT, TARGETS

pytestmark = pytest.mark.slow

PAGE = (pathlib.Path(ROOT) / "docs/dataflow.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^    ((?:lit-embed|docker) (?:.*\\\n)*.*)$", PAGE, re.MULTILINE)
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
    assert set(re.findall(r"/lit:(\w+)", PAGE)) | set(re.findall(r"--target (\w+)", PAGE)) <= set(TARGETS)
    (build,) = (command for command in COMMANDS if command.startswith("docker build"))
    assert (ROOT / re.search(r"--file (\S+)", build)[1]).exists()


def test_the_readmes_command_is_the_pages():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"^    (lit-embed run --runner=DataflowRunner (?:.*\\\n)*.*)$", readme, re.MULTILINE)
    assert command in RUNS
