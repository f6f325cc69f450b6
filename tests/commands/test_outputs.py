"""A URL where only a local path can be used is refused in words, before any work."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (
            "embed run --source t.csv --tower vit_b16 --output gs://bucket/emb",
            "--output gs://bucket/emb: must be a local",
        ),
        ("embed run --source t.csv --tower vit_b16 --output file:///tmp/x", "file:// address; leave out file://"),
        ("tune --dataset s3://bucket/emb --output run", "dataset s3://bucket/emb: must be a local path"),
        ("eval retrieval --model m --dataset gs://bucket/emb", "dataset gs://bucket/emb: must be a local path"),
        ("data info hdfs:/emb", "dataset hdfs:/emb: must be a local path"),
    ],
)
def test_a_url_is_refused(tmp_path, command, words):
    program = [sys.executable, "-m", "lit_precompute", *command.split()]
    ran = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert ran.stderr.startswith("error: ") and words in ran.stderr
    assert list(tmp_path.iterdir()) == []
