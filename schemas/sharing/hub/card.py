"""The dataset card that the hub shows (README.md): what the embeddings are, how good, and how to load them."""

import dataclasses
import json
from collections.abc import Mapping

import huggingface_hub

from lit_precompute.schemas.checking.receipt import Receipt
from lit_precompute.schemas.dataset_files import TWIN
from lit_precompute.schemas.manifest import Manifest
from lit_precompute.schemas.tables import TableSchema
from lit_precompute.schemas.tower_card import TowerCard
from lit_precompute.schemas.wording import counted

_SIZES = [1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000]
_SIZE_WORDS = ["n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "10M<n<100M", "100M<n<1B", "n>1B"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class CardOptions:
    """What the dataset itself does not know.

    Attributes:
      license: Licence of the embeddings and texts, as the hub names it: cc-by-4.0, apache-2.0, other ...
      title: Title of the card; the repository's name without it.
      language: Languages of the texts: en, de ...
    """

    license: str = "unknown"
    title: str | None = None
    language: tuple[str, ...] = ()


def make_card(
    repository: str, manifest: Manifest, receipts: Mapping[str, Receipt | None], twins: list[str], options: CardOptions
) -> str:
    """Returns the card of a dataset.

    Args:
      repository: `OWNER/NAME`.
      manifest: of the dataset.
      receipts: of each table of embeddings.
      twins: the tables that have a Parquet twin, for the hub's viewer.
      options: what the dataset does not know.
    """
    title = options.title or repository.partition("/")[2]
    sections = [
        f"---\n{_metadata(manifest, title, twins, options)}\n---",
        f"# {title}",
        f"{manifest.num_rows:,} image embeddings by {manifest.tower.name}, made with lit-precompute from "
        f"`{manifest.source.path}` ({manifest.source.kind}). One row is one image: its key, its embedding, its texts.",
        _how_to_load(repository, twins),
        "## Towers",
        *(_of_tower(table, tower, receipts.get(table)) for table, tower in manifest.towers.items()),
        "## Rows and tables",
        _of_rows(manifest),
        _of_tables(manifest),
        "## Trust",
        _of_trust(manifest),
    ]
    return "\n\n".join(sections) + "\n"


def _metadata(manifest: Manifest, title: str, twins: list[str], options: CardOptions) -> str:
    size = sum(manifest.num_rows >= least for least in _SIZES)
    metadata = huggingface_hub.DatasetCardData(
        license=options.license,
        language=list(options.language) or None,
        pretty_name=title,
        size_categories=[_SIZE_WORDS[size]],
        task_categories=["zero-shot-image-classification", "image-feature-extraction"],
        tags=["embeddings", "lit-precompute", "locked-image-tuning"],
        configs=[
            {
                "config_name": table,
                "data_files": f"{TWIN}/{table}/*.parquet",
                **({"default": True} if not place else {}),
            }
            for place, table in enumerate(twins)
        ],
    )
    return metadata.to_yaml()


def _how_to_load(repository: str, twins: list[str]) -> str:
    address = f"hf://datasets/{repository}"
    lines = [
        "## How to load it",
        f"```bash\npip install lit-precompute\nlit-data info {address}\nlit-tune --dataset {address} --output run\n```",
        "```python\n"
        "import lit_precompute as lit\n\n"
        f'with lit.EmbeddingDataset.open("{address}") as dataset:\n'
        "    rows = dataset.rows(0, 8)\n"
        '    rows["key"], rows.vectors()\n'
        "```",
    ]
    if twins:
        lines.append(
            "Each table is also there as Parquet, with vectors as float32:\n\n"
            "```python\n"
            "import datasets\n\n"
            f'datasets.load_dataset("{repository}", "{twins[0]}")\n'
            "```"
        )
    return "\n\n".join(lines)


def _of_tower(table: str, tower: TowerCard, receipt: Receipt | None) -> str:
    rows = {
        "tower": f"{tower.name}, {tower.num_parameters:,} parameters",
        "embedding": f"{tower.output_width} numbers ({tower.pooling})",
        "fingerprint": f"`{tower.fingerprint}`",
        "model identity": f"`{tower.model_identity}`" if tower.model_identity else "unknown",
        "preprocessing": f"`{json.dumps(tower.preprocessing, sort_keys=True)}`",
        "weights (SHA-256)": f"`{tower.weights_sha256}`",
        "stored type": _of_receipt(receipt),
    }
    return f"### `{table}`\n\n" + _table(("", ""), list(rows.items()))


def _of_receipt(receipt: Receipt | None) -> str:
    if receipt is None:
        return "not measured: no float32 embeddings were kept"
    if receipt.is_exact:
        return f"exact: holds the tower's float32, on {counted(receipt.num_probes, 'probe')}"
    return (
        f"cosine to the tower's float32 {receipt.mean_cosine:.8f}, least {receipt.least_cosine:.8f}, on "
        f"{counted(receipt.num_probes, 'probe')}"
    )


def _of_rows(manifest: Manifest) -> str:
    ledger = manifest.ledger
    return (
        f"{ledger.rows_read:,} rows were read = {ledger.rows_written:,} with embeddings + {ledger.rows_failed:,} "
        f"failed (table `failures`, with reasons). Order: {manifest.order}. {counted(len(manifest.shards), 'shard')}."
    )


def _of_tables(manifest: Manifest) -> str:
    def columns(table: TableSchema) -> str:
        return ", ".join(f"`{column.name}`" for column in table.columns)

    sizes = {table.name: manifest.shards.table_bytes(table.name) / 1e6 for table in manifest.tables}
    rows = [(f"`{table.name}`", columns(table), f"{sizes[table.name]:,.1f}") for table in manifest.tables]
    return _table(("table", "columns", "MB"), rows)


def _of_trust(manifest: Manifest) -> str:
    return (
        f"The manifest's digest is `{manifest.digest}`; it has the SHA-256 of every file. `lit-data verify` checks "
        f"them all. It also keeps the float32 embeddings of {counted(len(manifest.probes), 'row')} (probes), by which "
        "anyone can check that their tower gives these embeddings. Equal fingerprints mean interchangeable embeddings."
    )


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)
