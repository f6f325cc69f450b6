"""The price file: what machines, accelerators, disks, storage and Dataflow charge; dated, and for users to edit.

Promises: a file with an unknown name, a wrong type or a negative price is an error that names the field; what a file
leaves out is never guessed.
"""

import dataclasses
import datetime
import pathlib
import tomllib
from collections.abc import Mapping
from typing import Any, TypeVar

from lit_precompute.schemas.storage import open_file
from lit_precompute.towers.options import OptionsError, read_options

SHIPPED = pathlib.Path(__file__).with_name("prices.toml")
HOURS_PER_MONTH = 730
_WHAT_TO_DO = "lit-embed plan --print-prices prints a file to copy from"
Part = TypeVar("Part")


class _Priced:
    """Prices are not negative."""

    def __post_init__(self):
        for name, value in vars(self).items():
            if isinstance(value, float) and not 0 <= value < float("inf"):
                raise ValueError(f"{name} must be >= 0, got {value}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class MachinePrice(_Priced):
    """A machine type: its cores and memory, and what an hour of it costs; None for what is not in the file."""

    vcpus: float | None = None
    memory_gb: float | None = None
    hour: float | None = None
    spot_hour: float | None = None
    includes_accelerators: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class AcceleratorPrice(_Priced):
    """What an hour of one accelerator costs, on a machine that one rents."""

    hour: float | None = None
    spot_hour: float | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataflowPrice(_Priced):
    """What Dataflow charges for a batch job."""

    vcpu_hour: float | None = None
    memory_gb_hour: float | None = None
    flexrs_vcpu_hour: float | None = None
    flexrs_memory_gb_hour: float | None = None
    disk_gb_hour: float | None = None
    shuffle_gb: float | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class StoragePrice(_Priced):
    """What a gigabyte costs a month: of a machine's disk, and in a bucket."""

    disk_gb_month: float | None = None
    bucket_gb_month: float | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prices:
    """A price file.

    Attributes:
      path: of the file, for messages.
      date: when its figures were looked up.
      currency: of all of them.
      region: for which they hold.
      dataflow: Dataflow's charges.
      dataflow_accelerators: Dataflow's charges for an accelerator, an hour.
      machines: by type.
      accelerators: of machines that one rents, by name.
      storage: disks and buckets.
    """

    path: str
    date: str
    currency: str
    region: str
    dataflow: DataflowPrice
    dataflow_accelerators: Mapping[str, float]
    machines: Mapping[str, MachinePrice]
    accelerators: Mapping[str, AcceleratorPrice]
    storage: StoragePrice


def read_prices(path: str | None = None) -> Prices:
    """Returns the prices in a file; None: in the one that is shipped.

    Raises:
      ValueError: it is no TOML, or a field has an unknown name or a wrong value.
      OSError: it cannot be read.
    """
    place = str(SHIPPED) if path is None else path
    shown = SHIPPED.name if path is None else path
    with open_file(place) as file:
        data = file.read()
    try:
        return _parse(shown, tomllib.loads(data.decode()))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{shown}: not a TOML file: {error}; {_WHAT_TO_DO}") from error
    except OptionsError as error:
        raise ValueError(f"{shown}: {error}; {_WHAT_TO_DO}") from error


def _parse(path: str, content: dict[str, Any]) -> Prices:
    content = dict(content)
    date = content.pop("date", None)
    if not isinstance(date, datetime.date):
        raise OptionsError(f"date must be a day such as 2026-11-28, without quotes, got {date!r}")
    words = {name: content.pop(name, None) for name in ("currency", "region")}
    for name, value in words.items():
        if not isinstance(value, str):
            raise OptionsError(f"{name} must be a string, got {value!r}")
    sections = {
        name: _table(content.pop(name, {}), name) for name in ("dataflow", "machines", "accelerators", "storage")
    }
    if content:
        raise OptionsError(f"{next(iter(content))} is not known here; there are date, {', '.join([*words, *sections])}")
    on_dataflow = _table(sections["dataflow"].pop("accelerators", {}), "dataflow.accelerators")
    return Prices(
        path=path,
        date=date.isoformat(),
        **words,
        dataflow=_part(DataflowPrice, sections["dataflow"], "dataflow"),
        dataflow_accelerators={name: _price(on_dataflow, name) for name in on_dataflow},
        machines=_each(MachinePrice, sections, "machines"),
        accelerators=_each(AcceleratorPrice, sections, "accelerators"),
        storage=_part(StoragePrice, sections["storage"], "storage"),
    )


def _table(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise OptionsError(f"{where} must be a table of prices, got {value!r}")
    return dict(value)


def _each(kind: type[Part], sections: Mapping[str, dict[str, Any]], name: str) -> dict[str, Part]:
    return {each: _part(kind, value, f"{name}.{each}") for each, value in sections[name].items()}


def _part(kind: type[Part], value: Any, where: str) -> Part:
    try:
        return read_options(kind, _table(value, where), where)
    except OptionsError as error:
        message = str(error)
        raise OptionsError(message if message.startswith(where) else f"{where}.{message}") from error  # its own rule


def _price(prices: Mapping[str, Any], name: str) -> float:
    value = prices[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise OptionsError(f"dataflow.accelerators.{name} must be a price >= 0, got {value!r}")
    return float(value)
