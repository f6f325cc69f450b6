"""Hostile files: no crash, no row lost, nothing written outside the output, bounded memory."""

import collections
import json
import os
import pathlib
import subprocess
import sys

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
_REASONS = {"empty", "not-a-picture", "truncated", "too-large", "unsupported", "missing", "unreadable"}


@pytest.fixture(scope="module")
def files(seed, scaled):
    return generate(seed, scaled(NUM_FILES))


@pytest.fixture
def sandbox(tmp_path):
    for name in ("output", "temporary", "sources/beside"):
        (tmp_path / name).mkdir(parents=True)
    for number, name in enumerate(BESIDE):
        (tmp_path / "sources" / name).write_bytes(draw_image(number))
    return tmp_path


def _embed(sandbox, weights, sources):
    """Returns what the command said of each source; the first is a sound one, which shows the memory of a job."""
    (sandbox / "sources/sound").mkdir()
    (sandbox / "sources/sound/0.png").write_bytes(draw_image(0))
    before = _tree(sandbox)
    sources = [sandbox / "sources/sound", *sources]
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.faults.embed_hostile", sandbox, weights, *sources],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(sandbox / "temporary"), "HOME": str(sandbox / "temporary")},
    )
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    assert ended.returncode == 0, (lines[-1], ended.stderr[-4000:])
    assert _tree(sandbox) == before, "files outside the output"
    sound, *answers = lines[1::2]
    assert sound["status"] == 0, sound
    for source, answer in zip(sources[1:], answers, strict=True):
        assert answer["strays"] == [], (source, answer)
        assert "Traceback" not in answer["said"], (source, answer["said"])
        assert answer["max_bytes"] - sound["max_bytes"] < _MAX_GROWTH, (source, answer)
    return answers


def _tree(sandbox):
    kept = {"output", "temporary"}
    return sorted(str(path) for path in sandbox.rglob("*") if path.relative_to(sandbox).parts[0] not in kept)


def test_every_hostile_image_is_embedded_or_a_failed_row(files, sandbox, weights, counted):
    images = {file.name: file for file in files if file.kind in IMAGES}
    source = sandbox / "sources/images"
    source.mkdir()
    for file in images.values():
        (source / file.name).write_bytes(file.data)
    (answer,) = _embed(sandbox, weights, [source])
    assert answer["status"] == 0, answer
    assert verify(sandbox / "output/images") == []
    with EmbeddingDataset.open(sandbox / "output/images") as dataset:
        failures = dataset.failures().to_pylist()
        keys = [*dataset.keys().to_pylist(), *(row["key"] for row in failures)]
        assert dataset.manifest.ledger.rows_read == len(images)
        assert {row["reason"] for row in failures} <= _REASONS
    assert sorted(keys) == sorted(images)
    counted.update(f"hostile {file.kind}" for file in images.values())


def test_every_hostile_source_is_embedded_whole_or_refused_by_name(files, sandbox, weights, counted):
    chosen = [file for file in files if file.kind in SOURCES]
    for file in chosen:
        (sandbox / "sources" / file.name).write_bytes(file.data)
    answers = _embed(sandbox, weights, [sandbox / "sources" / file.name for file in chosen])
    faults = []
    for file, answer in zip(chosen, answers, strict=True):
        output = sandbox / "output" / file.name
        if answer["status"] == 0:
            faults += [f"{file.name}: {fault}" for fault in verify(output)]
            with EmbeddingDataset.open(output) as dataset:
                ledger = dataset.manifest.ledger
            if file.num_rows not in (None, ledger.rows_read):
                faults.append(f"{file.name}: {file.num_rows} rows, {ledger}: {answer['said']}")
        elif answer["status"] not in (1, 2) or file.name not in answer["said"]:
            faults.append(f"{file.name}: status {answer['status']}: {answer['said']}")
        elif (output / "manifest.json").exists():
            faults.append(f"{file.name}: published in spite of {answer['said']}")
        counted[f"hostile {file.kind}"] += 1
    assert not faults, "\n".join(faults)
    assert collections.Counter(file.kind for file in files).keys() == (IMAGES | SOURCES).keys()
