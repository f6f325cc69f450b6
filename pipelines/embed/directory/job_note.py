"""The note of an unfinished job, `_work/job.json`: how two specifications are compared, and what of it is checked."""

from collections.abc import Mapping
from typing import Any

from lit_precompute.schemas import SourceInfo
from lit_precompute.schemas.claims import ClaimError
from lit_precompute.schemas.json_files import faults_of

ADVICE = "choose another --output"
# What users give the parts of a specification by.
FLAGS = {
    "options.vector_type": "--dtype",
    **{f"options.{name.replace('-', '_')}": f"--{name}" for name in ("batch-size", "max-pixels", "rows-per-shard")},
    "options.limit": "--limit",
    "options.views": "--views",
    "source.options.format": "--source-format",
    "source.options.sample_name": "--sample-name",
    **{f"source.options.columns.{name}": f"--{name}-column" for name in ("image", "text", "texts", "label", "key")},
    "source.options.columns.named": "--named-text",
    "tower.name": "--tower",
    "tower.pooling": "--pooling",
}


def with_views(part: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a part of a specification with the number of views, which is recorded only if there are any."""
    return {**part, "options": {"views": 0, **part["options"]}} if "options" in part else dict(part)


def without_batch_size(options: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """Returns noted options, without a batch size that was chosen if none is asked for."""
    return {name: value for name, value in options.items() if name != "batch_size" or name in asked}


def check_note(path: str, noted: Mapping[str, Any]) -> None:
    """Checks that a job's note has the parts that a resumed job reads.

    Args:
      path: of the note, for the error.
      noted: its content.

    Raises:
      ClaimError: a part is missing or damaged.
    """
    for name in ("source", "options", "plan"):
        if not isinstance(noted.get(name), dict):
            raise ClaimError(f"{path}: {name} must be a JSON object, got {noted.get(name)!r:.80}; {ADVICE}")
    if faults := faults_of(SourceInfo, {**noted["source"], "files": []}, "source"):
        raise ClaimError(f"{path}: {faults}; {ADVICE}")
