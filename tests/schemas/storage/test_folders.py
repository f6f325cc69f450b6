"""Folders on disk, in memory, in GCS and in S3: the same promises, kept also where requests fail on the way."""

import dataclasses
import errno
import os
import pathlib
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from lit_precompute.schemas.storage import Patience, StorageError, num_retried, open_folder
from tests.stores.proxy import Fault, store_proxy

QUICK = Patience(first_pause_s=0.001, max_pause_s=0.01, max_attempts=3)
HASTY = dataclasses.replace(QUICK, timeout_s=0.5)
MANY = 1_050  # more than a page of a listing, and than one request removes


@pytest.fixture(params=["local", "memory", "gs", "s3"])
def folder(request, tmp_path):
    """An empty folder of each kind."""
    if request.param == "local":
        return open_folder(tmp_path / "out")
    if request.param == "memory":
        return open_folder(f"memory://{tmp_path}")
    return open_folder(request.getfixturevalue("gcs_bucket" if request.param == "gs" else "s3_bucket") + "/out")


@pytest.fixture(params=["gcs_server", "s3_server"])
def proxy(request):
    with store_proxy(request.getfixturevalue(request.param)) as proxy:
        yield proxy


@pytest.fixture
def far(proxy):
    """An empty folder behind the proxy."""
    return open_folder(proxy.server.make_bucket() + "/out", patience=QUICK)


def _upload(folder, data, name):
    local = folder.scratch() / f"{os.getpid()}-{name.replace('/', '-')}"
    local.write_bytes(data)
    folder.upload(local, name)
    assert not local.exists()


def test_what_is_written_is_read_found_and_removed(folder):
    assert folder.find() == {}
    assert not folder.exists("a/b c.json")
    folder.write("a/b c.json", b"1")
    folder.write("a/b c.json", b"22")
    _upload(folder, b"333", "a/deep/ü+%20#.bin")
    folder.write("ab", b"")
    assert folder.exists("a/b c.json")
    assert not folder.exists("a")
    assert folder.read("a/b c.json") == b"22"
    assert folder.read("a/deep/ü+%20#.bin") == b"333"
    assert {name: each.num_bytes for name, each in folder.find().items()} == {
        "a/b c.json": 2,
        "a/deep/ü+%20#.bin": 3,
        "ab": 0,
    }
    assert sorted(folder.find("a")) == ["b c.json", "deep/ü+%20#.bin"]
    folder.remove("a/b c.json", "never there")
    assert sorted(folder.find("a")) == ["deep/ü+%20#.bin"]
    folder.remove_folder("a")
    assert sorted(folder.find()) == ["ab"]
    folder.remove_folder("a")
    with pytest.raises(FileNotFoundError):
        folder.read("a/b c.json")


def test_many_files_are_read_in_the_order_given(folder):
    assert folder.read_many([]) == []
    assert folder.read_many(["nowhere", "there/either"]) == [None, None]
    for number in range(5):
        folder.write(f"a/ü+{number}.json", bytes([number]) * number)
    names = ["a/ü+3.json", "a/none.json", "a/ü+0.json", "a/ü+3.json"]
    assert folder.read_many(names) == [b"\3\3\3", None, b"", b"\3\3\3"]


def test_what_fails_once_among_many_is_read_again(proxy, far):
    for number in range(3):
        far.write(f"{number}.json", bytes([number]))
    proxy.fail(Fault("status 503 SlowDown"))
    assert far.read_many([f"{number}.json" for number in range(3)]) == [b"\0", b"\1", b"\2"]
    assert proxy.num_left == 0


def test_the_same_bytes_twice_do_no_harm(folder):
    for _ in range(2):
        _upload(folder, b"333", "a")
    assert folder.read("a") == b"333"


def test_only_what_is_absent_is_created(folder):
    assert folder.create("a/note", b"first")
    assert not folder.create("a/note", b"second")
    assert folder.read("a/note") == b"first"
    assert folder.find("a").keys() == {"note"}
    folder.remove("a/note")
    assert folder.create("a/note", b"third")


def test_of_many_threads_one_creates(folder):
    with ThreadPoolExecutor(8) as threads:
        created = list(threads.map(lambda number: folder.create("note", b"%d" % number), range(8)))
    assert sum(created) == 1
    assert folder.read("note") == b"%d" % created.index(True)


# Eight processes that are born with the drivers, and without a connection, begin at one moment.
CREATORS = """
import os, sys
from lit_precompute.schemas.storage import drivers, open_folder
drivers._gcs_driver(), __import__("s3fs")
path, [reading, writing] = sys.argv[1], os.pipe()
for number in range(8):
    if os.fork() == 0:
        os.close(writing), os.read(reading, 1)
        os.write(1, b"%d %r\\n" % (number, open_folder(path).create("note", b"%d" % number)))
        os._exit(0)
os.close(writing)
for _ in range(8):
    os.wait()
"""


