"""`lit-data info`: shows what a dataset contains, or a selection."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Annotated

import rich.console
import rich.table
import tyro

from lit_precompute.commands.console import card, print_json
from lit_precompute.commands.data.selections import show_selection
from lit_precompute.schemas.checking.receipt import Receipt, make_receipt
from lit_precompute.schemas.manifest import Manifest
from lit_precompute.schemas.reading.dataset import EmbeddingDataset
from lit_precompute.schemas.sharing.selection import SUFFIX
from lit_precompute.schemas.tables import EMBEDDINGS, FAILURES, TableSchema
from lit_precompute.schemas.tower_card import TowerCard
from lit_precompute.schemas.wording import counted

_MAX_REASONS = 10
_NO_RECEIPT = ("receipt", "only for a dataset on this machine: it reads rows of up to 64 shards")


@dataclasses.dataclass(frozen=True)
class Info:
    """Shows what a dataset contains: rows, towers, source, tables, failures, and what the stored type cost in accuracy.

    Of a selection, a file that ends in .selection: which rows it names, and how they were found.

    For example:

      lit-data info cc12m-vit_l16
      lit-data info cats.selection
    """

    dataset: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="DATASET")]
    """The dataset, a directory or a URL; or a selection."""
    json: bool = False
    """Print JSON for programs."""

    def run(self, console: rich.console.Console) -> int:
        """Prints the card; returns the exit status."""
        if self.dataset.endswith(SUFFIX):
            show_selection(console, self.dataset, as_json=self.json)
            return 0
        with EmbeddingDataset.open(self.dataset) as dataset:
            manifest, is_remote = dataset.manifest, dataset.is_remote
            # They would fetch many files from a store.
            reasons = {} if is_remote else count_reasons(dataset)
        receipts = {} if is_remote else make_receipts(self.dataset, manifest)
        if self.json:
            identities = {table: tower.model_identity for table, tower in manifest.towers.items()}
            figures = {table: receipt and dataclasses.asdict(receipt) for table, receipt in receipts.items()}
            print_json(
                {
                    **manifest.summary(),
                    "failures": reasons,
                    "model_identities": identities,
                    "receipts": figures,
                    # Of the table `embeddings`.
                    "tower": manifest.tower.model_dump(),
                    "model_identity": identities[EMBEDDINGS],
                    "receipt": figures.get(EMBEDDINGS),
                },
                sort_keys=True,
            )
        else:
            console.print(make_card(self.dataset, manifest, reasons, receipts))
        return 0


def make_receipts(path: str, manifest: Manifest) -> dict[str, Receipt | None]:
    """Returns the receipt of each table of embeddings."""
    receipts: dict[str, Receipt | None] = {}
    for table in manifest.towers:
        with EmbeddingDataset.open(path, tables=[table]) as dataset:
            receipts[table] = make_receipt(dataset)
    return receipts


def count_reasons(dataset: EmbeddingDataset) -> dict[str, int]:
    """Returns the number of failed rows per reason, most frequent first."""
    if not any(table.name == FAILURES for table in dataset.manifest.tables):
        return {}
    counts = dataset.failures().column("reason").value_counts().to_pylist()
    return {entry["values"]: entry["counts"] for entry in sorted(counts, key=lambda entry: -entry["counts"])}


def describe_receipt(receipt: Receipt | None, manifest: Manifest, table: str = EMBEDDINGS) -> list[tuple[str, str]]:
    """Returns what the stored type cost in accuracy, as lines of a card."""
    if receipt is None:
        why = "format version 1 keeps" if manifest.format_version == 1 else "the manifest keeps"
        return [("receipt", f"none: {why} no float32 embeddings to compare with")]
    vector_type = manifest.table(table).columns[1].vector_type
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
    path: str, manifest: Manifest, reasons: dict[str, int], receipts: Mapping[str, Receipt | None]
) -> rich.table.Table:
    """Returns the card of a dataset."""
    ledger, source, shards = manifest.ledger, manifest.source, manifest.shards
    rows = [
        ("dataset", path),
        ("rows", f"{ledger.rows_written:,} = {ledger.rows_read:,} read - {ledger.rows_failed:,} failed"),
        ("shards", f"{len(shards):,}, in blocks of {manifest.block_rows:,} rows, order: {manifest.order}"),
        ("source", f"{source.kind} {source.path}, {counted(source.num_files, 'file')}"),
    ]
    for name, tower in manifest.towers.items():
        if len(manifest.towers) > 1:
            rows.append((name, ""))
        rows += describe_tower(tower)
        rows += describe_receipt(receipts[name], manifest, name) if name in receipts else [_NO_RECEIPT]
    rows += [(f"table {table.name}", describe_table(table, manifest)) for table in manifest.tables]
    rows += describe_references(manifest)
    rows += [(f"attachment {name}", f"{file.bytes:,} bytes") for name, file in manifest.attachments.items()]
    rows += describe_environments(manifest)
    rows += [(f"failed: {reason}", counted(count, "row")) for reason, count in list(reasons.items())[:_MAX_REASONS]]
    rows += [(note.what, f"{note.count:,} (first: {note.first})") for note in manifest.notes]
    return card([*rows, ("digest", manifest.digest)])


def describe_tower(tower: TowerCard) -> list[tuple[str, str]]:
    """Returns a tower as lines of a card."""
    if tower.is_declared:
        return [
            ("tower", f"{tower.name}: {tower.output_width} numbers; declared, not verified"),
            ("fingerprint", tower.fingerprint),
            ("model identity", "unknown: nobody has compared the tower with the embeddings"),
            ("weights", tower.architecture["declared"]["weights"] or "unknown"),
        ]
    return [
        ("tower", f"{tower.name}: {tower.output_width} numbers ({tower.pooling}), {tower.num_parameters:,} parameters"),
        ("fingerprint", tower.fingerprint),
        ("model identity", tower.model_identity or "unknown: the card does not describe the network"),
        ("preprocessing", json.dumps(tower.preprocessing)),
    ]


def describe_table(table: TableSchema, manifest: Manifest) -> str:
    """Returns a table's size, columns, and the dataset that it is in if it is another one."""
    columns = ", ".join(
        f"{column.name} ({column.vector_type}[{column.width}])" if column.type == "vector" else column.name
        for column in table.columns
    )
    where = "" if table.reference is None else f"; in {manifest.references[table.reference].path}"
    return f"{manifest.shards.table_bytes(table.name) / 1e6:,.1f} MB: {columns}{where}"


def describe_references(manifest: Manifest) -> list[tuple[str, str]]:
    """Returns the datasets that some tables are in, as lines of a card."""
    lines: list[tuple[str, str]] = []
    for number, reference in enumerate(manifest.references):
        tables = [table.name for table in manifest.tables if table.reference == number]
        lines.append(("refers to", f"{reference.path} for {', '.join(tables)}; its digest: {reference.digest}"))
    return lines


def describe_environments(manifest: Manifest) -> list[tuple[str, str]]:
    """Returns what the shards were made with as lines of a card; if that differs, how many shards with each."""
    environments = manifest.summary()["environments"]
    words = [
        f"{each['device']}; {', '.join(f'{name} {version}' for name, version in each['libraries'].items())}"
        for each in environments
    ]
    if len(words) == 1:
        return [("made with", words[0])]
    lines = [(counted(each["num_shards"], "shard"), word) for each, word in zip(environments, words, strict=True)]
    return [("made with", f"{len(words)} environments, so that equal images may differ in their last bits"), *lines]
