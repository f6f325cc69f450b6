"""`lit-data import`: makes a dataset of embeddings that another program wrote."""

import dataclasses
import time
from typing import Annotated, Any, Generic, TypeVar, Union

import rich.console
import tyro

from lit_precompute.commands.console import duration, make_console, print_json, writing_to
from lit_precompute.commands.data.written import describe_written
from lit_precompute.commands.progress import ProgressDisplay
from lit_precompute.commands.stopping import interruptible
from lit_precompute.precompute.exchange.importing import Declared, Imported, import_dataset
from lit_precompute.precompute.exchange.layout import Layout
from lit_precompute.precompute.exchange.registry import LAYOUTS
from lit_precompute.schemas.storage import absolute
from lit_precompute.schemas.tables import FAILURES
from lit_precompute.schemas.vectors import VectorType
from lit_precompute.schemas.wording import counted

_HOW_TO_RESUME = "run the same command again to go on after the last finished shard"
_Options = TypeVar("_Options")


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Request(Generic[_Options]):
    """An import of one layout."""

    path: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="PATH")]
    """What to import: a folder, a file or a pattern; a path or a URL."""
    output: str
    """Where the dataset will be: a directory, or a URL."""
    options: Annotated[_Options, tyro.conf.arg(name="")]
    """The layout's own options."""
    tower: str = ""
    """Name of the tower that made the embeddings, as its publisher calls it; recorded as declared, not verified."""
    weights: str = ""
    """What its weights are called, if the tower's name does not tell."""
    dtype: VectorType | None = None
    """Type in which vectors are stored; without one, float16 if the source has that, else float32."""
    rows_per_shard: int = 65_536
    """Most rows of a shard; of TFRecord, a file is a shard."""
    json: bool = False
    """Print JSON for programs."""


def _layout_command(layout: Layout) -> Any:
    assert layout.reading is not None
    options = layout.reading.options
    return Annotated[
        _Request[options], tyro.conf.subcommand(layout.name, description=options.__doc__, prefix_name=False)
    ]


_READABLE = {name: layout for name, layout in LAYOUTS.items() if layout.reading is not None}
_COMMANDS = Union[tuple(map(_layout_command, _READABLE.values()))]  # noqa: UP007 -- made of the registry
_NAME_OF = {layout.reading.options: name for name, layout in _READABLE.items() if layout.reading is not None}


@dataclasses.dataclass(frozen=True)
class Import:
    """Makes a dataset of embeddings that another program wrote; see also the help of each layout.

    Files that are aligned by position are counted first, and none is written if counts differ. Rows of zeros or NaN
    become rows of `failures`. For example:

      lit-data import clip-retrieval laion400m --tower 'OpenAI CLIP ViT-B/32' --output laion
      lit-data import parquet 'gs://bucket/part-*.parquet' --tower dinov2_l14 --output gs://bucket/mine
    """

    # The registry makes the type.
    request: Annotated[_COMMANDS, tyro.conf.arg(name="", help="The layout.")]  # pyright: ignore[reportInvalidTypeForm]

    def run(self, console: rich.console.Console) -> int:
        """Imports; returns the exit status."""
        request: _Request[Any] = self.request
        if request.rows_per_shard < 1:
            raise ValueError(f"--rows-per-shard must be >= 1, got {request.rows_per_shard}")
        layout = _READABLE[_NAME_OF[type(request.options)]]
        assert layout.reading is not None
        path = absolute(request.path, what="path", writing=False)
        source = layout.reading.open(path, request.options, request.rows_per_shard)
        declared = Declared(tower=request.tower, weights=request.weights, vector_type=request.dtype)
        start_s = time.monotonic()
        messages = make_console(stderr=True)  # standard output has the result alone
        with interruptible(_HOW_TO_RESUME), writing_to(request.output), ProgressDisplay(messages) as display:

            def report(done: int, total: int | None) -> None:
                rate = done / max(time.monotonic() - start_s, 1e-9)
                of = counted(done, "row") if total is None else f"{done:,}/{counted(total, 'row')}"
                display.show(f"{of}  {rate:,.0f} rows/s", done, total)

            imported = import_dataset(source, request.output, declared, report=report)
        if request.json:
            print_json(to_json(request.output, imported))
            return 0
        for line in describe(request.output, imported, time.monotonic() - start_s):
            console.print(line)
        return 0


def to_json(output: str, imported: Imported) -> dict[str, Any]:
    """Returns what was imported, as JSON."""
    manifest = imported.manifest
    return {
        **describe_written(output, manifest),
        "ledger": manifest.ledger.model_dump(),
        "reasons": dict(imported.reasons),
        "norms": None if imported.least_norm is None else [imported.least_norm, imported.most_norm],
        "notes": [note.model_dump() for note in manifest.notes],
    }


def describe(output: str, imported: Imported, seconds: float) -> list[str]:
    """Returns what was imported, in lines: rows, failures by reason, norms, and what is not known."""
    manifest, ledger = imported.manifest, imported.manifest.ledger
    rate = (
        f"{counted(imported.num_read, 'row')} in {duration(seconds)}" if imported.num_read else "nothing was left to do"
    )
    lines = [
        f"{output}: {ledger.rows_written:,} rows = {ledger.rows_read:,} read - {ledger.rows_failed:,} failed, in "
        f"{counted(len(manifest.shards), 'shard')}; {rate}"
    ]
    lines += [f"failed: {counted(count, 'row')} {reason}" for reason, count in sorted(imported.reasons.items())]
    if imported.reasons:
        lines.append(f"the table `{FAILURES}` lists them (see lit-data info)")
    if imported.least_norm is not None:
        lines.append(f"norms of the embeddings: from {imported.least_norm:.4g} to {imported.most_norm:.4g}")
    lines += [f"note: {note.what}" for note in manifest.notes]
    lines += dict.fromkeys(tower.caution for tower in manifest.towers.values())
    return [*lines, "models that are tuned on this dataset go with datasets of the same declaration alone"]