@pytest.mark.parametrize("folder", ["local", "gs", "s3"], indirect=True)  # the memory driver's are of one process
def test_of_eight_processes_one_creates(folder):
    command = [sys.executable, "-c", CREATORS, folder.path]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600).stdout
    created = [line.split() for line in printed.splitlines()]
    assert len(created) == 8
    [winner] = [number for number, did in created if did == "True"]
    assert folder.read("note") == winner.encode()


def test_a_creator_whose_answer_was_lost_still_wins(proxy, far):
    assert far.create("warm", b"")
    method = "POST" if proxy.server.scheme == "gs" else "PUT"
    proxy.fail(Fault("lost", method))
    assert far.create("note", b"mine")
    assert proxy.num_left == 0
    assert far.read("note") == b"mine"
    proxy.fail(Fault("lost", method))
    assert not far.create("note", b"mine")  # an equal note of another


# GCS refuses half of an upload that has its length in it.
@pytest.mark.parametrize("proxy", ["s3_server"], indirect=True)
def test_a_creation_that_was_cut_short_is_completed(proxy, far):
    assert far.create("warm", b"")
    proxy.fail(Fault("half", "PUT"))
    assert far.create("note", b"0123456789")
    assert proxy.num_left == 0
    assert far.read("note") == b"0123456789"


def test_a_store_that_replaces_what_it_should_create_is_refused(monkeypatch, far):
    from lit_precompute.schemas.storage import stores

    monkeypatch.setattr(stores._Gcs, "create", stores._Gcs.put)
    monkeypatch.setattr(stores._S3, "create", stores._S3.put)
    with pytest.raises(StorageError, match=r"replaces objects that are to be created only if absent.*; use another"):
        far.create("note", b"")


@pytest.mark.parametrize("fault", ["status 503 SlowDown", "status 429", "reset", "lost", "hang"])
def test_what_fails_once_is_tried_again(proxy, far, fault):
    far.write("a", b"1")
    if fault == "hang":  # as may a busy machine
        far = open_folder(far.path, patience=dataclasses.replace(HASTY, max_attempts=10))
    before = num_retried()
    asked = [
        lambda: far.write("b", b"2"),
        lambda: far.create("c", b"3"),
        lambda: _upload(far, b"4", "d"),
        lambda: far.read("a") == b"1" or pytest.fail("other bytes"),
        lambda: far.exists("a") or pytest.fail("an outage is no missing file"),
        lambda: len(far.find()) == 4 or pytest.fail("an outage is no empty folder"),
        lambda: far.remove("a"),
    ]
    for question in asked:
        proxy.fail(Fault(fault))
        question()
        assert proxy.num_left == 0
        proxy.heal()
    assert num_retried() > before
    assert sorted(far.find()) == ["b", "c", "d"]


def test_half_an_upload_is_noticed_and_repeated(proxy, far):
    data = os.urandom(300_000)
    method = "POST" if proxy.server.scheme == "gs" else "PUT"
    for write in (far.write, lambda name, data: _upload(far, data, name)):
        proxy.fail(Fault("half", method))
        write("a", data)
        assert proxy.num_left == 0
        assert far.read("a") == data


def test_a_large_upload_in_parts_is_repeated_too(proxy, far):
    data = os.urandom(40 << 20)
    method = "POST" if proxy.server.scheme == "gs" else "PUT"
    proxy.fail(Fault("reset", method, "upload_id|uploadId"))
    _upload(far, data, "a")
    assert proxy.num_left == 0
    assert far.read("a") == data


def test_an_upload_that_never_succeeds_leaves_nothing_and_keeps_the_local_file(proxy, far, tmp_path):
    (tmp_path / "a").write_bytes(os.urandom(40 << 20))
    proxy.fail(Fault("reset", path="upload_id|uploadId"), times=100)
    with pytest.raises(StorageError, match=r"/out/a: .*, after 3 attempts"):
        far.upload(tmp_path / "a", "a")
    proxy.heal()
    assert (tmp_path / "a").exists()
    assert far.find() == {}
    assert not far.exists("a")


def test_an_upload_that_is_killed_leaves_nothing(proxy, far, tmp_path):
    (tmp_path / "a").write_bytes(os.urandom(40 << 20))
    proxy.fail(Fault("hang", path="upload_id|uploadId"), times=100)
    code = (
        "import pathlib, sys; from lit_precompute.schemas.storage import open_folder\n"
        "open_folder(sys.argv[1]).upload(pathlib.Path(sys.argv[2]), 'a')"
    )
    with subprocess.Popen([sys.executable, "-c", code, far.path, str(tmp_path / "a")]) as process:
        while proxy.num_left == 100:
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
    proxy.heal()
    assert far.find() == {}
    assert not far.exists("a")


