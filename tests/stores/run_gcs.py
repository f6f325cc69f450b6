"""gcp-storage-emulator as a server process; runs in .venv-servers.

Added is what jobs rest on and it lacks: create-if-absent (`ifGenerationMatch=0`), listings in pages, several
connections at once, and uploads that keep every byte.
"""

import http.server
import io
import json
import logging
import sys
import threading
import urllib.parse

import lifeline
from gcp_storage_emulator import server as emulator
from gcp_storage_emulator import storage as emulated

_PAGE = 1000  # as GCS does
_read_data = emulator._read_data


def _read_all(handler, query):
    """Parses an upload with its metadata by bytes; the emulator's parser is one for emails."""
    content_type = handler.headers.get("Content-Type") or ""
    if not content_type.startswith("multipart/related"):
        return _read_data(handler, query)
    boundary = content_type.partition("boundary=")[2].strip("\"'").encode()
    _, meta, content, _ = handler.rfile.read(int(handler.headers["Content-Length"])).split(b"--" + boundary, 3)
    header, _, content = content.partition(b"\n\n")
    return {
        "meta": json.loads(meta.partition(b"\n\n")[2]),
        "content": content.removesuffix(b"\n"),
        "content-type": header.partition(b":")[2].strip().decode(),
    }


class _Response(emulator.Response):
    """Lists in pages."""

    def json(self, obj):
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self._handler.path).query)
        if obj.get("kind") == "storage#objects":
            start, length = (int(query.get(name, [default])[0]) for name, default in _OF_PAGES)
            items = obj["items"]
            obj = obj | {"items": items[start : start + length]}
            if start + length < len(items):
                obj["nextPageToken"] = str(start + length)
        super().json(obj)


_OF_PAGES = (("pageToken", 0), ("maxResults", _PAGE))


class _Handler(emulator.RequestHandler):
    """Reads a request whole, answers it alone, and sends the answer."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    lock = threading.Lock()

    def log_message(self, *_):
        pass

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if len(body) < int(self.headers.get("Content-Length") or 0):
            self.close_connection = True  # the client broke off
            return
        sockets, self.rfile, self.wfile = (self.rfile, self.wfile), io.BytesIO(body), io.BytesIO()
        try:
            with self.lock:
                if self._is_taken(body):
                    self._refuse()
                else:
                    emulator.Router(self).handle(self.command)
            answer = self.wfile.getvalue()
        finally:
            self.rfile, self.wfile = sockets
        self.wfile.write(answer)

    def _is_taken(self, body):
        """Returns whether an upload is to a new object, and the object exists."""
        url = urllib.parse.urlsplit(self.path)
        query = urllib.parse.parse_qs(url.query)
        if query.get("ifGenerationMatch") != ["0"]:
            return False
        name = query["name"][0] if "name" in query else _read_all(self, query)["meta"]["name"]
        self.rfile.seek(0)
        bucket = url.path.split("/b/")[1].split("/")[0]
        return name in self.storage.objects.get(urllib.parse.unquote(bucket), {})

    def _refuse(self):
        message = "At least one of the pre-conditions you specified did not hold."
        body = json.dumps({"error": {"code": 412, "message": message}}).encode()
        self.send_response(412)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


for _method in ("GET", "POST", "PUT", "DELETE", "PATCH"):
    setattr(_Handler, f"do_{_method}", _Handler.answer)


class _Server(http.server.ThreadingHTTPServer):
    """Many connections at once."""

    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_):
        """Says nothing about a client that went away."""


def main(fill=lambda storage: None):
    """Serves; `fill` may put objects into the storage first."""
    emulator._read_data, emulator.Response = _read_all, _Response
    emulated.Storage._write_config_to_file = lambda _: None  # the objects of a test, again for each of them
    logging.disable()
    storage = emulated.Storage(use_memory_fs=True)
    fill(storage)
    server = _Server(("127.0.0.1", 0), lambda *arguments: _Handler(storage, *arguments))
    lifeline.serve(server.server_port, server.serve_forever)


if __name__ == "__main__":
    sys.exit(main())
