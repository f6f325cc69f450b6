"""Dataflow's accelerators: as users ask for them, and the machines that carry them.

    --dataflow_service_options=worker_accelerator=type:nvidia-l4;count:1;install-nvidia-driver
    --resource_hint=accelerator=type:nvidia-l4;count:1;install-nvidia-driver
    --dataflow_service_options=worker_accelerator=type:tpu-v6e-slice;topology:1x1

Source: cloud.google.com/dataflow/docs, "GPU support", "TPU support" and "Troubleshoot your Dataflow TPU job".
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from apache_beam.options.pipeline_options import DebugOptions, GoogleCloudOptions, PipelineOptions, StandardOptions

from lit_precompute.pipelines.engines.requirements import Accelerator

_OPTION = "worker_accelerator="
_HINT = "accelerator="
_EXAMPLE = "type:nvidia-l4;count:1;install-nvidia-driver"
_DRIVER = "install-nvidia-driver"
# How the names of machines that carry an accelerator begin.
_FAMILIES = {
    "nvidia-l4": ("g2-",),
    "nvidia-tesla-a100": ("a2-highgpu-", "a2-megagpu-"),
    "nvidia-a100-80gb": ("a2-ultragpu-",),
    "nvidia-h100-80gb": ("a3-highgpu-", "a3-edgegpu-"),
    "nvidia-h100-mega-80gb": ("a3-megagpu-",),
    "nvidia-tesla-t4": ("n1-", "custom-"),
    "nvidia-tesla-v100": ("n1-", "custom-"),
}
_TPU_MACHINES = {
    ("tpu-v5-lite-podslice", "1x1"): "ct5lp-hightpu-1t",
    ("tpu-v5-lite-podslice", "2x2"): "ct5lp-hightpu-4t",
    ("tpu-v5-lite-podslice", "2x4"): "ct5lp-hightpu-8t",
    ("tpu-v6e-slice", "1x1"): "ct6e-standard-1t",
    ("tpu-v6e-slice", "2x2"): "ct6e-standard-4t",
    ("tpu-v6e-slice", "2x4"): "ct6e-standard-8t",
}
# Machines that always carry one, and fail to start unless it is asked for.
_ALWAYS_WITH = ("g2-", "a2-", "a3-", "ct5lp-", "ct5p-", "ct6e-")


class Requested(NamedTuple):
    """The accelerator that a job asks for, and how.

    Attributes:
      kind: which of JAX's builds uses it.
      text: what was asked for: `type:nvidia-l4;count:1;install-nvidia-driver`.
      is_hint: whether by a resource hint, otherwise by a service option.
    """

    kind: Accelerator
    text: str = ""
    is_hint: bool = False

    @property
    def num_devices(self) -> int | None:
        """How many of them JAX finds on each machine; None if the text does not say."""
        if self.part("topology"):
            return math.prod(int(side) for side in self.part("topology").split("x") if side.isdigit())
        return int(self.part("count")) if self.part("count").isdigit() else None

    def part(self, name: str) -> str:
        """Returns the value of one of its parts, such as `type`; "" if there is none."""
        parts = (part.partition(":") for part in self.text.split(";"))
        return next((value for key, _, value in parts if key == name), "")


def requested_accelerator(beam_flags: Sequence[str]) -> Requested:
    """Returns the accelerator that the flags ask for; of kind `cpu` if none.

    Raises:
      ValueError: it is asked for twice.
    """
    options = PipelineOptions(list(beam_flags))
    named = [
        option.removeprefix(_OPTION)
        for option in (
            *(options.view_as(GoogleCloudOptions).dataflow_service_options or []),
            *(options.view_as(DebugOptions).experiments or []),
        )
        if option.startswith(_OPTION)
    ]
    hints = [
        hint.removeprefix(_HINT)
        for hint in (options.view_as(StandardOptions).resource_hints or [])
        if hint.startswith(_HINT)
    ]
    if named and hints:
        raise ValueError(
            f"the accelerator is asked for twice, by --dataflow_service_options={_OPTION}{named[0]} and by "
            f"--resource_hint={_HINT}{hints[0]}: Dataflow takes one of the two; leave the hint out"
        )
    if len(named) + len(hints) > 1:
        raise ValueError(
            f"more than one accelerator is asked for: {', '.join([*named, *hints])}; all workers are alike"
        )
    text = (named or hints or [""])[0]
    if not text:
        return Requested("cpu")
    return Requested("tpu" if "tpu" in text else "gpu", text, is_hint=bool(hints))


def check_accelerator(requested: Requested, machine_type: str | None) -> None:
    """Checks what Dataflow would refuse, or what would leave workers without their accelerator, minutes later.

    Raises:
      ValueError: says what to ask for instead.
    """
    machine = (machine_type or "").rpartition("/")[2]
    if requested.kind == "cpu":
        if machine.startswith(_ALWAYS_WITH):
            raise ValueError(
                f"--machine_type={machine}: it carries an accelerator, which has to be asked for: for example "
                f'--dataflow_service_options="{_OPTION}{_EXAMPLE}"'
            )
        return
    if not requested.part("type"):
        raise ValueError(f"accelerator {requested.text!r}: type:... is missing; for example {_EXAMPLE}")
    (_check_tpu if requested.kind == "tpu" else _check_gpu)(requested, machine)


def _check_gpu(requested: Requested, machine: str) -> None:
    name = requested.part("type")
    if not requested.part("count").isdigit():
        raise ValueError(f"accelerator {requested.text!r}: count:... is missing; for example {_EXAMPLE}")
    if _DRIVER not in (part.partition(":")[0] for part in requested.text.split(";")):
        raise ValueError(
            f"accelerator {requested.text!r}: without {_DRIVER} workers have no driver and JAX finds no GPU; "
            f"append ;{_DRIVER}"
        )
    families = _FAMILIES.get(name)
    if not families or (not machine and requested.is_hint):
        return  # new hardware, which this program does not know; of hints Dataflow may choose the machine
    if not machine.startswith(families):
        given = f"got --machine_type={machine}" if machine else "got none"
        raise ValueError(f"{name} needs a --machine_type that begins with {' or '.join(families)}, {given}")


def _check_tpu(requested: Requested, machine: str) -> None:
    name, topology = requested.part("type"), requested.part("topology")
    if requested.is_hint:
        raise ValueError(
            f"--resource_hint={_HINT}{requested.text}: Dataflow has TPUs by service option only; give "
            f'--dataflow_service_options="{_OPTION}{requested.text}"'
        )
    if not topology:
        raise ValueError(
            f"accelerator {requested.text!r}: topology:... is missing; for example type:{name};topology:1x1"
        )
    needed = _TPU_MACHINES.get((name, topology))
    if needed and machine != needed:
        given = f"got --machine_type={machine}" if machine else "got none"
        raise ValueError(f"{name} of topology {topology} needs --machine_type={needed}, {given}")
