"""Where weights may be looked for in tests: caches in a fresh folder, a web server on this machine, no network."""

import hashlib
import http.server
import importlib
import threading
import urllib.parse

import huggingface_hub.constants
import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"
_HUB_VARIABLES = (
    "HF_HOME",
    "HF_HUB_CACHE",
    "HUGGINGFACE_HUB_CACHE",
    "HF_HUB_OFFLINE",
    "TRANSFORMERS_OFFLINE",
    "HF_ENDPOINT",
    "HF_TOKEN",
    "HF_TOKEN_PATH",
    "HF_HUB_DISABLE_TELEMETRY",
    "XDG_CACHE_HOME",
)


@pytest.fixture
def set_hub():
    """Sets huggingface_hub's variables, which it reads when it is imported: others than the given ones are not set."""
    with pytest.MonkeyPatch.context() as patch:

        def set_hub(**variables):
            for name in _HUB_VARIABLES:
                patch.delenv(name, raising=False)
            for name, value in variables.items():
                patch.setenv(name, str(value))
            importlib.reload(huggingface_hub.constants)

        yield set_hub
    importlib.reload(huggingface_hub.constants)


@pytest.fixture
def hub_variables(tmp_path):
    """The hub's cache in a fresh folder, and no network: the hub is a port without a listener."""
    folders = {"HF_HOME": tmp_path / "home", "HF_HUB_CACHE": tmp_path / "hub"}
    return folders | {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_DISABLE_TELEMETRY": 1}


@pytest.fixture
def places(tmp_path, monkeypatch, set_hub, hub_variables):
    """Both caches in a fresh folder, and no network."""
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LIT_PRECOMPUTE_CACHE", str(tmp_path / "own"))
    set_hub(**hub_variables)


class _Handler(http.server.BaseHTTPRequestHandler):
    """Answers from the contents of the `Server` it belongs to."""

    def do_HEAD(self):
        self._answer()

    def do_GET(self):
        self._answer()

    def _answer(self):
        outer = self.server.outer
        outer.asked.append((self.command, self.path, self.headers.get("Authorization")))
        content = outer.failing.pop() if outer.failing else outer.contents.get(self.path)
        target = outer.contents.get(urllib.parse.urlsplit(content).path) if isinstance(content, str) else content
        if not isinstance(target, bytes):
            self.send_response(content or 404)
            if content is None and "/resolve/" in self.path:
                self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(302 if isinstance(content, str) else 200)
        self.send_header("Content-Length", "0" if isinstance(content, str) else str(len(target) + outer.short))
        if isinstance(content, str):
            self.send_header("Location", content)
        if "/resolve/" in self.path:
            self.send_header("X-Repo-Commit", outer.commit)
            self.send_header("X-Linked-Size", str(len(target)))
            self.send_header("ETag", f'"{hashlib.sha256(target).hexdigest()}"')
        self.end_headers()
        if self.command == "GET" and isinstance(content, bytes):
            self.wfile.write(content)

    def log_message(self, *_):
        pass


class Server:
    """A web server on this machine: contents by path, and what was asked for. Below `/resolve/` it is a hub.

    `failing` has the statuses of the next answers.
    """

    def __init__(self):
        self.contents, self.asked, self.short, self.commit = {}, [], 0, COMMIT
        self.failing = []
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.outer = self
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        self.other_address = f"http://localhost:{self._server.server_port}"  # as a hub's files are at another host
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def fetched(self):
        """Returns the paths whose contents were asked for."""
        return [path for method, path, _ in self.asked if method == "GET"]

    def stop(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def server(places, set_hub, hub_variables):
    server = Server()
    hub_variables["HF_ENDPOINT"] = server.address
    set_hub(**hub_variables)
    yield server
    server.stop()
