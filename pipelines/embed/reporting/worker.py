"""The name of this process in reports: it tells processes apart, and says nothing of their machine."""

import os
import uuid

_NAME = uuid.uuid4().hex[:12]


def worker_name() -> str:
    """Returns the name; a forked process has another."""
    return f"{_NAME}-{os.getpid()}"
