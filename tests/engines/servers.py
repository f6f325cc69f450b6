"""Local servers for the tests of engines: on loopback, bounded in time, and ended for sure, whole process groups."""

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import time

# A server ends even if the tests are killed.
_DIE_WITH_US = ("setpriv", "--pdeathsig", "TERM")


def free_port():
    """Returns a port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Servers:
    """Server processes that end with the block, each with a log in a folder."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._stack = contextlib.ExitStack()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stack.close()

    def start(self, name, command, *, port=None, says=None, limit_s=120, **environment):
        """Starts a server, waits until it listens on `port` or its log has `says`, and returns its process."""
        log = self.folder / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*_DIE_WITH_US, *(str(part) for part in command)],
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                cwd=self.folder,
                env={**os.environ, **environment},
                start_new_session=True,
            )
        self._stack.callback(end, process)
        deadline = time.monotonic() + limit_s
        while not _is_ready(log, port, says):
            assert process.poll() is None, f"{name} ended with status {process.returncode}:\n{tail(log)}"
            assert time.monotonic() < deadline, f"{name} was not ready within {limit_s} s:\n{tail(log)}"
            time.sleep(0.2)
        return process


def end(process):
    """Ends a process and all that it has started in its group."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)


def tail(log, num_lines=40):
    """Returns the end of a log."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-num_lines:])


def _is_ready(log, port, says):
    if says is not None and says not in log.read_text(errors="replace"):
        return False
    if port is None:
        return True
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
