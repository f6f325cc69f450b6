"""Trying again: how often, after which pauses, what is given up at once, and what is counted."""

import pickle
import socket

import pytest

from lit_precompute.schemas.storage import (
    Patience,
    StorageError,
    count_retried,
    num_retried,
    telling_of_retries,
    with_patience,
)
from tests.flaky_server import FakeTime

URL = "http://host/a.png"


@pytest.fixture
def time():
    return FakeTime()


def _patience(time, draw=1.0, **limits):
    return Patience(clock=time.clock, sleep=time.sleep, draw=lambda: draw, **limits)


def _failing(errors):
    """Returns an attempt that raises these errors in turn and then succeeds."""
    remaining = list(errors)

    def attempt():
        if remaining:
            raise remaining.pop(0)
        return "content"

    return attempt


@pytest.mark.parametrize(("draw", "pauses"), [(0.0, [0.25, 0.5, 1.0]), (1.0, [0.5, 1.0, 2.0])])
def test_pauses_double_and_half_of_each_is_random(time, draw, pauses):
    before = num_retried()
    assert with_patience(URL, _failing([ConnectionResetError()] * 3), _patience(time, draw)) == "content"
    assert time.pauses_s == pauses
    assert num_retried() - before == 1  # one read, however often it was tried


def test_nothing_is_counted_where_the_first_attempt_succeeds(time):
    before = num_retried()
    with_patience(URL, _failing([]), _patience(time))
    assert (num_retried(), time.pauses_s) == (before, [])
    count_retried(3)  # of another process
    assert num_retried() == before + 3


def test_an_error_that_persists_names_url_cause_and_attempts(time):
    with pytest.raises(StorageError) as caught:
        with_patience(URL, _failing([ConnectionRefusedError(111, "Connection refused")] * 9), _patience(time))
    assert str(caught.value) == f"{URL}: Connection refused, after 6 attempts in 16 s"
    assert time.pauses_s == [0.5, 1, 2, 4, 8]
    assert isinstance(caught.value.__cause__, ConnectionRefusedError)
    again = pickle.loads(pickle.dumps(caught.value))  # decoding processes raise it in the main one
    assert (type(again), str(again)) == (StorageError, str(caught.value))


def test_the_total_time_is_bounded(time):
    def hang():
        time.now_s += 60
        raise TimeoutError("no answer")

    with pytest.raises(StorageError, match="no answer, after 2 attempts in 120 s"):
        with_patience(URL, hang, _patience(time))


def test_the_server_may_ask_for_a_longer_pause_within_bounds(time):
    asked = [_busy("7"), _busy("3600"), _busy("tomorrow")]
    assert with_patience(URL, _failing(asked), _patience(time)) == "content"
    assert time.pauses_s == [7.0, 30.0, 2.0]


def _busy(retry_after):
    error = OSError("too many requests")
    error.status, error.headers = 429, {"Retry-After": retry_after}
    return error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (FileNotFoundError(2, "none"), FileNotFoundError),
        (PermissionError(13, "no"), PermissionError),
        (OSError(28, "No space left on device"), OSError),
        (TypeError("a bug"), StorageError),
        (MemoryError(), MemoryError),
    ],
)
def test_another_attempt_would_not_help(time, error, expected):
    with pytest.raises(expected) as caught:
        with_patience(URL, _failing([error]), _patience(time))
    assert time.pauses_s == []
    assert caught.type is expected


def test_a_host_that_no_name_server_knows_is_given_up_soon(time):
    def attempt():
        try:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        except OSError as error:
            raise FileNotFoundError(URL) from error  # as fsspec does

    with pytest.raises(StorageError, match=r"not known, after 3 attempts in 2 s; check the server's name"):
        with_patience(URL, attempt, _patience(time))
    assert time.pauses_s == [0.5, 1.0]
    busy = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    with pytest.raises(StorageError, match=r"resolution, after 6 attempts in 16 s$"):
        with_patience(URL, _failing([busy] * 6), _patience(time))


def test_errors_that_name_each_other_are_one_answer(time):
    """As drivers leave them that raise the error of another thread again."""
    first, second = ConnectionResetError(104, "reset"), ValueError("not so")
    first.__cause__, second.__context__ = second, first
    assert with_patience(URL, _failing([first]), _patience(time)) == "content"


def test_a_read_that_is_tried_again_and_again_is_said_now_and_then(time):
    said = []
    with telling_of_retries(said.append):
        with_patience(URL, _failing([ConnectionResetError(104, "reset")]), _patience(time))
        assert said == []  # the second attempt was enough
        for _ in range(2):
            with_patience(URL, _failing([ConnectionResetError(104, "reset")] * 4), _patience(time))
    assert said == [f"{URL}: reset; attempt 3 of 6 in 1 s"] * 2