def test_permission_that_is_lost_is_a_sentence(proxy, far):
    far.write("a", b"1")
    asked = [
        lambda: far.read("a"),
        lambda: far.exists("a"),
        lambda: far.write("b", b"2"),
        lambda: far.create("b", b"2"),
        lambda: _upload(far, b"3", "c"),
        far.find,
        lambda: far.remove("a"),
    ]
    for question in asked:
        proxy.fail(Fault("status 403 AccessDenied"), times=10)
        with pytest.raises(PermissionError, match=rf"403 Forbidden.*: '{re.escape(far.path)}"):
            question()
        proxy.heal()


@pytest.mark.parametrize(
    ("proxy", "status", "code"),
    [
        ("gcs_server", 401, "Invalid Credentials"),
        ("s3_server", 400, "ExpiredToken"),
        ("s3_server", 403, "InvalidAccessKeyId"),
    ],
    indirect=["proxy"],
)
def test_credentials_that_expired_are_about_no_single_file(proxy, far, status, code):
    for question in (lambda: far.read("a"), lambda: far.write("a", b""), lambda: far.create("a", b"")):
        proxy.fail(Fault(f"status {status} {code}"), times=10)
        with pytest.raises(StorageError, match=rf"{far.path}/a: the server says {status}"):
            question()
        proxy.heal()


def test_a_store_that_never_answers_is_given_up(proxy, far):
    far = open_folder(far.path, patience=HASTY)
    for question in (lambda: far.read("a"), lambda: far.write("a", b""), far.find):
        proxy.fail(Fault("hang"), times=10)
        with pytest.raises(StorageError, match=r"after 3 attempts in \d+ s"):
            question()
        proxy.heal()


def test_slow_bytes_arrive(proxy, far):
    far.write("a", os.urandom(1000))
    far = open_folder(far.path, patience=HASTY)
    proxy.fail(Fault("slow 0.8", "GET"))
    assert len(far.read("a")) == 1000
    assert proxy.num_left == 0


def test_a_listing_that_is_late_hides_nothing_from_who_knows_the_name(proxy, far):
    far.write("a", b"1")
    proxy.fail(Fault("stale", "GET", r"list-type|delimiter|/o\?"), times=10)
    assert far.find() == {}
    assert far.exists("a")
    assert far.read("a") == b"1"
    assert not far.create("a", b"2")


@pytest.mark.slow
def test_many_files_are_listed_in_pages_and_removed_in_bulk(proxy, far):
    # On a busy machine a page may take long; a question that is asked again would be counted, whenever it is answered.
    far = open_folder(far.path, patience=dataclasses.replace(QUICK, timeout_s=600))
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda number: far.write(f"many/{number:05d}", b"1"), range(MANY)))
    proxy.passed.clear()
    assert list(far.find("many")) == [f"{number:05d}" for number in range(MANY)]
    assert len(proxy.passed) == 2
    proxy.passed.clear()
    far.remove_folder("many")
    assert far.find("many") == {}
    # Two pages, the removal by 100 or 1,000, and up to four answers that nothing is left.
    assert len(proxy.passed) <= 2 + (11 if proxy.server.scheme == "gs" else 2) + 4


def test_a_local_file_system_without_links(monkeypatch, tmp_path):
    def no_links(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    folder = open_folder(tmp_path)
    with ThreadPoolExecutor(8) as threads:
        created = list(threads.map(lambda number: folder.create("note", b"%d" % number), range(8)))
    assert sum(created) == 1
    assert folder.read("note") == b"%d" % created.index(True)
    assert [path.name for path in tmp_path.iterdir()] == ["note"]


def test_what_is_being_written_is_not_found(tmp_path):
    folder = open_folder(tmp_path)
    folder.write(".hidden", b"1")
    (tmp_path / (".a." + "0f" * 16)).write_bytes(b"half")
    assert folder.find().keys() == {".hidden"}


@pytest.mark.parametrize("url", ["https://host/out", "ftp://host/out", "simplecache::gs://b/out"])
def test_what_can_only_be_read_is_refused_at_once(url, tmp_path):
    folder = open_folder(url)
    (tmp_path / "a").write_bytes(b"1")
    for write in (
        lambda: folder.write("a", b""),
        lambda: folder.create("a", b""),
        lambda: folder.upload(tmp_path / "a", "a"),
        lambda: folder.remove("a"),
    ):
        with pytest.raises(
            StorageError, match=r"can only be read from; write to a local path, gs://, s3:// or hdfs://"
        ):
            write()


def test_equal_folders_are_equal(tmp_path):
    assert open_folder("memory://a/b/") == open_folder("memory://a/b") != open_folder("memory://a")
    assert open_folder(tmp_path) == open_folder(f"file://{tmp_path}") == open_folder(pathlib.Path(tmp_path))
    assert len({open_folder(tmp_path), open_folder(str(tmp_path)), open_folder("memory://a")}) == 2


def test_everything_in_a_folder_is_removed(folder):
    for name in ("a", "b/c", "b/d/e"):
        folder.write(name, b"1")
    folder.remove_folder("b")
    assert folder.find().keys() == {"a"}
    folder.write("b/c", b"1")
    folder.remove_folder("")
    assert folder.find() == {}
