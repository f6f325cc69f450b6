"""The Flex Template: its metadata by the rules that Google documents, and parameters as lit-embed's command line."""

import json
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

from lit_precompute.commands.flex_template import arguments_of, metadata

pytestmark = pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
PARAMETERS = {one["name"]: one for one in metadata()["parameters"]}
BEAM = ["--runner=DataflowRunner", "--project=p", "--region=r", "--temp_location=gs://b/tmp"]


def test_the_command_prints_the_metadata():
    command = [sys.executable, "-m", "lit_precompute.commands.flex_template"]
    assert json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout) == metadata()


def test_each_flag_of_lit_embed_is_a_parameter_that_explains_itself():
    lit_embed = [pathlib.Path(sys.executable).parent / "lit-embed", "run", "--help"]
    said = subprocess.run(lit_embed, capture_output=True, text=True, check=True).stdout
    flags = {*re.findall(r"^\W+--([a-z][a-z-]*)", said, re.MULTILINE)} - {"help", "wait", "catalog", "embed-again"}
    assert {name.replace("_", "-") for name in PARAMETERS} == flags | {"sdk-container-image"}
    for name, parameter in PARAMETERS.items():
        assert re.fullmatch(r"[a-z][a-z0-9_]*", name)
        assert parameter["label"] and re.search(r"\w+ \w+", parameter["helpText"]), name
        assert parameter["isOptional"] == (name not in ("source", "output"))


def _fits(name, value):
    """Returns whether a value is one that Dataflow lets pass: POSIX's extended expressions, matched whole."""
    (regex,) = PARAMETERS[name]["regexes"]
    grep = [shutil.which("grep"), "-qxE", "--", regex]
    return subprocess.run(grep, input=value + "\n", text=True, check=False).returncode == 0


@pytest.mark.parametrize(
    ("name", "value", "fits"),
    [
        ("source", "gs://b/cc12m/*.tar", True),
        ("source", "tfds:gs://b/tfds/cars?split=train", True),
        ("source", "images/captions.tsv", False),
        ("output", "s3://b/out", True),
        ("output", "", False),
        ("weights", "hf://owner/model/w.npz", True),
        ("weights", "", True),
        ("weights", "w.npz", False),
        ("rows_per_shard", "4096", True),
        ("rows_per_shard", "many", False),
        ("gather", "true", True),
        ("gather", "yes", False),
        ("dtype", "int8", True),
        ("sdk_container_image", "us-docker.pkg.dev/my-project/lit/worker:cuda", True),
    ],
)
def test_what_dataflow_lets_pass(name, value, fits):
    assert _fits(name, value) == fits


def test_every_default_is_one_that_dataflow_lets_pass():
    with_both = [one for one in PARAMETERS.values() if "defaultValue" in one and "regexes" in one]
    assert len(with_both) > 5
    assert [one["name"] for one in with_both if not _fits(one["name"], one["defaultValue"])] == []


def test_parameters_become_a_command_line():
    ours = ["--source=gs://b/t.csv", "--tower=vit_b16", "--output=gs://b/out", "--rows_per_shard=99", "--gather=true"]
    ours += ["--whole_tars=false", "--named_text=title=TITLE; tags=KEYWORDS", "--weights="]
    switches = ["--use_public_ips=false", "--no_auth=true", "--dataflow_endpoint=http://localhost:1"]
    assert arguments_of([*ours, *BEAM, *switches]) == [
        *("run", "--source=gs://b/t.csv", "--tower=vit_b16", "--output=gs://b/out", "--rows-per-shard=99", "--gather"),
        *("--named-text", "title=TITLE", "tags=KEYWORDS", "--no-wait", *BEAM),
        *("--no_use_public_ips", "--no_auth", "--dataflow_endpoint=http://localhost:1"),
    ]


def test_what_only_the_launcher_knows_is_left_out(capsys):
    assert arguments_of(["--launched_by=google", *BEAM]) == ["run", "--no-wait", *BEAM]
    assert "--launched_by=google: left out" in capsys.readouterr().out


def test_a_switch_that_is_neither_on_nor_off_is_refused():
    with pytest.raises(ValueError, match="gather must be true or false, got 'yes'"):
        arguments_of(["--gather=yes"])
