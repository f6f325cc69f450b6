"""Reading from real stores: the same bytes as from a local file, whatever the order."""

import dataclasses
import functools
import io
import os
import pickle
import random
import re
import tarfile
import time

import pyarrow as pa
import pytest
from pyarrow import parquet as pq

from lit_precompute.precompute.sources.looking import look_into
from lit_precompute.precompute.sources.opening import make_source
from lit_precompute.precompute.sources.spec import SourceSpec
from lit_precompute.schemas.storage import (
    FoundFile,
    Patience,
    StorageError,
    find_described,
    find_files,
    is_file,
    is_folder,
    open_file,
    open_folder,
    read_range,
)
from tests.stores.proxy import Fault, store_proxy

QUICK = Patience(first_pause_s=0.001, max_pause_s=0.01, max_attempts=3)
LONG = random.Random(0).randbytes(3 << 20)


@pytest.fixture
def url(bucket):
    open_folder(bucket).write("a/long", LONG)
    return f"{bucket}/a/long"


def test_a_range_is_exactly_its_bytes(url):
    for start, stop in [(0, 1), (5, 70_000), (0, len(LONG)), (len(LONG) - 3, len(LONG) + 10), (7, 7)]:
        assert read_range(url, start, stop) == LONG[start:stop]
    assert read_range(url, len(LONG), len(LONG) + 1) == b""


def test_a_range_of_a_local_file(tmp_path):
    (tmp_path / "long").write_bytes(LONG)
    assert read_range(str(tmp_path / "long"), 5, 70_000) == LONG[5:70_000]
    assert read_range(f"file://{tmp_path}/long", len(LONG) - 1, len(LONG) + 9) == LONG[-1:]


def test_a_file_is_read_like_a_local_one_in_any_order(url):
    local, draw = io.BytesIO(LONG), random.Random(1)
    with open_file(url, patience=QUICK) as file:
        for _ in range(60):
            position = draw.choice([local.tell() + draw.randrange(5_000), draw.randrange(len(LONG))])
            num_bytes = draw.choice([0, 1, 512, 3_000, 100_000])
            assert (file.seek(position), local.seek(position)) == (position, position)
            assert file.read(num_bytes) == local.read(num_bytes)
        assert file.seek(-5, os.SEEK_END) == len(LONG) - 5
        assert file.read() == LONG[-5:]
        file.seek(10)
        assert file.read() == LONG[10:]


@pytest.fixture(params=["gcs_server", "s3_server"])
def proxy(request):
    with store_proxy(request.getfixturevalue(request.param)) as proxy:
        yield proxy


HASTY = dataclasses.replace(QUICK, max_part_s=1.5, max_attempts=2)


def test_bytes_that_arrive_too_slowly_are_asked_for_again_and_then_given_up(proxy):
    """The store is never silent, and would take half a minute."""
    bucket = proxy.server.make_bucket()
    open_folder(bucket).write("a", LONG)
    proxy.fail(Fault("slow 30", "GET"))
    again = dataclasses.replace(HASTY, max_attempts=5)  # a busy machine may be slow itself
    assert read_range(f"{bucket}/a", 5, 90_000, patience=again) == LONG[5:90_000]
    assert proxy.num_left == 0
    proxy.fail(Fault("slow 30", "GET"), times=10)
    words = r"/a: the server did not answer in time, after 2 attempts in ([3-9]|\d\d+) s"
    with pytest.raises(StorageError, match=words):
        read_range(f"{bucket}/a", 5, 90_000, patience=HASTY)
    proxy.heal()


def _write_tar(path):
    with tarfile.open(path, "w") as tar:
        for number in range(200):
            for name, data in ((f"{number:03d}.jpg", LONG[:20_000]), (f"{number:03d}.txt", b"text")):
                member = tarfile.TarInfo(name)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))


def _write_parquet(path):
    images = [LONG[number : number + 20_000] for number in range(200)]
    pq.write_table(pa.table({"jpg": images, "text": ["text"] * 200}), path, row_group_size=200)


