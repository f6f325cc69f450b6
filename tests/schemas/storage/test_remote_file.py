"""A remote file is read like a local one, whatever its server does on the way."""

import io
import os
import random

import pytest

from lit_precompute.schemas.storage import Patience, StorageError, open_file
from tests.flaky_server import flaky_server

QUICK = Patience(first_pause_s=0.001, max_pause_s=0.01, max_attempts=3)
# More than fsspec reads at once.
LONG = random.Random(0).randbytes(7 << 20)
LINES = b"".join(b"line %d\n" % number for number in range(100_000))


@pytest.fixture
def server():
    with flaky_server() as server:
        server.contents |= {"/long": LONG, "/lines": LINES, "/empty": b""}
        yield server


def _open(server, path):
    return open_file(f"{server.address}{path}", patience=QUICK)


def test_opening_asks_for_nothing_and_reading_it_all_is_one_request(server):
    with _open(server, "/long") as file:
        assert server.asked == []
        assert file.read() == LONG
        assert file.read() == b""
    assert server.asked == [("GET", "/long", None)]


@pytest.mark.parametrize("parts", [True, False])
@pytest.mark.parametrize("sizes", [True, False])
def test_every_kind_of_server_is_read_like_a_local_file(server, parts, sizes):
    """Without parts, or without sizes, the file is read from its beginning."""
    server.parts, server.sizes = parts, sizes
    local = io.BytesIO(LONG)
    with _open(server, "/long") as file:
        for position, num_bytes in [(0, 10), (6 << 20, 100), (5, 7), ((7 << 20) - 3, 10), (100, -1)]:
            assert file.seek(position) == local.seek(position)
            assert file.read(num_bytes) == local.read(num_bytes)
            assert file.tell() == local.tell()
        assert file.seek(-2, os.SEEK_CUR) == local.seek(-2, os.SEEK_CUR)
        assert file.read() == local.read()
        if sizes:
            assert file.seek(-5, os.SEEK_END) == local.seek(-5, os.SEEK_END)
    with _open(server, "/lines") as file:
        assert list(file) == LINES.splitlines(keepends=True)
    with _open(server, "/empty") as file:
        assert file.read(1) == b""


def test_a_size_that_is_needed_and_not_told(server):
    server.sizes = False
    with _open(server, "/long") as file, pytest.raises(StorageError, match="does not tell the file's size"):
        file.seek(0, os.SEEK_END)


@pytest.mark.parametrize("fault", [503, "cut", "short"])
def test_a_read_in_the_middle_is_tried_again_from_where_it_ended(server, fault):
    with _open(server, "/long") as file:
        assert file.read(1000) == LONG[:1000]
        server.faults["/long"] = [fault]
        file.seek(6 << 20)
        assert file.read(1000) == LONG[6 << 20 :][:1000]
        assert server.faults["/long"] == []


def test_bytes_that_never_arrive_are_an_error(server):
    server.faults["/long"], server.fails_always = ["short"], True
    with _open(server, "/long") as file:
        file.seek(-1000, os.SEEK_END)
        with pytest.raises(StorageError, match="the connection ended after 500 of 1000 bytes, after 3 attempts"):
            file.read(1000)
