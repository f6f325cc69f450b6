"""Hostile files: no crash, no row lost, nothing written outside the output, bounded memory."""

import json
import os
import pathlib
import subprocess
import sys
from typing import NamedTuple

import pytest

from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.schemas.checking.verification import verify
from tests.faults.hostile import IMAGES, SOURCES, generate
from tests.faults.hostile.tables import BESIDE
from tests.pipelines.embed.making import draw_image

pytestmark = pytest.mark.slow

NUM_FILES = 500
ROOT = pathlib.Path(__file__).parents[2]
# Beside what the interpreter and its libraries take: one line of up to 64 MiB in its several forms, one image of
# 20 million pixels, one part of a Parquet file.
_MAX_GROWTH = 1 << 30


class Answer(NamedTuple):
    """What the command did with one source; see `embed_hostile`."""

    output: pathlib.Path
    status: int
    said: str
    strays: list
    max_bytes: int


_REASONS = {"empty", "not-a-picture", "truncated", "too-large", "unsupported", "missing", "unreadable"}


@pytest.fixture(scope="module")
def files(seed, scaled):
    return generate(seed, scaled(NUM_FILES))


@pytest.fixture(scope="module")
def answers(files, weights, tmp_path_factory):
    """What the command said of the hostile images, which are one source, and of each hostile source, by name."""
    sandbox = tmp_path_factory.mktemp("sandbox")
    for name in ("output", "temporary", "sources/beside", "sources/images", "sources/sound"):
        (sandbox / name).mkdir(parents=True)
    for number, name in enumerate((*BESIDE, "sound/0.png")):
        (sandbox / "sources" / name).write_bytes(draw_image(number))
    for file in files:
        (sandbox / "sources" / ("images" if file.kind in IMAGES else "") / file.name).write_bytes(file.data)
    # The first is a sound one, which shows the memory of a job.
    names = ["sound", "images", *(file.name for file in files if file.kind in SOURCES)]
    before = _tree(sandbox)
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.faults.embed_hostile", sandbox, weights]
        + [str(sandbox / "sources" / name) for name in names],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(sandbox / "temporary"), "HOME": str(sandbox / "temporary")},
    )
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    assert ended.returncode == 0, (lines[-1], ended.stderr[-4000:])
    assert _tree(sandbox) == before, "files outside the output"
    return {name: Answer(sandbox / "output" / name, **line) for name, line in zip(names, lines[1::2], strict=True)}


def _tree(sandbox):
    kept = {"output", "temporary"}
    return sorted(str(path) for path in sandbox.rglob("*") if path.relative_to(sandbox).parts[0] not in kept)


def test_nothing_crashes_writes_elsewhere_or_takes_much_memory(answers):
    assert answers["sound"].status == 0, answers["sound"]
    for name, answer in answers.items():
        assert answer.strays == [], (name, answer)
        assert "Traceback" not in answer.said, (name, answer)
        assert answer.max_bytes - answers["sound"].max_bytes < _MAX_GROWTH, (name, answer)


def test_every_hostile_image_is_embedded_or_a_failed_row(files, answers, counted):
    answer, images = answers["images"], {file.name: file for file in files if file.kind in IMAGES}
    assert answer.status == 0, answer
    assert verify(answer.output) == []
    with EmbeddingDataset.open(answer.output) as dataset:
        failures = dataset.failures().to_pylist()
        keys = [*dataset.keys().to_pylist(), *(row["key"] for row in failures)]
        assert dataset.manifest.ledger.rows_read == len(images)
        assert {row["reason"] for row in failures} <= _REASONS
    assert sorted(keys) == sorted(images)
    counted.update(f"hostile {file.kind}" for file in images.values())


def test_every_hostile_source_is_embedded_whole_or_refused_by_name(files, answers, counted):
    faults = []
    for file in files:
        if file.kind not in SOURCES:
            continue
        answer = answers[file.name]
        if answer.status == 0:
            faults += [f"{file.name}: {fault}" for fault in verify(answer.output)]
            with EmbeddingDataset.open(answer.output) as dataset:
                ledger = dataset.manifest.ledger
            if file.num_rows not in (None, ledger.rows_read):
                faults.append(f"{file.name}: {file.num_rows} rows, {ledger}: {answer.said}")
        elif answer.status not in (1, 2) or file.name not in answer.said:
            faults.append(f"{file.name}: status {answer.status}: {answer.said}")
        elif (answer.output / "manifest.json").exists():
            faults.append(f"{file.name}: published in spite of {answer.said}")
        counted[f"hostile {file.kind}"] += 1
        counted[f"hostile sources with status {answer.status}"] += 1
    assert not faults, "\n".join(faults)
