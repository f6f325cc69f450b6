"""A block: one ArrayRecord record that contains an Arrow IPC stream of one record batch.

Promises: a block can be read with pyarrow alone, and the same rows give the same bytes.
"""

from collections.abc import Sequence

import pyarrow as pa

from lit_precompute.schemas.storage import HOW_TO_MEND, DatasetError

# One record per chunk, so that a block can be read alone; blocks have their own compression.
WRITER_OPTIONS = "group_size:1,uncompressed"


def encode(batch: pa.RecordBatch, *, compress: bool) -> bytes:
    """Returns a record batch as an Arrow IPC stream, compressed with zstd or uncompressed."""
    options = pa.ipc.IpcWriteOptions(compression="zstd" if compress else None)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema, options=options) as stream:
        stream.write_batch(batch)
    return sink.getvalue().to_pybytes()


def decode(data: bytes, schema: pa.Schema, where: str, columns: Sequence[str] | None = None) -> pa.RecordBatch:
    """Returns the record batch of a block, or these of its columns; a view of `data` if it is uncompressed.

    Other columns are neither unpacked nor looked at.

    Raises:
      DatasetError: `data` is not a block, or has a different schema; the message begins with `where`.
    """
    included = sorted(schema.get_field_index(column) for column in schema.names if columns and column in columns)
    # A block is too small for threads: handing its buffers to them costs more than half of unpacking it.
    batch = first_batch(data, where, pa.ipc.IpcReadOptions(included_fields=included or None, use_threads=False))
    if included:
        schema = pa.schema([schema.field(place) for place in included], schema.metadata)
    _check_schema(batch, schema, where)
    return batch


def decode_list(data: bytes, schema: pa.Schema, where: str, *, last: pa.Field | None = None) -> pa.RecordBatch:
    """Returns the record batch of a list beside the manifest, whose values are all checked.

    Args:
      data: the list.
      schema: its columns.
      where: the list, for errors.
      last: one more column that it may have.

    Raises:
      DatasetError: `data` is not a block, or has a different schema; the message begins with `where`.
    """
    batch = first_batch(data, where)
    if last is not None and batch.num_columns == len(schema) + 1:
        schema = schema.append(last)
    _check_schema(batch, schema, where)
    check_values(batch, where)
    return batch


def check_values(batch: pa.RecordBatch, where: str) -> None:
    """Raises DatasetError, with a message that begins with `where`, if a value is none, or null where none may be."""
    try:
        batch.validate(full=True)
    except pa.ArrowInvalid as error:
        raise DatasetError(f"{where}: damaged ({error}); {HOW_TO_MEND}") from error
    for field in batch.schema:
        if not field.nullable and batch.column(field.name).null_count:
            raise DatasetError(f"{where}: column '{field.name}' must have no nulls")


def first_batch(data: bytes, where: str, options: pa.ipc.IpcReadOptions | None = None) -> pa.RecordBatch:
    """Returns the first record batch of an Arrow IPC stream, whatever its schema; nothing in it is checked.

    Raises:
      DatasetError: `data` is not such a stream; the message begins with `where`.
    """
    try:
        with pa.ipc.open_stream(pa.py_buffer(data), options=options) as stream:
            return stream.read_next_batch()
    except (pa.ArrowException, OSError, StopIteration, MemoryError) as error:
        raise DatasetError(
            f"{where}: not an Arrow IPC stream ({error}); verify the dataset and {HOW_TO_MEND}"
        ) from error


def _check_schema(batch: pa.RecordBatch, schema: pa.Schema, where: str) -> None:
    if not batch.schema.equals(schema, check_metadata=True):
        raise DatasetError(f"{where}: the block's schema is {batch.schema}, the manifest's {schema}")
