"""What the commands that write a dataset share: where they write it, and how they describe it as JSON."""

from typing import Any

from lit_precompute.schemas.manifest import Manifest


def destination_of(second: str | None, output: str | None, what: str) -> str:
    """Returns where to write: the command's second argument, or the same as `--output`, as other commands have it.

    Raises:
      ValueError: neither is given, or both.
    """
    if second is not None and output is not None:
        raise ValueError(f"{second} and --output {output}: give one, {what}")
    if second is None and output is None:
        raise ValueError(f"--output is missing: {what}")
    return output or second or ""


def describe_written(path: str, manifest: Manifest) -> dict[str, Any]:
    """Returns a dataset that was written, as JSON: where, which, and how much."""
    return {
        "dataset": path,
        "digest": manifest.digest,
        "num_rows": manifest.num_rows,
        "num_shards": len(manifest.shards),
        "num_bytes": num_bytes_of(manifest),
    }


def num_bytes_of(manifest: Manifest) -> int:
    """Returns the bytes of all tables."""
    return sum(manifest.shards.table_bytes(table.name) for table in manifest.tables)
