"""What a finished unit says of its own work: times, bytes, where it was embedded. Kept in the unit's marker.

None of it determines a byte of the dataset; two attempts at one unit differ in it.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from lit_precompute.schemas.tables import StrictModel

if TYPE_CHECKING:  # it imports JAX
    from lit_precompute.precompute.timing import EmbedTimes


class Machine(StrictModel):
    """What a process embeds on.

    Attributes:
      device: kind of its devices, such as "cpu" or "NVIDIA H100 80GB HBM3".
      num_devices: how many it drives.
      cores: processors of its machine.
      decode_in: "threads" or "processes".
      decode_workers: how many of these.
    """

    device: str
    num_devices: int
    cores: int
    decode_in: str
    decode_workers: int


class UnitSeconds(StrictModel):
    """Seconds of work on a unit, or on all units of a job.

    The first six exclude one another: what the thread that embeds was doing. The others run beside it.

    Attributes:
      starting: loading the tower, compiling it, starting decoders.
      reading_rows: reading rows of the source, without their images (of a tar, with them).
      waiting_for_images: no image was ready.
      waiting_for_device: an embedding was needed that was not computed yet.
      writing: encoding rows, checksums, uploads.
      other: the rest, for example copying images into batches.
      reading_images: decoders reading encoded images, summed over all of them.
      decoding: decoders decoding and preparing images, summed over all of them.
      device: a batch was being computed or transferred; where several units share the devices, divided among them.
    """

    starting: float = 0.0
    reading_rows: float = 0.0
    waiting_for_images: float = 0.0
    waiting_for_device: float = 0.0
    writing: float = 0.0
    other: float = 0.0
    reading_images: float = 0.0
    decoding: float = 0.0
    device: float = 0.0

    @classmethod
    def of(cls, times: "EmbedTimes") -> "UnitSeconds":
        """Returns what was measured until now."""
        decoders = times.decoders.totals
        return cls(
            **times.phases.seconds(),
            reading_images=decoders.read_s,
            decoding=decoders.decode_s,
            device=times.device.busy_s,
        )

    @property
    def total(self) -> float:
        """Seconds of the thread that embeds."""
        parts = self.starting, self.reading_rows, self.waiting_for_images, self.waiting_for_device, self.writing
        return sum(parts) + self.other

    def times(self, factor: float) -> "UnitSeconds":
        """Returns a multiple."""
        return UnitSeconds(**{name: factor * value for name, value in self})

    @classmethod
    def sum(cls, parts: Iterable["UnitSeconds"]) -> "UnitSeconds":
        """Returns the sum."""
        known = list(parts)
        return cls(**{name: sum((getattr(part, name) for part in known), 0.0) for name in cls.model_fields})


class UnitReport(StrictModel):
    """What the attempt that finished a unit says of its work.

    Attributes:
      launch: name of the launch.
      worker: name of the process.
      attempt: which attempt at the unit it was, from 1, those of earlier launches included.
      began, ended: seconds since 1970, by the worker's clock.
      seconds: where the time went.
      bytes_read: encoded images.
      bytes_written: the shard's files.
      num_retried: reads that were tried again.
      machine: what it was embedded on.
    """

    launch: str
    worker: str
    attempt: int
    began: float
    ended: float
    seconds: UnitSeconds
    bytes_read: int
    bytes_written: int
    num_retried: int
    machine: Machine
