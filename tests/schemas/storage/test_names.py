"""What is a path and what a URL."""

import pathlib
import re

import pytest

from lit_precompute.schemas.storage import DatasetError, beside, not_quite_a_url, refuse_url


def test_paths_beside_a_file():
    assert beside("table.csv", "a/1.jpg") == "a/1.jpg"
    assert beside("x/y/table.csv", "../1.jpg") == "x/y/../1.jpg"
    assert beside("gs://bucket/table.csv", "1.jpg") == "gs://bucket/1.jpg"
    assert beside("gs://bucket/table.csv", "s3://other/1.jpg") == "s3://other/1.jpg"
    assert beside("x/table.csv", "/1.jpg") == "/1.jpg"


@pytest.mark.parametrize(
    ("path", "scheme"),
    [
        ("gs://bucket/a", "gs"),
        ("GS://bucket/a", "GS"),
        ("hdfs:/folder", "hdfs"),
        ("http:o", "http"),
        ("S3:bucket/a", "S3"),
        ("file:", "file"),
        ("abfs+x://a", "abfs+x"),
        (pathlib.Path("s3://bucket/a"), "s3"),
    ],
)
def test_a_url_is_refused_where_only_a_path_can_be(path, scheme):
    with pytest.raises(DatasetError, match=rf"--output .*: must be a local path, got a {re.escape(scheme)}:// address"):
        refuse_url("--output", path)


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("gs:/b/a", "a URL has two slashes after gs:; write gs://b/a, or ./gs:/b/a if this is its name here"),
        ("S3:b", "a URL has two slashes after S3:; write s3://b, or ./S3:b if this is its name here"),
        ("GS://b/a", "write gs://b/a"),
        ("s3n://b/a", "s3n:// is Hadoop's old name of s3://; write s3://b/a"),
        *((path, "") for path in ("gs://b/a", "gs", "a:b", "./gs:/b", "12:30.csv", "https://h/a?b=GS://c")),
    ],
)
def test_what_is_not_quite_a_url_is_told_with_what_to_write(path, meant):
    assert not_quite_a_url(path) == meant


def test_a_file_url_is_refused_with_the_way_out():
    with pytest.raises(DatasetError, match="leave out file://"):
        refuse_url("--output", "file:///tmp/a")


@pytest.mark.parametrize("path", ["out", "/a/b", "a:b", "run:1", "https", "./C:/data", "2026-01-01T00:00/x", "./gs:/x"])
def test_a_local_path_is_taken(path):
    refuse_url("--output", path)


@pytest.mark.parametrize("path", ["C:/data", "C:\\data", "d:"])
def test_a_drive_of_windows_is_refused_with_the_way_out(path):
    message = f"--output {path}: must be a path of this machine, got the drive {path[:2]} of Windows; write ./{path} if"
    with pytest.raises(DatasetError, match=re.escape(message)):
        refuse_url("--output", path)
