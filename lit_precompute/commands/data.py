"""lit-data: inspects and verifies embedding datasets."""

import dataclasses
import json
import sys
from typing import Annotated

import rich.console
import rich.table
import tyro

from lit_precompute.commands.console import (
    DEBUG_HELP,
    card,
    errors_as_messages,
    make_console,
    print_json,
    take_debug_flag,
)
from lit_precompute.commands.pipes import quiet_when_pipe_closes
from lit_precompute.commands.progress import ProgressDisplay
from lit_precompute.schemas.checking.receipt import Receipt, make_receipt
from lit_precompute.schemas.checking.verification import verify
from lit_precompute.schemas.manifest import Manifest
from lit_precompute.schemas.reading.dataset import EmbeddingDataset
from lit_precompute.schemas.wording import counted

_MAX_REASONS = 10


@dataclasses.dataclass(frozen=True)
class Info:
    """Shows what a dataset contains: rows, tower, source, tables, failures, and what the stored type cost in accuracy.

    For example:

      lit-data info cc12m-vit_l16
    """

    dataset: tyro.conf.Positional[str]
    """Directory of the dataset."""
    json: bool = False
    """Print JSON for programs."""

    def run(self, console: rich.console.Console) -> int:
        """Prints the card; returns the exit status."""
        with EmbeddingDataset.open(self.dataset) as dataset:
            manifest = dataset.manifest
            reasons = count_reasons(dataset)
            receipt = make_receipt(dataset)
        if self.json:
            fields = manifest.model_dump(exclude={"probes", "shards"})
            sizes = {"bytes": table_bytes(manifest), "num_shards": len(manifest.shards), "failures": reasons}
            identity = {"model_identity": manifest.tower.model_identity}
            figures = {"receipt": None if receipt is None else dataclasses.asdict(receipt)}
            print_json(fields | identity | sizes | figures, sort_keys=True)
        else:
            console.print(make_card(self.dataset, manifest, reasons, receipt))
        return 0


@dataclasses.dataclass(frozen=True)
class Verify:
    """Checks every file of a dataset: checksums, row counts, alignment, finite values, ledger. Exits with 1 on a fault.

    For example:

      lit-data verify cc12m-vit_l16
    """

    dataset: tyro.conf.Positional[str]
    """Directory of the dataset."""

    def run(self, console: rich.console.Console) -> int:
        """Prints every fault; returns the exit status."""
        with ProgressDisplay(console) as display:

            def report(done: int, total: int) -> None:
                display.show(f"{done:,}/{counted(total, 'file')} checked", done, total)

            faults = verify(self.dataset, report)
        for fault in faults:
            console.print(f"fault: {fault}")
        if faults:
            console.print(f"{self.dataset}: {counted(len(faults), 'fault')}")
            return 1
        manifest = Manifest.read(self.dataset)
        console.print(
            f"{self.dataset}: sound; {counted(manifest.num_rows, 'row')} in {counted(len(manifest.shards), 'shard')}"
        )
        return 0


def table_bytes(manifest: Manifest) -> dict[str, int]:
    """Returns the size of each table's files in bytes."""
    return {table.name: sum(shard.files[table.name].bytes for shard in manifest.shards) for table in manifest.tables}


def count_reasons(dataset: EmbeddingDataset) -> dict[str, int]:
    """Returns the number of failed rows per reason, most frequent first."""
    if not any(table.name == "failures" for table in dataset.manifest.tables):
        return {}
    counts = dataset.failures().column("reason").value_counts().to_pylist()
    return {entry["values"]: entry["counts"] for entry in sorted(counts, key=lambda entry: -entry["counts"])}


def describe_receipt(receipt: Receipt | None, manifest: Manifest) -> list[tuple[str, str]]:
    """Returns what the stored type cost in accuracy, as lines of a card."""
    if receipt is None:
        why = "format version 1 keeps" if manifest.format_version == 1 else "the manifest keeps"
        return [("receipt", f"none: {why} no float32 embeddings to compare with")]
    vector_type = manifest.table("embeddings").columns[1].vector_type
    probes = counted(receipt.num_probes, "probe")
    if receipt.is_exact:
        return [("receipt", f"exact: {vector_type} holds the tower's float32, on {probes}")]
    # float16 differs in the eighth decimal. Both lines fit in 80 columns.
    cosines = f"cosine {receipt.mean_cosine:.8f}, least {receipt.least_cosine:.8f}"
    lines = [("receipt", f"{vector_type} to float32: {cosines}")]
    if not receipt.num_neighbours:
        return lines
    changed = f"nearest changed for {receipt.num_nearest_changed} of {probes}"
    kept = f"{receipt.mean_overlap:.1%} of the {receipt.num_neighbours} kept"
    return [*lines, ("neighbours", f"{changed}; {kept}")]


def make_card(
    path: str, manifest: Manifest, reasons: dict[str, int], receipt: Receipt | None = None
) -> rich.table.Table:
    """Returns the card of a dataset."""
    ledger, tower, sizes = manifest.ledger, manifest.tower, table_bytes(manifest)
    rows = [
        ("dataset", path),
        ("rows", f"{ledger.rows_written:,} = {ledger.rows_read:,} read - {ledger.rows_failed:,} failed"),
        (
            "shards",
            f"{len(manifest.shards):,}, in blocks of {manifest.block_rows:,} rows, order: {manifest.order}",
        ),
        ("tower", f"{tower.name}: {tower.output_width} numbers ({tower.pooling}), {tower.num_parameters:,} parameters"),
        ("fingerprint", tower.fingerprint),
        ("model identity", tower.model_identity or "unknown: the card does not describe the network"),
        ("preprocessing", json.dumps(tower.preprocessing)),
        ("source", f"{manifest.source.kind} {manifest.source.path}, {counted(len(manifest.source.files), 'file')}"),
    ]
    for table in manifest.tables:
        columns = ", ".join(
            f"{column.name} ({column.vector_type}[{column.width}])" if column.type == "vector" else column.name
            for column in table.columns
        )
        rows.append((f"table {table.name}", f"{sizes[table.name] / 1e6:,.1f} MB: {columns}"))
    rows += describe_receipt(receipt, manifest)
    rows += [(f"failed: {reason}", counted(count, "row")) for reason, count in list(reasons.items())[:_MAX_REASONS]]
    rows += [(note.what, f"{note.count:,} (first: {note.first})") for note in manifest.notes]
    return card([*rows, ("digest", manifest.digest)])


@quiet_when_pipe_closes()
def main() -> None:
    """Entry point of `lit-data`; exits with 0, 1 (faults found) or 2 (wrong input)."""
    take_debug_flag(sys.argv)
    commands = Annotated[Info, tyro.conf.subcommand("info")] | Annotated[Verify, tyro.conf.subcommand("verify")]
    command = tyro.cli(commands, prog="lit-data", description=f"{__doc__}\n\n{DEBUG_HELP}")
    with errors_as_messages():
        sys.exit(command.run(make_console()))
