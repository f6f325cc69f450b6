"""Names of what workers count, as Beam's metrics show them; docs/embed.md lists them.

Those that Beam's RunInference has, too, have its names and meaning.
"""

NAMESPACE = "LitPrecompute"

# RunInference's. The others are distributions.
NUM_INFERENCES = "num_inferences"
BATCH_SIZE = "inference_request_batch_size"
BATCH_BYTES = "inference_request_batch_byte_size"
BATCH_LATENCY = "inference_batch_latency_micro_secs"
LOAD_LATENCY = "load_model_latency_milli_secs"
MODEL_BYTES = "model_byte_size"

ROWS_READ = "rows_read"
ROWS_EMBEDDED = "rows_embedded"
ROWS_FAILED = "rows_failed"  # and rows_failed_REASON
BYTES_READ = "bytes_read"
BYTES_WRITTEN = "bytes_written"
# Reads that a server or a network broke and that were tried again.
NUM_RETRIED = "num_retried"


def seconds_counter(name: str) -> str:
    """Returns the name of the counter of some of a unit's seconds (`UnitSeconds`)."""
    return f"{name}_milli_secs"
