"""Files received on connections that are kept: the same bytes whatever happens on the way, without the driver."""

import dataclasses
import os

import pytest

from lit_precompute.schemas.storage import Patience, Receiver, StorageError, open_folder, receiving
from tests.stores.proxy import Fault, store_proxy

QUICK = Patience(first_pause_s=0.001, max_pause_s=0.01, max_attempts=3)
HASTY = dataclasses.replace(QUICK, timeout_s=0.5, max_attempts=10)
DATA = os.urandom(3_000_000)


@pytest.fixture(params=["gcs_server", "s3_server"])
def proxy(request):
    with store_proxy(request.getfixturevalue(request.param)) as proxy:
        yield proxy


@pytest.fixture
def folder(proxy):
    folder = open_folder(proxy.server.make_bucket() + "/out", patience=QUICK)
    folder.write("a b/ü+%20#.bin", DATA)
    proxy.passed.clear()
    return folder


def _received(receiver, url, num_bytes=3_000_000):
    data = bytearray()
    assert receiver.receive(url, num_bytes, data.extend) == len(data)
    return data


def _gotten(proxy):
    return [each for each in proxy.passed if each.method == "GET"]


def test_a_file_is_one_request_and_needs_no_driver_s_reading(proxy, folder, monkeypatch):
    monkeypatch.setattr(receiving, "read_pieces", None)
    with Receiver(QUICK) as receiver:
        for _ in range(3):
            assert _received(receiver, folder.join("a b/ü+%20#.bin")) == DATA
    assert len(_gotten(proxy)) == 3
    assert proxy.server.scheme == "gs" or all(
        "X-Amz-Algorithm=AWS4-HMAC-SHA256" in each.path for each in _gotten(proxy)
    )


def test_of_a_longer_file_no_more_is_read_than_was_asked_for(proxy, folder):
    with Receiver(QUICK) as receiver:
        assert _received(receiver, folder.join("a b/ü+%20#.bin"), 1_000_000) == DATA[:1_000_000]
    assert [each.num_received for each in _gotten(proxy)] == [1_000_000]


def test_a_shorter_file_ends_where_it_ends(folder):
    with Receiver(QUICK) as receiver:
        assert _received(receiver, folder.join("a b/ü+%20#.bin"), len(DATA) + 1) == DATA


@pytest.mark.parametrize("fault", ["cut", "reset", "hang", "lost", "status 503", "status 500"])
def test_what_breaks_off_goes_on_where_it_was(proxy, folder, fault):
    with Receiver(HASTY if fault == "hang" else QUICK) as receiver:
        for _ in range(2):  # with a new connection, and with one that was kept
            proxy.fail(Fault(fault, "GET"))
            assert _received(receiver, folder.join("a b/ü+%20#.bin")) == DATA
            assert proxy.num_left == 0
            assert _received(receiver, folder.join("a b/ü+%20#.bin")) == DATA


def test_a_store_that_is_never_silent_and_never_done_is_left_to_patience(proxy, folder):
    slow = dataclasses.replace(QUICK, max_part_s=1, max_attempts=10)  # a busy machine may be slow itself
    with Receiver(slow) as receiver:
        proxy.fail(Fault("slow 4", "GET"))
        assert _received(receiver, folder.join("a b/ü+%20#.bin")) == DATA
    assert len(_gotten(proxy)) >= 2


def test_errors_are_those_of_every_read(proxy, folder):
    with Receiver(QUICK) as receiver:
        with pytest.raises(FileNotFoundError):
            receiver.receive(folder.join("none"), 10, print)
        with pytest.raises(StorageError, match="there is no bucket"):
            receiver.receive(f"{proxy.server.scheme}://none-of-this-name/a", 10, print)
        proxy.fail(Fault("status 403 AccessDenied"), times=10)
        with pytest.raises(PermissionError):
            receiver.receive(folder.join("a b/ü+%20#.bin"), 10, print)


def test_a_store_that_answers_only_to_its_driver_is_not_asked_again_and_again(proxy, folder, monkeypatch):
    asked = []
    monkeypatch.setattr(Receiver, "_request", lambda self, url: asked.append(url) or (_ for _ in ()).throw(OSError()))
    with Receiver(QUICK) as receiver:
        for _ in range(20):
            assert _received(receiver, folder.join("a b/ü+%20#.bin"), 10) == DATA[:10]
    assert len(asked) == 8


def test_a_full_disk_is_no_failure_of_the_store(proxy, folder):
    def full(piece):
        raise OSError(28, "No space left on device")

    with Receiver(QUICK) as receiver, pytest.raises(OSError, match="No space left"):
        receiver.receive(folder.join("a b/ü+%20#.bin"), len(DATA), full)
    assert len(_gotten(proxy)) <= 1


def test_an_environment_s_proxy_is_left_to_the_driver(folder, monkeypatch):
    monkeypatch.setattr(receiving, "may_have_proxy", lambda: True)
    monkeypatch.setattr(Receiver, "_receive_directly", None)
    with Receiver(QUICK) as receiver:
        assert _received(receiver, folder.join("a b/ü+%20#.bin"), 10) == DATA[:10]


def test_other_places_are_read_by_their_drivers(tmp_path):
    folder = open_folder(f"memory://{tmp_path}")
    folder.write("a", DATA)
    with Receiver(QUICK) as receiver:
        assert _received(receiver, folder.join("a")) == DATA
        assert _received(receiver, folder.join("a"), 10) == DATA[:10]
