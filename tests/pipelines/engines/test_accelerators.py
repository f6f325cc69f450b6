"""Which accelerators can be asked for, how, and on which machines."""

import pytest

from lit_precompute.pipelines.engines.accelerators import check_accelerator, requested_accelerator

L4 = "type:nvidia-l4;count:1;install-nvidia-driver"
V5E = "type:tpu-v5-lite-podslice;topology:2x2"
OPTION, HINT = "--dataflow_service_options=worker_accelerator=", "--resource_hint=accelerator="


@pytest.mark.parametrize(
    ("flags", "kind", "is_hint"),
    [
        ([], "cpu", False),
        (["--dataflow_service_options=automatically_use_created_reservation"], "cpu", False),
        ([OPTION + L4], "gpu", False),
        (["--experiments=worker_accelerator=" + L4], "gpu", False),
        ([HINT + L4, "--resource_hint=min_ram=12GB"], "gpu", True),
        ([OPTION + V5E], "tpu", False),
    ],
)
def test_the_kind_is_read_from_either_form(flags, kind, is_hint):
    found = requested_accelerator(flags)
    assert (found.kind, found.is_hint) == (kind, is_hint)


def test_both_forms_at_once_are_refused():
    with pytest.raises(ValueError, match=r"asked for twice.*leave the hint out"):
        requested_accelerator([OPTION + L4, HINT + L4])
    with pytest.raises(ValueError, match="more than one accelerator"):
        requested_accelerator([OPTION + L4, OPTION + V5E])


@pytest.mark.parametrize(
    ("flag", "machine"),
    [
        (OPTION + L4, "g2-standard-8"),
        (OPTION + L4 + ":5xx", "g2-standard-8"),
        (OPTION + L4.replace("l4", "tesla-a100"), "a2-highgpu-1g"),
        (OPTION + L4.replace("l4", "a100-80gb"), "a2-ultragpu-1g"),
        (OPTION + L4.replace("l4", "h100-80gb").replace("count:1", "count:8"), "a3-highgpu-8g"),
        (OPTION + L4.replace("l4", "newest"), "z9-standard-8"),
        (HINT + L4, None),
        (OPTION + V5E, "ct5lp-hightpu-4t"),
        (OPTION + "type:tpu-v6e-slice;topology:2x4", "ct6e-standard-8t"),
        ("--num_workers=2", "n2-standard-16"),
    ],
)
def test_machines_that_fit(flag, machine):
    check_accelerator(requested_accelerator([flag]), machine)


@pytest.mark.parametrize(
    ("flag", "machine", "message"),
    [
        (OPTION + L4, "n1-standard-4", "nvidia-l4 needs a --machine_type that begins with g2-, got --machine_type=n1-"),
        (OPTION + L4, None, "begins with g2-, got none"),
        (HINT + L4, "a2-highgpu-1g", "begins with g2-, got"),
        (OPTION + L4.replace("l4", "a100-80gb"), "a2-highgpu-1g", "begins with a2-ultragpu-"),
        (OPTION + "type:nvidia-l4;count:1", "g2-standard-4", "append ;install-nvidia-driver"),
        (OPTION + "type:nvidia-l4;install-nvidia-driver", "g2-standard-4", "count:... is missing"),
        (OPTION + "nvidia-l4", "g2-standard-4", "type:... is missing; for example type:nvidia-l4;count:1"),
        (OPTION + V5E, "ct5lp-hightpu-1t", "2x2 needs --machine_type=ct5lp-hightpu-4t, got --machine_type=ct5lp"),
        (OPTION + "type:tpu-v6e-slice", "ct6e-standard-1t", "topology:... is missing"),
        (HINT + V5E, "ct5lp-hightpu-4t", "by service option only"),
        ("--num_workers=2", "g2-standard-8", "carries an accelerator, which has to be asked for"),
    ],
)
def test_what_dataflow_would_refuse_is_refused_here(flag, machine, message):
    with pytest.raises(ValueError, match=message):
        check_accelerator(requested_accelerator([flag]), machine)


@pytest.mark.parametrize(
    ("flag", "count"),
    [
        (OPTION + "type:nvidia-h100-80gb;count:8;install-nvidia-driver", 8),
        (HINT + L4, 1),
        (OPTION + V5E, 4),
        (OPTION + "type:tpu-v6e-slice;topology:2x4", 8),
        ("--num_workers=2", None),
    ],
)
def test_how_many_a_worker_has_to_find(flag, count):
    assert requested_accelerator([flag]).num_devices == count
