"""A URL that nothing can be written to or read from is refused in words, before any work."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("embed run --source t.csv --tower vit_b16 --output https://host/emb", "https:// can only be read from"),
        ("embed run --source t.csv --tower vit_b16 --output gs:/bucket/emb", "write gs://bucket/emb, or ./gs:/bucket"),
        ("embed run --source t.csv --tower vit_b16 --output gs:///emb", "names no bucket; write gs://BUCKET/"),
        ("data info hdfs:/emb", "dataset hdfs:/emb: a URL has two slashes after hdfs:"),
        ("data info nowhere://bucket/emb", "unknown scheme 'nowhere'"),
    ],
)
def test_a_url_is_refused(tmp_path, command, words):
    program = [sys.executable, "-m", "lit_precompute", *command.split()]
    ran = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert ran.stderr.startswith("error: ") and words in ran.stderr
    assert list(tmp_path.iterdir()) == []
