"""A proxy before a fake store that counts what passes and fails on demand: outages, without a network.

    with store_proxy(gcs_server) as proxy:        # is the server of its scheme within the block
        proxy.fail(Fault("status 503", "PUT"), times=2)

| fault | what happens to a request |
|---|---|
| status N [CODE] | it is refused, in the store's own format; 429 and 503 say when to come back |
| reset | the connection is reset before the store hears of it |
| lost | the store answers, and the connection is reset |
| cut | half of the answer's bytes arrive |
| slow S | the answer's bytes arrive over S seconds |
| hang | nothing is ever said |
| half | half of the upload reaches the store, as if it were all |
| stale | a listing has nothing yet |
"""

import collections
import contextlib
import dataclasses
import http.client
import http.server
import json
import re
import socket
import struct
import threading
import urllib.parse

from tests.stores.servers import StoreServer

_SLICES = 20
_MOST = 1  # faults of a storm for one request: a question may take several, and is asked six times
_HOP_BY_HOP = {"connection", "transfer-encoding", "content-length", "expect", "keep-alive"}


@dataclasses.dataclass(frozen=True)
class Fault:
    """What happens to requests of some method whose path matches; see the module."""

    kind: str
    method: str = ""
    path: str = ""

    def hits(self, request):
        return (not self.method or self.method == request.method) and re.search(self.path, request.path) is not None


@dataclasses.dataclass(frozen=True)
class Passed:
    """A request that came: the bytes of its body and of its answer's, without their headers."""

    method: str
    path: str
    num_sent: int
    num_received: int
    fault: str = ""


class _Handler(http.server.BaseHTTPRequestHandler):
    """Answers for the `StoreProxy` it belongs to."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def answer(self):
        proxy = self.server.proxy
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = Passed(self.command, self.path, len(body), 0)
        fault = proxy.take(request)
        kind, _, more = fault.partition(" ")
        if kind == "half":
            body = body[: len(body) // 2]
        if kind == "hang":
            proxy.stopped.wait()
        if kind in ("reset", "hang"):
            return self._end(request, fault)
        if kind == "status":
            answer = _refusal(proxy.server.scheme, *more.split(" ", 1))
        elif kind == "stale":
            answer = _nothing(proxy.server.scheme)
        else:
            answer = self._forward(body)
        if kind == "lost":
            return self._end(request, fault)
        return self._send(request, fault, *answer)

    def log_message(self, *_):
        pass

    def _forward(self, body):
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP}
        upstream = http.client.HTTPConnection(self.server.proxy.upstream, timeout=60)
        try:
            # As it is: http.client would quote and compress in its own way.
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in headers.items():
                upstream.putheader(name, value)
            upstream.putheader("Content-Length", str(len(body)))
            upstream.endheaders(body)
            answer = upstream.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            upstream.close()

    def _send(self, request, fault, status, headers, body):
        kind, _, more = fault.partition(" ")
        self.send_response_only(status)
        length = str(len(body))
        for name, value in headers:
            if name.lower() == "content-length":
                length = value  # of an answer to HEAD
            elif name.lower() not in _HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", length)
        self.end_headers()
        sent = b"" if self.command == "HEAD" else body[: len(body) // 2] if kind == "cut" else body
        # Counted before the client can know that it has everything.
        self.server.proxy.count(dataclasses.replace(request, num_received=len(sent), fault=fault))
        if kind == "slow":
            for start in range(0, len(sent), max(len(sent) // _SLICES, 1)):
                self.wfile.write(sent[start : start + max(len(sent) // _SLICES, 1)])
                self.wfile.flush()
                self.server.proxy.stopped.wait(float(more) / _SLICES)
        else:
            self.wfile.write(sent)
        self.close_connection = kind == "cut"

    def _end(self, request, fault):
        self.server.proxy.count(dataclasses.replace(request, fault=fault))
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset
        self.close_connection = True


for _method in ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"):
    setattr(_Handler, f"do_{_method}", _Handler.answer)


def _refusal(scheme, status, code=""):
    status = int(status)
    headers = [("Retry-After", "1")] if status in (429, 503) else []
    if scheme == "gs":
        content = {"error": {"code": status, "message": code or "refused by the test"}}
        return status, [*headers, ("Content-Type", "application/json")], json.dumps(content).encode()
    content = f"<Error><Code>{code or 'Refused'}</Code><Message>refused by the test</Message></Error>"
    return status, [*headers, ("Content-Type", "application/xml")], content.encode()


def _nothing(scheme):
    if scheme == "gs":
        return 200, [("Content-Type", "application/json")], b'{"kind": "storage#objects", "items": []}'
    content = (
        '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><KeyCount>0</KeyCount></ListBucketResult>'
    )
    return 200, [("Content-Type", "application/xml")], content.encode()


class StoreProxy:
    """`passed` has every request, in order; `fail` scripts what happens to the next ones, `storm` draws it."""

    def __init__(self, server):
        self.server, self.upstream = server, urllib.parse.urlsplit(server.address).netloc
        self.passed, self.stopped = [], threading.Event()
        self._faults, self._lock = [], threading.Lock()
        self._storm, self._struck = None, collections.Counter()
        self._http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._http.daemon_threads = True
        self._http.handle_error = lambda *_: None  # a client that goes away
        self._http.proxy = self
        self.address = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def fail(self, fault, times=1):
        """Lets a fault happen to the next requests that it hits; faults are looked through in order."""
        with self._lock:
            self._faults += [fault] * times

    def storm(self, fault, share, generator):
        """Lets a fault happen to a random share of all requests that it hits, but not to the same one for ever."""
        with self._lock:
            self._storm = fault, share, generator
            self._struck.clear()

    def heal(self):
        """Drops the faults that have not happened, and ends a storm; returns how many that has had."""
        with self._lock:
            self._faults.clear()
            self._storm = None
            return self._struck.total()

    @property
    def num_left(self):
        """Faults that have not happened yet."""
        return len(self._faults)

    def take(self, request):
        """Returns the kind of the fault that happens to a request; "" if none does."""
        with self._lock:
            for place, fault in enumerate(self._faults):
                if fault.hits(request):
                    del self._faults[place]
                    return fault.kind
            if self._storm is None:
                return ""
            fault, share, generator = self._storm
            what = request.method, request.path
            if not fault.hits(request) or self._struck[what] == _MOST or generator.random() >= share:
                return ""
            self._struck[what] += 1
            return fault.kind

    def count(self, request):
        with self._lock:
            self.passed.append(request)

    def stop(self):
        self.stopped.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


@contextlib.contextmanager
def store_proxy(server):
    """Yields a proxy that takes the server's place, for this process and those it starts."""
    proxy = StoreProxy(server)
    try:
        with StoreServer(server.scheme, proxy.address).selected():
            yield proxy
    finally:
        proxy.stop()
