"""Sources by URL: no row is lost where a server fails for a moment or is down; only definite answers are failures."""

import dataclasses
import functools
import io
import random
import sys
import tarfile

import pytest

from lit_precompute.precompute.images.errors import ImageError
from lit_precompute.precompute.sources.files import read_image
from lit_precompute.precompute.sources.opening import find_examples, make_source
from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.precompute.sources.spec import SourceSpec
from lit_precompute.schemas.storage import Patience, StorageError, find_described, num_retried, open_file
from tests.flaky_server import dead_address, flaky_server
from tests.precompute.sources.looked import look, rows_of

QUICK = Patience(first_pause_s=0.001, max_pause_s=0.01, max_attempts=3)
OPENER, FIND = functools.partial(open_file, patience=QUICK), functools.partial(find_described, patience=QUICK)
_IMAGES = {f"{number:03d}": random.Random(number).randbytes(300_000) for number in range(40)}


def _tar():
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, image in _IMAGES.items():
            for suffix, data in (("jpg", image), ("txt", f"text of {name}".encode())):
                info = tarfile.TarInfo(f"{name}.{suffix}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    return stream.getvalue()


@pytest.fixture
def server():
    with flaky_server() as server:
        server.contents |= {f"/{name}.jpg": image for name, image in _IMAGES.items()}
        rows = "".join(f"{name}.jpg,text of {name}\n" for name in _IMAGES)
        server.contents |= {"/t.csv": f"path,text\n{rows}".encode(), "/d.tar": _tar()}
        yield server


def _images(looked):
    return [(example.texts, example.read_image()) for example in rows_of(looked, 16)]


@pytest.mark.parametrize("path", ["/t.csv", "/d.tar"])
@pytest.mark.parametrize("fault", [503, "cut", "garbage"])
def test_a_source_on_a_server_that_fails_at_times(server, path, fault):
    for place in server.contents:
        server.faults[place] = [fault]
    before = num_retried()
    looked = look(f"{server.address}{path}", rows_per_unit=16, opener=OPENER, find=FIND)
    server.faults[path] = [fault]  # while a unit is read
    assert _images(looked) == [((f"text of {name}",), image) for name, image in _IMAGES.items()]
    assert num_retried() - before >= 2
    (example,) = find_examples(looked.source, ["005.jpg" if path == "/t.csv" else "d/005"])
    server.faults["/005.jpg"] = server.faults["/d.tar"] = [fault]
    assert example.read_image() == _IMAGES["005"]


@pytest.mark.parametrize(
    ("status", "reason", "message"),
    [
        (404, "missing", "no such file: {}"),
        (410, "missing", "no such file: {}"),
        (403, "unreadable", "{}: the server says 403 Forbidden"),
        (401, "unreadable", "{}: the server says 401 Unauthorized"),
        (400, "unreadable", "{}: the server says 400 Bad Request"),
    ],
)
def test_a_definite_answer_is_a_failed_row(server, status, reason, message):
    server.faults["/000.jpg"] = [status]
    with pytest.raises(ImageError) as caught:
        read_image(OPENER, f"{server.address}/000.jpg")
    assert (caught.value.reason, caught.value.message) == (reason, message.format(f"{server.address}/000.jpg"))


@pytest.mark.parametrize("fault", [503, "close", "hang"])
def test_an_outage_is_not_a_failed_row(server, fault):
    server.faults["/000.jpg"], server.fails_always, server.fails_head = [fault], True, True
    opener = functools.partial(open_file, patience=dataclasses.replace(QUICK, timeout_s=0.3))
    with pytest.raises(StorageError, match=f"^{server.address}/000.jpg: .*, after 3 attempts"):
        read_image(opener, f"{server.address}/000.jpg")


@pytest.mark.parametrize("name", ["t.csv", "d.tar", "d-{0..3}.tar", "d-*.tar", "folder"])
@pytest.mark.parametrize("scheme", ["http", "ftp"])
def test_a_dead_server_is_said_in_a_sentence(scheme, name):
    path = f"{dead_address(scheme)}/{name}"
    with pytest.raises((SourceError, StorageError), match=r"127\.0\.0\.1:\d+/.*Connection refused, after 3 attempts"):
        make_source(SourceSpec(path), opener=OPENER, find=FIND).files()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("foo://bucket/1.png", "unknown scheme 'foo'"),
        ("s3://bucket/1.png", "s3:// needs a Python package that is not installed: pip install s3fs"),
    ],
)
def test_a_row_that_can_never_be_read_is_found_before_any_work(tmp_path, monkeypatch, url, words):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    table = tmp_path / "t.csv"
    table.write_text(f"path,text\na.png,a\nmemory://none.png,b\n{url},c\n")
    with pytest.raises(SourceError, match=rf"t\.csv, line 4: {url}: {words}"):
        look(table)
    for path in (url, url.replace("1.png", "t.csv"), url.replace("1.png", "*.tar")):
        with pytest.raises((SourceError, StorageError), match=words):
            make_source(SourceSpec(path)).files()
