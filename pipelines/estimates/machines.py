"""The machines that a job's flags ask for."""

import dataclasses
from collections.abc import Sequence

from apache_beam.options.pipeline_options import (
    GoogleCloudOptions,
    PipelineOptions,
    WorkerOptions,
)

from lit_precompute.pipelines.engines.accelerators import check_accelerator, requested_accelerator
from lit_precompute.pipelines.engines.dataflow import disk_size_gb
from lit_precompute.pipelines.engines.runners import embeds_here, runner_name, with_runner

_DATAFLOW = "DataflowRunner"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Machine:
    """One of a job's machines, which are alike.

    Attributes:
      runner: the engine, as users type it.
      is_here: whether this process embeds.
      is_on_dataflow: whether Dataflow rents it.
      type: such as n2-standard-16; "" if no flag names one.
      accelerator: its kind; "" for none.
      num_accelerators: on it.
      disk_gb: of its disk; 0 if no flag says so.
      region: where it is; "" if no flag says so.
      most: machines at most, by the flags; None if they do not say.
    """

    runner: str
    is_here: bool = True
    is_on_dataflow: bool = False
    type: str = ""
    accelerator: str = ""
    num_accelerators: int = 0
    disk_gb: float = 0
    region: str = ""
    most: int | None = None

    @property
    def words(self) -> str:
        """What it is, in words."""
        name = self.type or ("this machine" if self.is_here else f"a machine of {self.runner}")
        accelerators = f" with {self.num_accelerators} x {self.accelerator}" if self.accelerator else ""
        return name + accelerators


def machine_of(beam_flags: Sequence[str]) -> Machine:
    """Returns the machine that the flags ask for.

    Raises:
      ValueError: machine and accelerator do not fit, or the accelerator is asked for twice.
    """
    options = PipelineOptions(with_runner(beam_flags))
    worker, name = options.view_as(WorkerOptions), runner_name(beam_flags)
    requested = requested_accelerator(beam_flags)
    is_on_dataflow = name == _DATAFLOW
    if is_on_dataflow:
        check_accelerator(requested, worker.machine_type)
    disk = worker.disk_size_gb or (disk_size_gb(requested.kind, weights_bytes=0) if is_on_dataflow else 0)
    workers = (worker.max_num_workers, worker.num_workers)
    return Machine(
        runner=name,
        is_here=embeds_here(beam_flags) and not worker.machine_type,
        is_on_dataflow=is_on_dataflow,
        type=(worker.machine_type or "").rpartition("/")[2],
        accelerator=requested.part("type"),
        num_accelerators=requested.num_devices or 0,
        disk_gb=disk,
        region=options.view_as(GoogleCloudOptions).region or "",
        most=next((number for number in workers if number), None),
    )
