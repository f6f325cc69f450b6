"""Libraries' own messages, which say nothing to the user of a command: an error of theirs reaches the launcher."""

import functools
import logging
import os
import sys
import threading

from lit_precompute.commands.console import is_debugging


def silence_libraries() -> None:
    """Silences Beam, TensorFlow and gRPC unless `--debug` was given.

    Beam warns about cloud libraries that a local job does not need, and logs a stack before an error that the commands
    report.
    """
    if not is_debugging():
        logging.getLogger().setLevel(logging.CRITICAL)
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        _silence_lost_connections()


@functools.cache  # once: each call would wrap the hook again
def _silence_lost_connections() -> None:
    """Silences threads that end because their connection does.

    Beam's local workers read from a server of its runner; when a failed job shuts that down, a thread that still reads
    ends by an exception, perhaps after the job's own message.
    """
    shown = threading.excepthook

    def hook(thread_error: threading.ExceptHookArgs) -> None:
        grpc = sys.modules.get("grpc")  # loaded if this is an error of its own
        if is_debugging() or grpc is None or not issubclass(thread_error.exc_type, grpc.RpcError):
            shown(thread_error)

    threading.excepthook = hook