@pytest.mark.parametrize(("fault", "timeout_s"), [("hang", 0.5), ("slow 8", 60)])
@pytest.mark.parametrize(("name", "write"), [("a.tar", _write_tar), ("a.parquet", _write_parquet)])
def test_a_unit_whose_reading_never_ends_fails_with_the_file_in_bounded_time(
    proxy, tmp_path, name, write, fault, timeout_s
):
    folder = open_folder(proxy.server.make_bucket())
    write(folder.scratch() / name)
    folder.upload(folder.scratch() / name, name)
    patient, hasty = (
        make_source(SourceSpec(folder.join(name)), opener=functools.partial(open_file, patience=patience))
        for patience in (QUICK, dataclasses.replace(HASTY, timeout_s=timeout_s))
    )
    looked = look_into(patient, 1000)
    ((part,),) = [look.slices for look in looked.looks]
    assert len([example.read_image() for example in patient.read(part, looked.survey.tables)]) == 200
    proxy.fail(Fault(fault, "GET"), times=1000)
    started_s = time.monotonic()
    with pytest.raises(
        StorageError, match=rf"{folder.join(name)}: the server did not answer in time, after 2 attempts"
    ):
        _ = [example.read_image() for example in hasty.read(part, looked.survey.tables)]
    assert time.monotonic() - started_s < 300  # the faults would go on for an hour
    proxy.heal()


def test_lines_are_read(bucket):
    lines = b"".join(b"line %d\n" % number for number in range(50_000))
    open_folder(bucket).write("lines", lines)
    with open_file(f"{bucket}/lines") as file:
        assert list(file) == lines.splitlines(keepends=True)


def test_the_opener_and_a_folder_can_be_pickled(url, bucket):
    opener, folder = pickle.loads(pickle.dumps((open_file, open_folder(bucket))))
    assert opener(url).read() == folder.read("a/long") == LONG


def test_a_listing_describes_files_without_asking_for_each(bucket):
    folder = open_folder(bucket)
    folder.write("b/1.tar", b"1")
    folder.write("b/2.tar", b"22")
    folder.write("b/deep/3.tar", b"333")
    found = find_described(f"{bucket}/b/*.tar")
    assert [(name.removeprefix(bucket), each.num_bytes) for name, each in found.items()] == [
        ("/b/1.tar", 1),
        ("/b/2.tar", 2),
    ]
    assert find_files(f"{bucket}/b/**/3.tar") == [f"{bucket}/b/deep/3.tar"]
    folder.write("b/1.tar", b"0")
    again = find_described(f"{bucket}/b/*.tar")
    assert again[f"{bucket}/b/1.tar"] != found[f"{bucket}/b/1.tar"]
    assert again[f"{bucket}/b/2.tar"] == found[f"{bucket}/b/2.tar"]
    assert folder.find("b")["1.tar"] == again[f"{bucket}/b/1.tar"]


def test_a_local_listing_describes_files(tmp_path):
    (tmp_path / "1.tar").write_bytes(b"1")
    assert find_described(f"{tmp_path}/*.tar") == {
        f"{tmp_path}/1.tar": FoundFile(1, str((tmp_path / "1.tar").stat().st_mtime_ns))
    }


def test_what_is_a_file_and_what_a_folder(url, bucket):
    assert (is_file(url), is_folder(url)) == (True, False)
    assert (is_file(f"{bucket}/a"), is_folder(f"{bucket}/a")) == (False, True)
    assert (is_file(f"{bucket}/b"), is_folder(f"{bucket}/b")) == (False, False)


def test_a_file_that_is_not_there(url):
    for read in (lambda: open_file(f"{url}x").read(1), lambda: read_range(f"{url}x", 0, 5)):
        with pytest.raises(FileNotFoundError, match=f"there is no such file: '{re.escape(url)}x'"):
            read()


@pytest.mark.parametrize("server", ["gcs_server", "s3_server"])
def test_a_bucket_that_is_gone_is_no_missing_file(request, server):
    server = request.getfixturevalue(server)
    with server.selected():
        url = f"{server.scheme}://no-such-bucket-{os.getpid()}"
        asked = [
            lambda: open_file(f"{url}/a.jpg").read(),
            lambda: read_range(f"{url}/a.jpg", 0, 5),
            lambda: find_files(f"{url}/*.tar"),
            lambda: is_file(f"{url}/a.jpg"),
            lambda: open_folder(url).exists("a"),
            lambda: open_folder(url).find(),
            lambda: open_folder(url).write("a", b""),
            lambda: open_folder(url).create("a", b""),
        ]
        for question in asked:
            with pytest.raises(StorageError, match=r"no bucket|NoSuchBucket"):
                question()
