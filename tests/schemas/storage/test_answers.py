"""What the answers of a server or a store mean, mostly by real ones of a server of this machine."""

import dataclasses
import ftplib
import functools
import os
import re
import ssl

import fsspec
import pytest

from lit_precompute.schemas.storage import (
    Patience,
    StorageError,
    find_files,
    num_retried,
    open_file,
    open_folder,
    with_patience,
)
from tests.flaky_server import dead_address, flaky_server

QUICK = Patience(first_pause_s=0.001, max_pause_s=0.01, max_attempts=3)
HASTY = dataclasses.replace(QUICK, timeout_s=0.3)  # where a server says nothing
CONTENT = bytes(range(256)) * 4


@pytest.fixture
def server():
    with flaky_server() as server:
        server.contents["/a"] = CONTENT
        yield server


def _patience(fault):
    return HASTY if fault == "hang" else QUICK


def _read(url, patience=QUICK):
    with open_file(url, patience=patience) as file:
        return file.read()


@pytest.mark.parametrize("fault", [408, 425, 429, 500, 502, 503, 504, 520, "cut", "close", "garbage", "hang"])
def test_what_broke_one_attempt_does_not_break_the_next(server, fault):
    before = num_retried()
    server.faults["/a"] = [fault]
    assert _read(f"{server.address}/a", dataclasses.replace(_patience(fault), max_attempts=10)) == CONTENT
    assert num_retried() - before == (0 if fault == "close" else 1)  # aiohttp itself reopens a closed connection


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (503, "the server says 503 Service Unavailable"),
        (429, "the server says 429 Too Many Requests"),
        (520, "the server says 520"),
        ("cut", "the connection ended early"),
        ("close", "Server disconnected"),
        ("garbage", "the server's answer is not HTTP"),
        ("hang", "the server did not answer in time"),
    ],
)
def test_an_outage_is_never_a_missing_file(server, fault, words):
    server.faults["/a"], server.fails_always, server.fails_head = [fault], True, True
    with pytest.raises(StorageError, match=rf"^{server.address}/a: {words}, after 3 attempts in \d+ s$"):
        _read(f"{server.address}/a", _patience(fault))
    with (
        open_file(f"{server.address}/a", patience=_patience(fault)) as file,
        pytest.raises(StorageError, match="after 3 attempts"),
    ):
        file.read(1)  # through the size, for which fsspec raises FileNotFoundError


@pytest.mark.parametrize(("status", "words"), [(404, "there is no such file"), (410, "the server says 410 Gone")])
def test_a_definite_answer_is_a_missing_file(server, status, words):
    server.faults["/a"], server.fails_always, server.fails_head = [status], True, True
    for num_bytes in (-1, 1):
        with open_file(f"{server.address}/a", patience=QUICK) as file, pytest.raises(FileNotFoundError) as caught:
            file.read(num_bytes)
        assert caught.value.filename == f"{server.address}/a"
        assert num_bytes == 1 or caught.value.strerror == words


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (400, "the server says 400 Bad Request"),
        (401, "the server says 401 Unauthorized"),
        (403, "the server says 403 Forbidden"),
        (414, "the server says 414 "),
        (451, "the server says 451 Unavailable For Legal Reasons"),
        (101, "the server says 101 Switching Protocols"),
        (300, "the server says 300 Multiple Choices"),
        (302, "the server says 302 Found"),
        (304, "the server says 304 Not Modified"),
        (600, "the server says 600"),
        (999, "the server says 999"),
        ("circle", "the server redirects too often"),
        ("redirect file:///etc/passwd", "the server redirects to file:///etc/passwd"),
        ("redirect data:image/png,a", "the server redirects to data:image/png,a"),
        ("redirect http://[bad/a", "the server redirects to http://[bad/a"),
    ],
)
def test_a_refusal_of_this_file_is_not_tried_again(server, fault, words):
    server.faults["/a"], server.fails_always, server.body_of_errors = [fault], True, CONTENT
    with pytest.raises(PermissionError) as caught:
        _read(f"{server.address}/a")
    assert caught.value.strerror.startswith(words)
    assert len(set(server.asked)) == 1
    assert fault == "circle" or len(server.asked) == 1


@pytest.mark.parametrize("fault", [302, 304, 999, "redirect file:///etc/passwd"])
def test_a_refusal_of_this_file_is_one_to_a_reader_of_parts_as_well(server, fault):
    server.faults["/a"], server.fails_always, server.fails_head = [fault], True, True
    server.body_of_errors = CONTENT
    before = num_retried()
    with open_file(f"{server.address}/a", patience=QUICK) as file, pytest.raises(PermissionError):
        file.read(1)
    assert num_retried() == before


def test_a_proxy_that_wants_a_password_is_about_no_file(server):
    server.faults["/a"] = [407]
    with pytest.raises(StorageError, match="407"):
        _read(f"{server.address}/a")


@pytest.mark.parametrize("url", ["http://[bad/a", "http:///a", "http://host:99999/a"])
def test_a_malformed_url_is_about_this_file(url):
    with pytest.raises(PermissionError, match="not a usable URL"):
        _read(url)


