"""Requests to a store go through the proxy that the environment names."""

import http.server
import threading

import pytest

from lit_precompute.schemas.storage import Patience, StorageError, open_folder

QUICK = Patience(first_pause_s=0.001, max_pause_s=0.01, max_attempts=1)


@pytest.fixture
def asked():
    """What a proxy is asked for; it says that there is nothing."""
    paths = []

    class Proxy(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            paths.append(self.path)
            self.send_error(404)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("no_proxy", raising=False)
        patch.delenv("NO_PROXY", raising=False)
        patch.setenv("http_proxy", f"http://127.0.0.1:{server.server_port}")
        patch.setenv("STORAGE_EMULATOR_HOST", "http://store.invalid")
        yield paths
    server.shutdown()
    server.server_close()


def test_gcs_is_asked_through_the_proxy(asked):
    with pytest.raises(StorageError, match="there is no bucket"):
        open_folder("gs://bucket/folder", patience=QUICK).exists("a")
    assert asked and all(path.startswith("http://store.invalid/") for path in asked)
