"""The machines that Beam's flags ask for."""

import pytest

from lit_precompute.pipelines.estimates.machines import Machine, machine_of

OPTION = "--dataflow_service_options=worker_accelerator="


def test_without_flags_this_machine_embeds():
    assert machine_of([]) == Machine(runner="FnApiRunner")
    assert machine_of([]).words == "this machine"


def test_a_job_on_dataflow():
    flags = ["--runner=DataflowRunner", "--machine_type=n2-standard-16", "--max_num_workers=50", "--region=us-west1"]
    assert machine_of(flags) == Machine(
        runner="DataflowRunner",
        is_here=False,
        is_on_dataflow=True,
        type="n2-standard-16",
        disk_gb=25,
        region="us-west1",
        most=50,
    )


@pytest.mark.parametrize(
    ("flags", "name", "count", "machine"),
    [
        ([OPTION + "type:nvidia-l4;count:4;install-nvidia-driver"], "nvidia-l4", 4, "g2-standard-48"),
        ([OPTION + "type:tpu-v6e-slice;topology:2x4"], "tpu-v6e-slice", 8, "ct6e-standard-8t"),
        (
            ["--resource_hint=accelerator=type:nvidia-tesla-t4;count:1;install-nvidia-driver"],
            "nvidia-tesla-t4",
            1,
            "n1-standard-4",
        ),
    ],
)
def test_accelerators_are_counted(flags, name, count, machine):
    found = machine_of(["--runner=DataflowRunner", f"--machine_type={machine}", *flags])
    assert (found.accelerator, found.num_accelerators, found.disk_gb) == (name, count, 50)
    assert found.words == f"{machine} with {count} x {name}"


def test_a_machine_without_its_accelerator_is_refused_as_it_would_be_by_run():
    with pytest.raises(ValueError, match="it carries an accelerator, which has to be asked for"):
        machine_of(["--runner=DataflowRunner", "--machine_type=g2-standard-8"])