@pytest.mark.parametrize(
    ("address", "words", "patience"),
    [
        (dead_address, "Connection refused", QUICK),
        (functools.partial(dead_address, "ftp"), "Connection refused", QUICK),
        (lambda: "http://no-such-host.invalid", "(?!Connection).*", HASTY),  # name servers may say nothing
    ],
)
def test_a_dead_server_is_named(address, words, patience):
    url = f"{address()}/a"
    with pytest.raises(StorageError, match=rf"^{url}: {words}, after 3 attempts in \d+ s"):
        _read(url, patience)
    pattern = url.replace("/a", "/*.tar")
    with pytest.raises(StorageError, match=r"\*\.tar: .*, after 3 attempts"):
        find_files(pattern, patience=patience)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ftplib.error_perm("550 no such file"), FileNotFoundError),
        (ftplib.error_perm("530 not logged in"), PermissionError),
        (ftplib.error_temp("421 too many users"), StorageError),
        (EOFError(), StorageError),
        (ssl.SSLCertVerificationError(1, "certificate has expired"), StorageError),
        (RuntimeError("no credentials"), StorageError),
    ],
)
def test_errors_of_other_stores(error, expected):
    def attempt():
        raise error

    with pytest.raises(expected) as caught:
        with_patience("ftp://host/a", attempt, QUICK)
    assert caught.type is expected


def _raised(error, cause=None):
    """Returns what `with_patience` makes of an error."""

    def attempt():
        raise error from cause

    with pytest.raises(OSError) as caught:
        with_patience("s3://bucket/a", attempt, QUICK)
    return caught.value


def _botocore(status, code):
    """As botocore's ClientError."""
    error = Exception("An error occurred")
    error.response = {"ResponseMetadata": {"HTTPStatusCode": status}, "Error": {"Code": code}}
    return error


@pytest.mark.parametrize(
    ("translated", "status", "code", "expected"),
    [
        (FileNotFoundError("a"), 404, "NoSuchKey", FileNotFoundError),
        (FileNotFoundError("a"), 404, "404", FileNotFoundError),
        (FileNotFoundError("a"), 404, "NoSuchBucket", StorageError),
        (PermissionError("a"), 403, "AccessDenied", PermissionError),
        (PermissionError("a"), 400, "ExpiredToken", StorageError),
        (PermissionError("a"), 403, "InvalidAccessKeyId", StorageError),
        (OSError(16, "Reduce your rate"), 503, "SlowDown", StorageError),
        (TimeoutError("a"), 400, "RequestTimeout", StorageError),
    ],
)
def test_errors_of_s3fs_and_their_cause(translated, status, code, expected):
    error = _raised(translated, _botocore(status, code))
    assert type(error) is expected
    assert f"({code})" in error.strerror or code == "404" or expected is FileNotFoundError


def test_credentials_that_expire_are_not_tried_again():
    before = num_retried()
    said = str(_raised(_botocore(400, "ExpiredToken")))
    assert "the server says 400 Bad Request (ExpiredToken); set AWS_ACCESS_KEY_ID" in said
    assert num_retried() == before


def test_without_credentials_the_error_says_where_they_come_from(s3_bucket, monkeypatch, tmp_path):
    """And the variable that it names reads a public bucket."""
    open_folder(s3_bucket).write("a", b"public")
    fsspec.filesystem("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"]).chmod(f"{s3_bucket}/a", "public-read")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    patience = Patience(timeout_s=31)  # a driver of its own, that has not seen the credentials
    message = "Unable to locate credentials; set AWS_ACCESS_KEY_ID .* `aws configure` .*FSSPEC_S3_ANON=true"
    with open_file(f"{s3_bucket}/a", patience=patience) as file, pytest.raises(StorageError, match=message):
        file.read()
    settings = {}
    fsspec.config.set_conf_env(settings, {"FSSPEC_S3_ANON": "true"})
    monkeypatch.setitem(fsspec.config.conf, "s3", settings["s3"])
    with open_file(f"{s3_bucket}/a", patience=patience) as file:
        assert file.read() == b"public"


def test_a_bucket_that_wants_googles_credentials_says_how_to_get_them():
    message = "gcloud auth application-default login.*GOOGLE_APPLICATION_CREDENTIALS"
    assert re.search(message, str(_raised(_gcsfs(401))))
    assert not re.search(message, str(_raised(_gcsfs(403))))


def _gcsfs(code):
    error = type("HttpError", (Exception,), {"__module__": "gcsfs.retry"})(f"Some words, {code}")
    error.code = code
    return error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (FileNotFoundError("bucket/a"), FileNotFoundError),
        (OSError("Forbidden: https://storage.googleapis.com/a\nno access"), PermissionError),
        (_gcsfs(401), StorageError),
        (_gcsfs(400), PermissionError),
        (_gcsfs(503), StorageError),
    ],
)
def test_errors_of_gcsfs(error, expected):
    assert type(_raised(error)) is expected


@pytest.mark.parametrize("name", ["ConnectionError", "HTTPClientError", "TransportError"])
def test_connections_of_other_libraries_are_tried_again(name):
    error = type("Lost", (type(name, (Exception,), {}),), {})("lost")
    assert "after 3 attempts" in str(_raised(error))
