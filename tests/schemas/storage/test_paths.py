"""Paths are absolute before anything is planned, or refused in a sentence."""

import re

import pytest

from lit_precompute.schemas.storage import DatasetError, StorageError, absolute


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("gs://b", "gs://b"),
        ("gs://b/", "gs://b"),
        ("gs://b//a///c/", "gs://b/a/c"),
        ("s3://b/a b/ü", "s3://b/a b/ü"),
        ("hdfs:///a/b/", "hdfs:///a/b"),
        ("hdfs://host:8020/a", "hdfs://host:8020/a"),
        ("memory://a/", "memory://a"),
        ("/a/b/", "/a/b"),
        ("file:///a/b/", "/a/b"),
        ("run:1", "{here}/run:1"),
        ("out", "{here}/out"),
        ("./gs:/b", "{here}/gs:/b"),
        ("a/../b", "{here}/b"),
        ("../{name}/b", "{here}/b"),
    ],
)
def test_absolute_paths(path, expected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = path.format(name=tmp_path.name)
    assert absolute(path) == expected.format(here=tmp_path)
    assert absolute(absolute(path)) == absolute(path)


def test_links_are_followed_before_the_folder_above(tmp_path):
    (tmp_path / "far/away").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "far/away")
    assert absolute(tmp_path / "link/../b") == str(tmp_path / "far/b")
    assert absolute(tmp_path / "link/b") == str(tmp_path / "link/b")


def test_what_is_only_read_may_be_anywhere():
    for url in ("https://host/a.tar", "simplecache::gs://b/a", "gs://b/a//b"):
        assert absolute(url, writing=False) == url
    assert absolute("https://host/a/", writing=False) == "https://host/a"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("", "--output '': must be a path or URL, got an empty one"),
        (
            "gs:/b/a",
            "--output gs:/b/a: a URL has two slashes after gs:; write gs://b/a, or ./gs:/b/a if this is its name",
        ),
        ("s3:b", "--output s3:b: a URL has two slashes after s3:; write s3://b, or ./s3:b if this is its name here"),
        ("GS://b/o", "--output GS://b/o: write gs://b/o"),
        ("C:\\o", r"--output C:\o: must be a path of this machine, got the drive C: of Windows"),
        ("gs://", "--output gs://: names no bucket; write gs://BUCKET/..."),
        ("s3:///a", "--output s3:///a: names no bucket; write s3://BUCKET/..."),
        ("gs://b/../a", "--output gs://b/../a: a store takes . and .. for names; write the path without them"),
        (
            "simplecache::gs://b/a",
            "a chained URL can only be read from; write to a local path, gs://, s3:// or hdfs://",
        ),
        ("https://h/a", "--output https://h/a: https:// can only be read from; write to a local path, gs://"),
        ("s3n://b/a", "--output s3n://b/a: s3n:// is Hadoop's old name of s3://; write s3://b/a"),
        (
            "hf://datasets/me/d",
            "hf:// can only be read from; write to a local path, gs://, s3:// or hdfs://, and copy the folder to the "
            "hub with `hf upload OWNER/NAME FOLDER --repo-type dataset`",
        ),
        ("sftp://h/a", "--output sftp://h/a: sftp:// can only be read from; write to"),
        ("foo://h/a", "--output foo://h/a: foo:// can only be read from; write to"),
    ],
)
def test_what_is_refused(path, message):
    with pytest.raises(DatasetError, match=re.escape(message)):
        absolute(path)


def test_what_is_refused_for_reading():
    with pytest.raises(StorageError, match="unknown scheme 'foo'"):
        absolute("foo://h/a", writing=False)
    with pytest.raises(DatasetError, match="--source https://: names no server"):
        absolute("https://", what="--source", writing=False)
