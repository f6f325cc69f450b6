"""A block: one ArrayRecord record that contains an Arrow IPC stream of one record batch.

Promises: a block can be read with pyarrow alone, and the same rows give the same bytes.
"""

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


def decode(data: bytes, schema: pa.Schema, where: str) -> pa.RecordBatch:
    """Returns the record batch of a block; a view of `data` if it is uncompressed.

    Raises:
      DatasetError: `data` is not a block, or has a different schema; the message begins with `where`.
    """
    try:
        with pa.ipc.open_stream(pa.py_buffer(data)) as stream:
            batch = stream.read_next_batch()
    except (pa.ArrowInvalid, pa.ArrowSerializationError, OSError, StopIteration) as error:
        raise DatasetError(
            f"{where}: not an Arrow IPC stream ({error}); verify the dataset and {HOW_TO_MEND}"
        ) from error
    if not batch.schema.equals(schema, check_metadata=True):
        raise DatasetError(f"{where}: the block's schema is {batch.schema}, the manifest's {schema}")
    return batch
