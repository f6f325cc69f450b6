"""Metrics: lines of JSON in which no step appears twice, and events that TensorBoard reads."""

import json
import subprocess
import sys

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from lit_precompute.tune.training.metrics import EVENTS_FOLDER, FILE_NAME, MetricsWriter, read_metrics
from tests.tune.small_runs import ROOT


def write(directory, first_step, steps):
    writer = MetricsWriter(directory, first_step)
    for step in steps:
        writer.write(step, {"loss": 1.0 / step, "scale": 10.0 + first_step})
    writer.close()


def test_lines_are_json_objects_with_their_step(tmp_path):
    write(tmp_path, 1, [1, 2])
    lines = [json.loads(line) for line in (tmp_path / FILE_NAME).read_text().splitlines()]
    assert lines == [{"step": 1, "loss": 1.0, "scale": 11.0}, {"step": 2, "loss": 0.5, "scale": 11.0}]
    assert lines == read_metrics(tmp_path / FILE_NAME)


def test_after_a_resume_no_step_appears_twice(tmp_path):
    write(tmp_path, 1, [1, 2, 3, 4])
    write(tmp_path, 3, [3, 5])
    assert [(line["step"], line["scale"]) for line in read_metrics(tmp_path / FILE_NAME)] == [
        (1, 11.0),
        (2, 11.0),
        (3, 13.0),
        (5, 13.0),
    ]


def test_a_truncated_last_line_is_left_out(tmp_path):
    write(tmp_path, 1, [1, 2])
    path = tmp_path / FILE_NAME
    path.write_text(path.read_text()[:-5])
    assert [line["step"] for line in read_metrics(path)] == [1]
    write(tmp_path, 3, [3])
    assert [line["step"] for line in read_metrics(path)] == [1, 3]


@pytest.mark.parametrize(
    "line",
    [
        '{"step": 1}',
        '{"step": 1, "loss": 0.5}',
        '{"step": "1", "loss": 0.5, "scale": 1.0}',
        '{"step": 1, "loss": null, "scale": 1.0}',
        "[1]",
        "[" * 200_000,
        "9" * 5_000,
        "\udcff",
        "",
    ],
)
def test_a_damaged_line_is_left_out(tmp_path, line):
    write(tmp_path, 1, [1, 2])
    path = tmp_path / FILE_NAME
    path.write_bytes((line + "\n").encode("utf-8", "surrogateescape") + path.read_bytes() + b'{"step": 3, "lo')
    assert [found["step"] for found in read_metrics(path)] == [1, 2]
    write(tmp_path, 3, [3])
    assert [json.loads(found)["step"] for found in path.read_text().splitlines()] == [1, 2, 3]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # TensorBoard's reader warns about its own NumPy calls
def test_tensorboard_reads_the_events_and_drops_repeated_steps(tmp_path):
    write(tmp_path, 1, [1, 2, 3, 4])
    write(tmp_path, 3, [3, 5])
    events = EventAccumulator(str(tmp_path / EVENTS_FOLDER))
    events.Reload()
    assert sorted(events.Tags()["scalars"]) == ["loss", "scale"]
    assert [(event.step, event.value) for event in events.Scalars("scale")] == [
        (1, 11.0),
        (2, 11.0),
        (3, 13.0),
        (5, 13.0),
    ]
    assert [event.value for event in events.Scalars("loss")][:2] == [1.0, 0.5]


def test_writing_needs_no_tensorflow(tmp_path):
    program = f"""
import sys
from lit_precompute.tune.training.metrics import MetricsWriter
writer = MetricsWriter({str(tmp_path)!r}, 1)
writer.write(1, {{"loss": 1.0, "scale": 10.0}})
writer.close()
print([name for name in ("tensorflow", "jax", "apache_beam") if name in sys.modules])
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert result.stdout.strip() == "[]"
    assert read_metrics(tmp_path / FILE_NAME) == [{"step": 1, "loss": 1.0, "scale": 10.0}]
