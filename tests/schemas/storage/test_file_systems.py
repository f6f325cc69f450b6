"""Which schemes can be opened, and what is said of the others, without a connection."""

import sys

import pytest

from lit_precompute.schemas.storage import StorageError, check_scheme, local_path, open_file


@pytest.mark.parametrize("url", ["http://host/a", "ftp://host/a", "memory://a", "file:///a", "simplecache::http://h/a"])
def test_a_scheme_that_is_installed(url):
    check_scheme(url)


@pytest.mark.parametrize("url", ["foo://x/a", "htp://x/a", "simplecache::foo://x/a", "foo::memory://a"])
def test_an_unknown_scheme_is_named(url):
    for check in (check_scheme, open_file, local_path):
        with pytest.raises(StorageError, match=r"unknown scheme '(foo|htp)'; known ones are file, ftp, gs, .*s3"):
            check(url)


def test_a_missing_scheme_is_named():
    with pytest.raises(StorageError, match="://x: a scheme is missing before ://, such as file"):
        open_file("://x")


@pytest.mark.parametrize(("url", "package"), [("s3://b/a", "s3fs"), ("gs://b/a", "gcsfs"), ("sftp://h/a", "paramiko")])
def test_a_missing_package_is_named(monkeypatch, url, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(StorageError, match=f"{url}: .* needs a Python package .* not installed: pip install {package}"):
        check_scheme(url)


def test_file_urls_are_local(tmp_path):
    (tmp_path / "a b.txt").write_bytes(b"content")
    with open_file(f"file://{tmp_path}/a b.txt") as file:
        assert file.read() == b"content"
    with pytest.raises(FileNotFoundError, match="No such file or directory"):
        open_file(f"file://{tmp_path}/none")
    assert local_path("memory://a") is None
