"""What reading a tar in a store costs: bytes and requests, counted on their way."""

import io
import random
import tarfile

import pytest

from lit_precompute.schemas.storage import find_described, open_file, open_folder, read_range
from tests.stores.proxy import store_proxy

BLOCK = tarfile.BLOCKSIZE


def _tar(num_samples, num_bytes):
    draw, out = random.Random(0), io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for number in range(num_samples):
            image = draw.randbytes(int(num_bytes * draw.uniform(0.7, 1.3)))
            for name, data in ((f"{number:05d}.jpg", image), (f"{number:05d}.txt", b"a caption")):
                member = tarfile.TarInfo(name)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return out.getvalue()


def _read_headers(file):
    """Returns how many members there are: as a planner does, which reads captions and jumps over images."""
    position, num_members = 0, 0
    while True:
        file.seek(position)
        member = file.read(BLOCK)
        if member == bytes(BLOCK):
            return num_members
        num_members += 1
        num_bytes = int(member[124:135], 8)
        if member[:100].rstrip(b"\0").endswith(b".txt"):
            assert file.read(num_bytes) == b"a caption"
        position += BLOCK - -num_bytes // BLOCK * BLOCK


# gcsfs asks in two ways at once what a file is, and may ask once more before it drops the slower one, which may come
# when the file has long been read.
_TO_DESCRIBE = 4
_DESCRIPTION = 2_000  # bytes at most


def _cost(proxy):
    """Returns the bytes and the requests since the last call."""
    passed, proxy.passed = proxy.passed, []
    print(*passed, sep="\n")  # shown if a test fails
    return sum(each.num_received for each in passed), len(passed)


# moto takes a while for each request to a large object.
@pytest.mark.parametrize(("server", "num_samples"), [("gcs_server", 600), ("s3_server", 40)])
def test_looking_at_headers_and_reading_it_all_costs_little_more_than_the_bytes(request, server, num_samples):
    with store_proxy(request.getfixturevalue(server)) as proxy:
        folder, tar = open_folder(proxy.server.make_bucket()), _tar(num_samples, 103_000)
        folder.write("a.tar", tar)
        url = folder.join("a.tar")
        _cost(proxy)
        with open_file(url) as file:
            assert _read_headers(file) == 2 * num_samples
        num_looked, num_asked = _cost(proxy)
        assert num_asked <= num_samples + 2 + _TO_DESCRIBE  # not one for each header
        parts = [read_range(url, start, min(start + (10 << 20), len(tar))) for start in range(0, len(tar), 10 << 20)]
        assert b"".join(parts) == tar
        num_read, num_asked = _cost(proxy)
        assert len(parts) <= num_asked <= len(parts) + _TO_DESCRIBE
        assert num_looked + num_read <= 1.05 * len(tar)


@pytest.mark.parametrize("server", ["gcs_server", "s3_server"])
def test_small_members_are_read_through_in_few_requests(request, server):
    with store_proxy(request.getfixturevalue(server)) as proxy:
        folder, tar = open_folder(proxy.server.make_bucket()), _tar(400, 25_000)
        folder.write("a.tar", tar)
        _cost(proxy)
        with open_file(folder.join("a.tar")) as file:
            assert _read_headers(file) == 800
        num_read, num_asked = _cost(proxy)
        assert num_read <= len(tar)
        assert num_asked <= 12 + _TO_DESCRIBE


@pytest.mark.parametrize("server", ["gcs_server", "s3_server"])
def test_a_file_that_is_read_in_order_is_fetched_once(request, server):
    with store_proxy(request.getfixturevalue(server)) as proxy:
        folder, content = open_folder(proxy.server.make_bucket()), random.Random(0).randbytes(20 << 20)
        folder.write("a", content)
        _cost(proxy)
        with open_file(folder.join("a")) as file:
            assert b"".join(iter(lambda: file.read(100_000), b"")) == content
        num_read, num_asked = _cost(proxy)
        assert num_read <= 1.001 * len(content)
        assert num_asked <= 12 + _TO_DESCRIBE
        with open_file(folder.join("a")) as file:
            assert file.read() == content
        assert [each.num_received for each in proxy.passed if each.num_received > _DESCRIPTION] == [len(content)]
        assert _cost(proxy)[1] <= 1 + _TO_DESCRIBE


@pytest.mark.parametrize("server", ["gcs_server", "s3_server"])
def test_finding_files_asks_for_listings_alone(request, server):
    with store_proxy(request.getfixturevalue(server)) as proxy:
        folder = open_folder(proxy.server.make_bucket())
        for number in range(20):
            folder.write(f"a/{number}.tar", b"1")
        _cost(proxy)
        assert len(find_described(folder.join("a/*.tar"))) == 20
        assert _cost(proxy)[1] <= 4
        assert len(folder.find("a")) == 20
        assert _cost(proxy)[1] == 1
