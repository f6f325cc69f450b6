"""The column `notes` of a dataset's list of shards, which is there only if some shard has notes."""

from collections.abc import Mapping, Sequence

import pyarrow as pa
import pydantic

from lit_precompute.schemas.json_files import faults_in_words
from lit_precompute.schemas.manifest.parts import Note
from lit_precompute.schemas.storage import DatasetError

_NOTE = pa.struct(
    [
        pa.field("what", pa.utf8(), nullable=False),
        pa.field("count", pa.int64(), nullable=False),
        pa.field("first", pa.utf8(), nullable=False),
    ]
)
NOTES = pa.field("notes", pa.list_(pa.field("item", _NOTE, nullable=False)), nullable=False)


def encode_notes(notes: Mapping[int, Sequence[Note]], num_shards: int) -> pa.Array:
    """Returns the column for so many shards."""
    values = [[note.model_dump() for note in notes.get(shard, ())] for shard in range(num_shards)]
    return pa.array(values, type=NOTES.type)


def decode_notes(column: pa.Array, where: str) -> dict[int, list[Note]]:
    """Returns the notes of the shards that have any.

    Raises:
      DatasetError: a note breaks a rule; the message begins with `where`.
    """
    found: dict[int, list[Note]] = {}
    for shard, values in enumerate(column.to_pylist()):
        try:
            if values:
                found[shard] = [Note.model_validate(value) for value in values]
        except pydantic.ValidationError as error:
            raise DatasetError(f"{where}: shard {shard}: notes.{faults_in_words(error)}") from error
    return found
