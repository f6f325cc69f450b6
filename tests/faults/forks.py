"""Commands in processes of their own that are started quickly, watched, paused and killed; see `fork_server`."""

import contextlib
import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

_ROOT = pathlib.Path(__file__).parents[2]
# What a test may have set for the commands since the server began.
_PASSED_ON = ("STORAGE_EMULATOR_HOST", "AWS_ENDPOINT_URL", "TMPDIR", "LIT_PRECOMPUTE_CACHE")


@dataclasses.dataclass(frozen=True)
class Ended:
    """How a process ended: its status (minus the signal that killed it; None: it is stopped), what it said, and its
    journal: `reached` the phase of its aim, or the `seconds` of its operations."""

    status: int | None
    said: str
    journal: dict

    @property
    def is_killed(self):
        return self.status == -signal.SIGKILL


class Child:
    """A process that runs one command."""

    def __init__(self, server, number, folder):
        self._server, self.number, self._folder = server, number, folder

    def wait(self):
        """Waits until it ends or is stopped."""
        status = self._server.ask(do="wait", child=self.number)
        journal = self._folder / "journal"
        content = json.loads(journal.read_text() or "{}") if journal.exists() else {}
        said = self._folder / "said"  # not there if it was killed before it did anything
        return Ended(status, said.read_text(errors="replace") if said.exists() else "", content)

    def send(self, number):
        """Sends a signal to the process and all that it has started."""
        self._server.ask(do="send", child=self.number, signal=int(number))


class Forks:
    """Starts commands."""

    def __init__(self, process, folder):
        self._process, self._folder, self._count = process, pathlib.Path(folder), 0

    def ask(self, **request):
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the fork server has ended"
        return json.loads(answer)

    def start(self, *command, aim=None):
        """Starts a command, which is sent a signal at its `Aim`."""
        self._count += 1
        folder = self._folder / f"{self._count:05d}"
        folder.mkdir()
        environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        request = {"do": "start", "folder": str(folder), "environment": environment, "command": [*map(str, command)]}
        return Child(self, self.ask(**request, aim=aim and dataclasses.asdict(aim)), folder)

    def run(self, *command, aim=None):
        """Runs a command to its end."""
        return self.start(*command, aim=aim).wait()


@contextlib.contextmanager
def forking():
    """Yields a server that ends with the block."""
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
    environment = os.environ | keys | {"AWS_EC2_METADATA_DISABLED": "true"}
    command = [sys.executable, "-W", "ignore", "-m", "tests.faults.fork_server"]
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=_ROOT, env=environment
        ) as process,
    ):
        try:
            yield Forks(process, folder)
        finally:
            process.stdin.close()
            process.wait()
