"""The note of an unfinished job, `_work/job.json`: how two specifications are compared, and what of it is checked."""

from collections.abc import Mapping
from typing import Any

from lit_precompute.schemas import SourceInfo
from lit_precompute.schemas.claims import Claim, ClaimError
from lit_precompute.schemas.json_files import faults_of
from lit_precompute.schemas.sharing.destination import COPY, NOTE_NAME
from lit_precompute.schemas.storage import WORK_FOLDER, Folder

ADVICE = "choose another --output"
# What users give the parts of a specification by.
_FLAGS = {
    "options.vector_type": "--dtype",
    **{f"options.{name.replace('-', '_')}": f"--{name}" for name in ("batch-size", "max-pixels", "rows-per-shard")},
    "options.limit": "--limit",
    "options.limit_seed": "--limit-seed",
    "options.views": "--views",
    "source.options.format": "--source-format",
    **{
        f"source.options.{name.replace('-', '_')}": f"--{name}"
        for name in ("gather", "key-folders", "sample-name", "split")
    },
    **{f"source.options.columns.{name}": f"--{name}-column" for name in ("image", "text", "texts", "label", "key")},
    "source.options.columns.named": "--named-text",
    "tower.name": "--tower",
    "tower.pooling": "--pooling",
    "tower.architecture.resolution": "--resolution",
    "tower.architecture.compute_type": "--compute-type",
    "tower.preprocessing.resize": "the resize of images (--resize)",
    "tower.weights_sha256": "the SHA-256 of the weights (--weights)",
}
# What follows from a value that a user gives, and says nothing more to them.
_CONSEQUENCES = {
    "tower.name": ("tower.",),
    "tower.pooling": (
        "tower.architecture.pooling",
        "tower.weights_sha256",  # of the parameters that this pooling needs
        "tower.num_parameters",
        "tower.output_width",
    ),
    "tower.architecture.resolution": (
        "tower.preprocessing.size",
        "tower.preprocessing.resize_size",
        "tower.num_parameters",
    ),
    "tower.preprocessing.resize": ("tower.preprocessing.resize_size", "tower.preprocessing.crop"),
    "tower.": ("tower.fingerprint",),
    "source.kind": ("source.options.",),
    "source.options.format": ("source.options.quotes",),
}


def claim_of(folder: Folder) -> Claim:
    """Returns the claim of an output by the job that the note in it describes."""
    return Claim(
        folder=folder,
        note=NOTE_NAME,
        kind="job",
        own_prefix=WORK_FOLDER,
        advice_foreign="give an empty --output",
        advice_another="Give these values again to resume it, or choose another --output",
        advice_damaged=ADVICE,
        flags=_FLAGS,
        consequences=_CONSEQUENCES,
    )


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
    if COPY in noted:
        raise ClaimError(f"{path}: the folder belongs to an unfinished copy (lit-data copy); {ADVICE}")
    for name in ("source", "options", "plan"):
        if not isinstance(noted.get(name), dict):
            raise ClaimError(f"{path}: {name} must be a JSON object, got {noted.get(name)!r:.80}; {ADVICE}")
    if faults := faults_of(SourceInfo, {**noted["source"], "files": []}, "source"):
        raise ClaimError(f"{path}: {faults}; {ADVICE}")
