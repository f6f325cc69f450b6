"""Fixtures of stores: buckets of a fake GCS and a fake S3 on loopback, one for each test.

`gcs_bucket` and `s3_bucket` are URLs of empty buckets; while a test has one, this process and those it starts find the
server by the environment. `bucket` runs a test on both and on fsspec's memory driver. The servers start once, when they
are first needed.
"""

import contextlib
import dataclasses
import json
import pathlib
import select
import subprocess
import urllib.request
import uuid

import pytest

_ROOT = pathlib.Path(__file__).parents[2]
_PYTHON = _ROOT / ".venv-servers/bin/python"
_SECONDS = 300  # to start up on a busy machine
_PROXIES = ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "AWS_PROFILE")


@dataclasses.dataclass(frozen=True)
class StoreServer:
    """A running server, or a proxy before one."""

    scheme: str
    address: str

    def environment(self):
        """Returns the variables by which clients find it, and may write to it."""
        if self.scheme == "gs":
            return {"STORAGE_EMULATOR_HOST": self.address}
        return {
            "AWS_ENDPOINT_URL": self.address,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def make_bucket(self):
        """Returns the URL of a new bucket."""
        name = f"test-{uuid.uuid4().hex[:12]}"
        if self.scheme == "gs":
            self._send("POST", "/storage/v1/b", json.dumps({"name": name}).encode())
        else:
            self._send("PUT", f"/{name}")
        return f"{self.scheme}://{name}"

    def remove_bucket(self, url):
        """Removes an empty bucket."""
        name = url.partition("://")[2]
        self._send("DELETE", f"/storage/v1/b/{name}" if self.scheme == "gs" else f"/{name}")

    def _send(self, method, path, body=None):
        headers = {"Content-Type": "application/json"} if body else {}
        request = urllib.request.Request(self.address + path, data=body, method=method, headers=headers)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=_SECONDS) as answer:
            answer.read()

    @contextlib.contextmanager
    def selected(self):
        """Makes this the server of its scheme, for this process and those it starts."""
        with pytest.MonkeyPatch.context() as patch:
            for name in _PROXIES:
                patch.delenv(name, raising=False)
            for name, value in self.environment().items():
                patch.setenv(name, value)
            yield self


@contextlib.contextmanager
def started(scheme, script, *arguments):
    """Yields the server of a script here, or a path; it is stopped afterwards, and ends when this process does."""
    if not _PYTHON.exists():
        pytest.fail("the stores' environment is missing; `make test` sets it up, as does `make servers`", pytrace=False)
    command = [str(_PYTHON), str(pathlib.Path(__file__).parent / script), *map(str, arguments)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            port = process.stdout.readline() if select.select([process.stdout], [], [], _SECONDS)[0] else b""
            assert port, f"{script} did not start"
            yield StoreServer(scheme, f"http://127.0.0.1:{int(port)}")
        finally:
            process.kill()


@pytest.fixture(scope="session")
def gcs_server():
    with started("gs", "run_gcs.py") as server:
        yield server


@pytest.fixture(scope="session")
def s3_server():
    with started("s3", "run_s3.py") as server:
        yield server


@pytest.fixture
def gcs_bucket(gcs_server):
    with gcs_server.selected():
        yield gcs_server.make_bucket()


@pytest.fixture
def s3_bucket(s3_server):
    with s3_server.selected():
        yield s3_server.make_bucket()


@pytest.fixture(params=["memory", "gs", "s3"])
def bucket(request):
    """A URL below which nothing is yet, in each kind of store."""
    if request.param == "memory":
        return f"memory://test-{uuid.uuid4().hex[:12]}"
    return request.getfixturevalue("gcs_bucket" if request.param == "gs" else "s3_bucket")
