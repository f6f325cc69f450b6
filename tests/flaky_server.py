"""A web server of this machine that fails on demand: what a test needs to see outages, without a network."""

import contextlib
import http.server
import re
import socket
import threading

import pytest


class _Handler(http.server.BaseHTTPRequestHandler):
    """Answers from the `FlakyServer` it belongs to."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self._answer()

    def do_GET(self):
        self._answer()

    def _answer(self):
        outer = self.server.outer
        outer.asked.append((self.command, self.path, self.headers.get("Range")))
        content = outer.contents.get(self.path)
        faults = outer.faults.get(self.path, [])
        if faults and (self.command == "GET" or outer.fails_head):
            fault = faults[0] if outer.fails_always else faults.pop(0)
            name, _, self.target = str(fault).partition(" ")
            getattr(self, f"_{name}", lambda _: self._refuse(fault))(content)
        elif content is None:
            self._refuse(404)
        else:
            self._send(content)

    def _send(self, content, *, cut=False):
        """Sends a file or the part of it that is asked for; or only half of that."""
        wanted = (
            re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range") or "") if self.server.outer.parts else None
        )
        part = content[int(wanted[1]) : int(wanted[2]) + 1] if wanted else content
        self.send_response(206 if wanted else 200)
        if wanted:
            self.send_header("Content-Range", f"bytes {wanted[1]}-{int(wanted[1]) + len(part) - 1}/{len(content)}")
        if self.server.outer.sizes:
            self.send_header("Content-Length", str(len(part)))
        else:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(part[: len(part) // 2] if cut else part)
        self.close_connection = cut or not self.server.outer.sizes

    def _refuse(self, status):
        self.send_response(int(status))
        if status == 429:
            self.send_header("Retry-After", "7")
        body = self.server.outer.body_of_errors if status != 304 else b""
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def _cut(self, content):
        """Promises everything and closes after half of it."""
        self._send(content, cut=True)

    def _short(self, content):
        """Sends half of what is asked for as if it were all."""
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers["Range"])
        start, part = int(wanted[1]), content[int(wanted[1]) : int(wanted[2]) + 1]
        part = part[: len(part) // 2]
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {start}-{start + len(part) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        self.wfile.write(part)

    def _close(self, _):
        """Closes without an answer."""
        self.close_connection = True

    def _garbage(self, _):
        """Sends what is not HTTP."""
        self.wfile.write(b"\0\1 what is this\r\n\r\n")
        self.close_connection = True

    def _hang(self, _):
        """Says nothing until the server stops."""
        self.server.outer.stopped.wait(30)
        self.close_connection = True

    def _circle(self, _):
        """Redirects to itself."""
        self.send_response(302)
        self.send_header("Location", self.path)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _redirect(self, _):
        """Redirects to what follows "redirect " in the fault."""
        self.send_response(302)
        self.send_header("Location", self.target)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class FlakyServer:
    """Contents and faults by path.

    `faults` are statuses (429 with Retry-After: 7), cut, short, close, garbage, hang, circle or "redirect URL", one for
    each GET; `fails_always` keeps to the first. `parts` is whether ranges are served, `sizes` whether lengths are told;
    `body_of_errors` comes with statuses.
    """

    def __init__(self):
        self.contents, self.faults, self.asked = {}, {}, []
        self.fails_always, self.fails_head, self.parts, self.sizes = False, False, True, True
        self.body_of_errors = b""
        self.stopped = threading.Event()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # a client that goes away
        self._server.outer = self
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def stop(self):
        """Stops serving; the port refuses connections afterwards."""
        self.stopped.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextlib.contextmanager
def flaky_server():
    """Yields a server that is stopped afterwards; without the environment's proxies."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            patch.delenv(name, raising=False)
        server = FlakyServer()
        try:
            yield server
        finally:
            server.stop()


_reserved = []  # a port that is bound is given to nobody else


def dead_address(scheme="http"):
    """Returns an address of this machine where nobody listens, for as long as this process lives."""
    _reserved.append(socket.socket())
    _reserved[-1].bind(("127.0.0.1", 0))
    return f"{scheme}://127.0.0.1:{_reserved[-1].getsockname()[1]}"


class FakeTime:
    """A clock that only sleeping moves."""

    def __init__(self):
        self.now_s, self.pauses_s = 0.0, []

    def clock(self):
        return self.now_s

    def sleep(self, seconds):
        self.pauses_s.append(seconds)
        self.now_s += seconds
