"""Where weights may be looked for in tests: caches in a fresh folder, a web server on this machine, no network."""

import http.server
import threading

import pytest


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Both caches in a fresh folder, and no network: the hub is a port that nobody listens at."""
    for name in ("HF_HOME", "HUGGINGFACE_HUB_CACHE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("LIT_PRECOMPUTE_CACHE", str(tmp_path / "own"))


class Server:
    """A web server on this machine: contents by path, and what was asked for."""

    def __init__(self):
        self.contents, self.asked, self.short = {}, [], 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked.append((self.path, self.headers.get("Authorization")))
                content = outer.contents.get(self.path)
                if isinstance(content, bytes):
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(content) + outer.short))
                    self.end_headers()
                    self.wfile.write(content)
                elif isinstance(content, str):
                    self.send_response(302)
                    self.send_header("Location", content)
                    self.end_headers()
                else:
                    self.send_error(content or 404)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def stop(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def server(places, monkeypatch):
    server = Server()
    monkeypatch.setenv("HF_ENDPOINT", server.address)
    yield server
    server.stop()
