"""A fake Hugging Face hub on loopback: a dataset repository with branches, listed in pages and served in ranges.

with fake_hub() as hub:                      # is huggingface_hub's endpoint within the block
    hub.commit("owner/name", {"manifest.json": b"..."})
    hub.faults["data/part-00000.arrow"] = [503, "cut"]
"""

import contextlib
import hashlib
import http.server
import importlib
import json
import re
import threading
import urllib.parse

import huggingface_hub.constants
import pytest

_API = re.compile(r"/api/datasets/([^/]+/[^/]+)(?:/(revision|tree)/([^/]+)(?:/(.*))?)?")
_FILE = re.compile(r"/datasets/([^/]+/[^/]+)/resolve/([^/]+)/(.+)")
_PAGE = 3


class _Handler(http.server.BaseHTTPRequestHandler):
    """Answers for the `FakeHub` it belongs to."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        path = urllib.parse.unquote(url.path)
        hub = self.server.hub
        hub.asked.append((path, self.headers.get("Range")))
        if match := _FILE.fullmatch(path):
            self._file(*match.groups())
        elif match := _API.fullmatch(path):
            self._api(*match.groups(), urllib.parse.parse_qs(url.query))
        else:
            self._refuse(404, "RepoNotFound")

    def log_message(self, *_):
        pass

    def _api(self, repository, what, revision, folder, query):
        files = self._files(repository, revision or "main")
        if files is None:
            return
        commit = self.server.hub.commit_of(repository, revision or "main")
        if what != "tree":
            name = {"id": repository, "sha": commit, "siblings": [], "private": False, "tags": [], "downloads": 0}
            self._json(name)
            return
        entries = _entries(files, folder or "", recursive=query.get("recursive", [""])[0].lower() in ("true", "1"))
        if not entries:
            self._refuse(404, "EntryNotFound")
            return
        start = int(query.get("cursor", ["0"])[0])
        more = {}
        if start + _PAGE < len(entries):
            query = {name: values[0] for name, values in query.items()} | {"cursor": str(start + _PAGE)}
            path = f"{self.server.hub.address}{self.path.partition('?')[0]}?{urllib.parse.urlencode(query)}"
            more = {"Link": f'<{path}>; rel="next"'}
        self._json(entries[start : start + _PAGE], more)

    def _file(self, repository, revision, path):
        files = self._files(repository, revision)
        if files is None:
            return
        faults = self.server.hub.faults.get(path, [])
        fault = faults.pop(0) if faults else None
        if isinstance(fault, int) or path not in files:
            self._refuse(fault or 404, "" if fault else "EntryNotFound")
            return
        content = files[path]
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        part = content[int(wanted[1]) : int(wanted[2]) + 1 if wanted[2] else None] if wanted else content
        if wanted and not part:
            self._refuse(416)
            return
        headers = {"X-Repo-Commit": self.server.hub.commit_of(repository, revision), "ETag": f'"{_oid(content)}"'}
        if wanted:
            first = int(wanted[1])
            headers["Content-Range"] = f"bytes {first}-{first + len(part) - 1}/{len(content)}"
        self._send(206 if wanted else 200, part, headers, cut=fault == "cut")

    def _files(self, repository, revision):
        branches = self.server.hub.repositories.get(repository)
        if branches is None:
            self._refuse(401, "RepoNotFound")  # as the hub says, not to tell of private ones
        elif revision not in branches:
            self._refuse(404, "RevisionNotFound")
        else:
            return branches[revision]
        return None

    def _json(self, content, headers=None):
        self._send(200, json.dumps(content).encode(), {"Content-Type": "application/json", **(headers or {})})

    def _refuse(self, status, code=""):
        self._send(status, b"", {"X-Error-Code": code} if code else {})

    def _send(self, status, body, headers, *, cut=False):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if cut else body)
        self.close_connection = cut


def _oid(content):
    return hashlib.sha1(content).hexdigest()


def _entries(files, folder, *, recursive):
    prefix = f"{folder}/" if folder else ""
    inside = {path: content for path, content in files.items() if path.startswith(prefix)}
    folders = {f"{prefix}{'/'.join(path.removeprefix(prefix).split('/')[:-1])}" for path in inside} - {prefix}
    entries = [{"type": "directory", "path": path, "oid": "0" * 40, "size": 0} for path in sorted(folders)]
    for path, content in sorted(inside.items()):
        if recursive or "/" not in path.removeprefix(prefix):
            entries.append({"type": "file", "path": path, "oid": _oid(content), "size": len(content)})
    return entries


class FakeHub:
    """Files by repository and branch; statuses, or "cut", by path: one for each request for its bytes."""

    def __init__(self):
        self.repositories, self.faults, self.asked = {}, {}, []
        self._http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._http.daemon_threads = True
        self._http.handle_error = lambda *_: None  # a client that goes away
        self._http.hub = self
        self.address = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def commit(self, repository, files, branch="main"):
        """Makes these the files of a branch, of which there may be no such yet."""
        self.repositories.setdefault(repository, {})[branch] = dict(files)

    def commit_of(self, repository, branch):
        return _oid(repr(sorted(self.repositories[repository][branch].items())).encode())

    def stop(self):
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


@contextlib.contextmanager
def fake_hub():
    """Yields a hub that is huggingface_hub's endpoint, in this process and in those it starts."""
    hub = FakeHub()
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "HF_TOKEN"):
                patch.delenv(name, raising=False)
            patch.setenv("HF_ENDPOINT", hub.address)
            importlib.reload(huggingface_hub.constants)  # which has read the environment before
            yield hub
    finally:
        importlib.reload(huggingface_hub.constants)
        hub.stop()
