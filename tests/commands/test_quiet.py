"""Threads of libraries: one whose connection is lost says nothing, any other error is shown."""

import subprocess
import sys

import pytest

_PROGRAM = """
import sys, threading
from lit_precompute.commands import console, quiet
console.take_debug_flag(sys.argv)
quiet.silence_libraries()
quiet.silence_libraries()

def read_a_closed_server():
    import grpc
    grpc.insecure_channel("127.0.0.1:1").unary_stream("/service/method")(b"").next()

def fail():
    raise ValueError("a fault")

thread = threading.Thread(target={"connection": read_a_closed_server, "fault": fail}[sys.argv[1]])
thread.start()
thread.join()
"""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["connection"], ""),
        (["connection", "--debug"], "StatusCode.UNAVAILABLE"),
        (["fault"], "ValueError: a fault"),
    ],
)
def test_only_a_lost_connection_is_silent(arguments, said):
    run = subprocess.run(
        [sys.executable, "-c", _PROGRAM, *arguments], capture_output=True, text=True, check=True, timeout=900
    )
    assert said in run.stderr if said else run.stderr == ""
