"""Metrics of a run: metrics.jsonl, one JSON object per line, and TensorBoard events.

Promises: no step appears twice, also after a resume, which drops damaged lines; TensorBoard drops what the resumed run
repeats. Writing needs neither TensorFlow nor a thread.
"""

import json
import os
import pathlib
import socket
import time
from collections.abc import Mapping

from tensorboard.compat.proto.event_pb2 import Event, SessionLog  # pyright: ignore[reportAttributeAccessIssue]
from tensorboard.compat.proto.summary_pb2 import Summary  # pyright: ignore[reportAttributeAccessIssue]
from tensorboard.summary.writer.record_writer import RecordWriter

from lit_precompute.schemas.storage import write_text_atomically

FILE_NAME = "metrics.jsonl"
EVENTS_FOLDER = "tensorboard"


class MetricsWriter:
    """Writes metrics by step, from the step at which the run starts or resumes."""

    def __init__(self, directory: str | os.PathLike[str], first_step: int):
        """Opens the files; drops the lines from `first_step` onwards that a killed run left."""
        path = pathlib.Path(directory) / FILE_NAME
        kept = [line for line in read_metrics(path) if line["step"] < first_step] if path.exists() else []
        write_text_atomically(path, "".join(json.dumps(line) + "\n" for line in kept))
        self._lines = path.open("a", encoding="utf-8")
        events = pathlib.Path(directory) / EVENTS_FOLDER
        events.mkdir(exist_ok=True)
        name = f"events.out.tfevents.{time.time_ns()}.{socket.gethostname()}.{os.getpid()}"
        self._events = RecordWriter((events / name).open("wb"))
        self._write_event(Event(file_version="brain.Event:2"))
        if first_step:
            start = SessionLog(status=SessionLog.START)
            self._write_event(Event(step=first_step, session_log=start))

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Writes one step's metrics to both files and flushes them."""
        self._lines.write(json.dumps({"step": step, **metrics}) + "\n")
        self._lines.flush()
        values = [Summary.Value(tag=name, simple_value=value) for name, value in metrics.items()]
        self._write_event(Event(step=step, summary=Summary(value=values)))

    def close(self) -> None:
        """Closes both files."""
        try:
            self._lines.close()  # fails on a full disk: what is buffered is written first
        finally:
            self._events.close()

    def _write_event(self, event: Event) -> None:
        event.wall_time = time.time()
        self._events.write(event.SerializeToString())
        self._events.flush()


def read_metrics(path: str | os.PathLike[str]) -> list[dict[str, float]]:
    """Returns the lines of a metrics.jsonl; a truncated or damaged one, without step, loss or scale, is left out."""
    lines = pathlib.Path(path).read_text(encoding="utf-8", errors="replace").split("\n")
    return [found for line in lines[:-1] if (found := _parse(line)) is not None]


def _parse(line: str) -> dict[str, float] | None:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    types = {name: type(value) for name, value in found.items()} if isinstance(found, dict) else {}
    is_whole = (types.get("step"), types.get("loss"), types.get("scale")) == (int, float, float)
    return found if is_whole and set(types.values()) == {int, float} else None
