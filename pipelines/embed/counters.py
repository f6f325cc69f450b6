"""Counters of this process, by which a launcher in the same process shows progress, and its wish to stop.

Workers on other machines count for themselves; their launcher sees finished shards alone.
"""

import threading


class Counters:
    """Rows done and failed since the process began; safe from any thread."""

    def __init__(self) -> None:
        """Starts at zero."""
        self._lock = threading.Lock()
        self.num_rows = 0
        self.num_failures = 0
        self.stop_requested = threading.Event()

    def add(self, *, num_rows: int, num_failures: int) -> None:
        """Counts rows that were embedded and rows that failed."""
        with self._lock:
            self.num_rows += num_rows + num_failures
            self.num_failures += num_failures


COUNTERS = Counters()
