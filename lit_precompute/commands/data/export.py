"""`lit-data export`: writes a dataset in the layout of another program."""

import dataclasses
import time
from typing import Annotated, Any, Generic, TypeVar, Union

import rich.console
import tyro

from lit_precompute.commands.console import duration, make_console, print_json, writing_to
from lit_precompute.commands.progress import ProgressDisplay
from lit_precompute.commands.stopping import interruptible
from lit_precompute.precompute.exchange.exported import ExportType
from lit_precompute.precompute.exchange.exporting import ExportSummary, export_dataset
from lit_precompute.precompute.exchange.layout import Layout
from lit_precompute.precompute.exchange.registry import LAYOUTS
from lit_precompute.schemas.manifest import Manifest
from lit_precompute.schemas.sharing.selection import Selection
from lit_precompute.schemas.tables import EMBEDDINGS
from lit_precompute.schemas.wording import counted

_HOW_TO_RESUME = "run the same command again; an export begins anew"
_Options = TypeVar("_Options")


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Request(Generic[_Options]):
    """An export to one layout."""

    dataset: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="DATASET")]
    """The dataset: a directory, or a URL."""
    output: str
    """Where to write: a directory, or a URL."""
    options: Annotated[_Options, tyro.conf.arg(name="")]
    """The layout's own options."""
    table: str = EMBEDDINGS
    """The table of embeddings, such as embeddings-view1, for layouts that have one."""
    dtype: ExportType | None = None
    """Type of vectors: float16 or float32; without one, float16 where they are stored so, else float32."""
    selection: str | None = None
    """Export only the rows of this selection, which lit-data select wrote."""
    rows_per_file: int | None = None
    """Rows of each file; without a number, the layout's own."""
    json: bool = False
    """Print JSON for programs."""


def _layout_command(layout: Layout) -> Any:
    assert layout.writing is not None
    options = layout.writing.options
    return Annotated[
        _Request[options], tyro.conf.subcommand(layout.name, description=options.__doc__, prefix_name=False)
    ]


_WRITABLE = {name: layout for name, layout in LAYOUTS.items() if layout.writing is not None}
_COMMANDS = Union[tuple(map(_layout_command, _WRITABLE.values()))]  # noqa: UP007 -- made of the registry
_NAME_OF = {layout.writing.options: name for name, layout in _WRITABLE.items() if layout.writing is not None}


@dataclasses.dataclass(frozen=True)
class Export:
    """Writes a dataset in the layout of another program; see also the help of each layout.

    What the layout cannot hold is left out or converted, and said. For example:

      lit-data export clip-retrieval cc12m-vit_l16 --output cc12m-clip
      lit-data export parquet gs://bucket/cc12m-vit_l16 --output gs://bucket/cc12m-parquet --dtype float16
    """

    # The registry makes the type.
    request: Annotated[_COMMANDS, tyro.conf.arg(name="", help="The layout.")]  # pyright: ignore[reportInvalidTypeForm]

    def run(self, console: rich.console.Console) -> int:
        """Exports; returns the exit status."""
        request: _Request[Any] = self.request
        if request.rows_per_file is not None and request.rows_per_file < 1:
            raise ValueError(f"--rows-per-file must be >= 1, got {request.rows_per_file}")
        layout = _WRITABLE[_NAME_OF[type(request.options)]]
        selection = None if request.selection is None else Selection.open(request.selection)
        if selection is not None and request.selection is not None:
            selection.check(Manifest.read(request.dataset), request.selection)
        start_s = time.monotonic()
        messages = make_console(stderr=True)  # standard output has the result alone
        with interruptible(_HOW_TO_RESUME), writing_to(request.output), ProgressDisplay(messages) as display:

            def report(done: int, total: int | None) -> None:
                rate = done / max(time.monotonic() - start_s, 1e-9)
                display.show(f"{done:,}/{counted(total or 0, 'row')}  {rate:,.0f} rows/s", done, total)

            summary = export_dataset(
                request.dataset,
                layout,
                request.options,
                request.output,
                table=request.table,
                vector_type=request.dtype,
                selection=selection,
                rows_per_file=request.rows_per_file,
                report=report,
            )
        if request.json:
            print_json({"output": request.output, **dataclasses.asdict(summary)})
            return 0
        for line in describe(request.output, summary, time.monotonic() - start_s):
            console.print(line)
        return 0


def describe(output: str, summary: ExportSummary, seconds: float) -> list[str]:
    """Returns what was exported, in lines: rows and files, what was converted, what was left out."""
    lines = [
        f"{output}: {counted(summary.num_rows, 'row')} in {counted(summary.num_files, 'file')}, "
        f"{summary.num_bytes / 1e6:,.1f} MB, counted again there; {duration(seconds)}"
    ]
    lines += [f"converted: {table}, {types}" for table, types in summary.converted.items()]
    return lines + [f"left out: table {table}, which the layout has no place for" for table in summary.left_out]
