"""A block: one ArrayRecord record, holding one Arrow IPC stream of one record batch.

Promises: a block opens with pyarrow alone, and the same rows give the same bytes.
"""

import pyarrow as pa

from lit_precompute.schemas.storage import DatasetError

# One record a chunk, so that a block is read alone; blocks bring their own compression.
WRITER_OPTIONS = "group_size:1,uncompressed"


def encode(batch: pa.RecordBatch, *, compress: bool) -> bytes:
    """Returns a record batch as an Arrow IPC stream, compressed by zstd or not at all."""
    options = pa.ipc.IpcWriteOptions(compression="zstd" if compress else None)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema, options=options) as stream:
        stream.write_batch(batch)
    return sink.getvalue().to_pybytes()


def decode(data: bytes, schema: pa.Schema, where: str) -> pa.RecordBatch:
    """Returns the record batch of a block, viewing `data` where it is uncompressed.

    Raises:
      DatasetError: `data` is no block, or one of another schema; `where` is named.
    """
    try:
        with pa.ipc.open_stream(pa.py_buffer(data)) as stream:
            batch = stream.read_next_batch()
    except (pa.ArrowInvalid, pa.ArrowSerializationError, OSError, StopIteration) as error:
        raise DatasetError(
            f"{where}: not an Arrow IPC stream ({error}); verify the dataset and pull the file again"
        ) from error
    if not batch.schema.equals(schema, check_metadata=True):
        raise DatasetError(f"{where}: the block's schema is {batch.schema}, the manifest's is {schema}")
    return batch
