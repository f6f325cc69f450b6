"""lit-data: looks at embedding datasets and checks them."""

import dataclasses
import json
import sys
from typing import Annotated, Any

import rich.console
import rich.progress
import rich.table
import rich.text
import tyro

from schemas.dataset import EmbeddingDataset
from schemas.errors import DatasetError
from schemas.manifest import Manifest
from schemas.verification import verify
from schemas.words import counted

_MAX_REASONS = 10


@dataclasses.dataclass(frozen=True)
class Info:
    """Shows what a dataset holds: rows, tower, source, tables, failures.

    Example:
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
        if self.json:
            card = manifest.model_dump(exclude={"probes", "shards"})
            sizes = {"bytes": table_bytes(manifest), "num_shards": len(manifest.shards), "failures": reasons}
            sys.stdout.write(json.dumps(card | sizes, indent=1, sort_keys=True) + "\n")
        else:
            console.print(make_card(self.dataset, manifest, reasons))
        return 0


@dataclasses.dataclass(frozen=True)
class Verify:
    """Checks every file of a dataset: checksums, counts, alignment, finite values, ledger. Exit status 1 on any fault.

    Example:
      lit-data verify cc12m-vit_l16
    """

    dataset: tyro.conf.Positional[str]
    """Directory of the dataset."""

    def run(self, console: rich.console.Console) -> int:
        """Prints every fault; returns the exit status."""
        with rich.progress.Progress(console=console, disable=not console.is_terminal, transient=True) as display:
            task = display.add_task("files", total=None)
            faults = verify(self.dataset, lambda done, total: display.update(task, completed=done, total=total))
        for fault in faults:
            console.print(f"fault: {fault}", markup=False)
        if faults:
            console.print(f"{self.dataset}: {len(faults)} faults")
            return 1
        manifest = Manifest.read(self.dataset)
        console.print(
            f"{self.dataset}: sound; {counted(manifest.num_rows, 'row')} in {counted(len(manifest.shards), 'shard')}"
        )
        return 0


def table_bytes(manifest: Manifest) -> dict[str, int]:
    """Returns the bytes of each table's files."""
    return {table.name: sum(shard.files[table.name].bytes for shard in manifest.shards) for table in manifest.tables}


def count_reasons(dataset: EmbeddingDataset) -> dict[str, int]:
    """Returns how many rows failed for each reason, the most frequent first."""
    if not any(table.name == "failures" for table in dataset.manifest.tables):
        return {}
    counts = dataset.failures().column("reason").value_counts().to_pylist()
    return {entry["values"]: entry["counts"] for entry in sorted(counts, key=lambda entry: -entry["counts"])}


def make_card(path: str, manifest: Manifest, reasons: dict[str, int]) -> rich.table.Table:
    """Returns a readable card of a dataset."""
    card = rich.table.Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    card.add_column(no_wrap=True)
    card.add_column(overflow="fold")  # hashes are shown whole
    ledger, tower, sizes = manifest.ledger, manifest.tower, table_bytes(manifest)
    rows: list[tuple[str, Any]] = [
        ("dataset", path),
        ("rows", f"{ledger.rows_written:,} = {ledger.rows_read:,} read - {ledger.rows_failed:,} failed"),
        ("shards", f"{len(manifest.shards):,}, in blocks of {manifest.block_rows:,} rows, order: {manifest.order}"),
        ("tower", f"{tower.name}: {tower.output_width} numbers ({tower.pooling}), {tower.num_parameters:,} parameters"),
        ("fingerprint", tower.fingerprint),
        ("preprocessing", json.dumps(tower.preprocessing)),
        ("source", f"{manifest.source.kind} {manifest.source.path}, {counted(len(manifest.source.files), 'file')}"),
    ]
    for table in manifest.tables:
        columns = ", ".join(
            f"{column.name} ({column.vector_type}[{column.width}])" if column.type == "vector" else column.name
            for column in table.columns
        )
        rows.append((f"table {table.name}", f"{sizes[table.name] / 1e6:,.1f} MB: {columns}"))
    rows += [(f"failed: {reason}", counted(count, "row")) for reason, count in list(reasons.items())[:_MAX_REASONS]]
    rows.append(("digest", manifest.digest))
    for name, value in rows:
        card.add_row(rich.text.Text(name, style="bold"), rich.text.Text(str(value)))
    return card


def main() -> None:
    """Entry point of `lit-data`; exits with 0, 1 (faults found) or 2 (wrong input)."""
    commands = Annotated[Info, tyro.conf.subcommand("info")] | Annotated[Verify, tyro.conf.subcommand("verify")]
    command = tyro.cli(commands, prog="lit-data", description=__doc__)
    console = rich.console.Console(soft_wrap=True, highlight=False)
    try:
        status = command.run(console)
    except DatasetError as error:
        rich.console.Console(stderr=True, soft_wrap=True, highlight=False).print(f"error: {error}", markup=False)
        status = 2
    sys.exit(status)


if __name__ == "__main__":
    main()
