"""A small Hugging Face hub on loopback, for datasets: uploads by LFS, commits, listings, reading; all in memory.

It answers as the hub's client (huggingface_hub) expects; a test can make it refuse, or lose a connection.
"""

import base64
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

# What the hub keeps by LFS; all other files are git's own.
_BY_LFS = re.compile(r".*\.(arrow|arrayrecord|parquet)")
_API = re.compile(r"/api/datasets/([^/]+/[^/]+)(?:/(.*))?")


class FakeHub:
    """Its repositories by name, each a dictionary of paths to bytes; and what was asked of it.

    `branches` are of readers' tests: the files of other revisions than the newest, by repository and name. `faults` are
    statuses, or "cut", by path: one for each request for its bytes.
    """

    def __init__(self):
        self.repositories, self.objects, self.commits, self.asked = {}, {}, {}, []
        self.token, self.refusals = None, []  # refusals: statuses with which the next requests are answered
        self.changes = {}  # bytes that it keeps instead of what was sent, by path
        self.branches, self.faults, self.ranges = {}, {}, []
        self.url = ""

    def head(self, repository):
        """Returns the newest commit."""
        return hashlib.sha1(f"{repository} {len(self.commits.get(repository, ()))}".encode()).hexdigest()

    def files(self, repository, revision):
        """Returns the files of a revision; None if there is no such revision."""
        is_newest = revision in ("main", self.head(repository))
        return self.repositories.get(repository) if is_newest else self.branches.get((repository, revision))

    def commit(self, repository, lines):
        """Takes what a commit has, as the client sends it."""
        files, names = self.repositories[repository], []
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.objects[value["oid"]]
            if line["key"] != "header":
                names.append(value["path"])
        files.update({path: data for path, data in self.changes.items() if path in names})
        self.commits[repository].append(names)


@contextlib.contextmanager
def fake_hub():
    """Runs a hub on a free port of this machine."""
    hub = FakeHub()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.contextmanager
def selected_hub():
    """Runs a hub that is huggingface_hub's endpoint, in this process and in those it starts."""
    with fake_hub() as hub, pytest.MonkeyPatch.context() as patch:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "HF_TOKEN"):
            patch.delenv(name, raising=False)
        patch.setenv("HF_ENDPOINT", hub.url)
        importlib.reload(huggingface_hub.constants)  # which has read the environment before
        yield hub
    importlib.reload(huggingface_hub.constants)


class _Handler(http.server.BaseHTTPRequestHandler):
    hub: FakeHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def handle_one_request(self):
        with contextlib.suppress(ConnectionError):
            super().handle_one_request()

    def _answer(self, status, content=b"", *, cut=False, **headers):
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": len(body), **headers}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) // 2] if cut else body)
        self.close_connection = self.close_connection or cut

    def _is_refused(self):
        path = urllib.parse.unquote(self.path.partition("?")[0])
        self.hub.asked.append(f"{self.command} {path}")
        if self.hub.refusals:
            status = self.hub.refusals.pop(0)
            self._answer(status, {"error": "refused by the test"})
            return True
        if self.hub.token and self.headers.get("Authorization") != f"Bearer {self.hub.token}":
            self._answer(401, {"error": "Invalid username or password."})
            return True
        return False

    def do_GET(self):
        """Answers listings, the description of a repository, and files."""
        if self._is_refused():
            return
        path = urllib.parse.unquote(self.path.partition("?")[0])
        if match := _API.fullmatch(path):
            self._describe(match[1], match[2] or "")
        elif match := re.fullmatch(r"/datasets/([^/]+/[^/]+)/resolve/([^/]+)/(.*)", path):
            self._file(*match.groups())
        else:
            self._answer(404)

    def do_HEAD(self):
        """Answers as to a GET, without the contents."""
        self.do_GET()

    def _describe(self, repository, rest):
        if repository not in self.hub.repositories:
            self._answer(404, {"error": "Repository not found"}, X_Error_Code="RepoNotFound")
            return
        what, _, place = rest.partition("/")
        revision, _, folder = place.partition("/")
        files = self.hub.files(repository, revision or "main")
        if files is None:
            self._answer(404, {"error": "Invalid rev id"}, X_Error_Code="RevisionNotFound")
        elif what == "tree":
            query = urllib.parse.parse_qs(self.path.partition("?")[2])
            self._tree(files, folder, recursive=query.get("recursive", [""])[0].lower() == "true")
        else:
            self._answer(200, {"id": repository, "sha": self.hub.head(repository), "private": False, "siblings": []})

    def _tree(self, files, folder, *, recursive):
        prefix = f"{folder}/" if folder else ""
        inside = {path.removeprefix(prefix): data for path, data in sorted(files.items()) if path.startswith(prefix)}
        if not inside:
            self._answer(404, {"error": "Entry not found"}, X_Error_Code="EntryNotFound")
            return
        folders = sorted({path.partition("/")[0] for path in inside if "/" in path})
        shown = [] if recursive else [{"type": "directory", "path": prefix + each, "oid": "0" * 40} for each in folders]
        shown += [_entry(prefix + path, data) for path, data in inside.items() if recursive or "/" not in path]
        self._answer(200, shown)

    def _file(self, repository, revision, path):
        data = (self.hub.files(repository, revision) or {}).get(path)
        fault = self.hub.faults[path].pop(0) if self.hub.faults.get(path) else None
        if isinstance(fault, int):
            self._answer(fault)
            return
        if data is None:
            self._answer(404, {"error": "Entry not found"}, X_Error_Code="EntryNotFound")
            return
        headers = {"X_Repo_Commit": self.hub.head(repository), "ETag": f'"{_entry(path, data)["oid"]}"'}
        if match := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            self.hub.ranges.append(path)
            start, stop = int(match[1]), int(match[2]) + 1 if match[2] else len(data)
            part = data[start:stop]
            if not part:
                self._answer(416)
                return
            headers["Content_Range"] = f"bytes {start}-{start + len(part) - 1}/{len(data)}"
            self._answer(206, part, cut=fault == "cut", **headers)
        else:
            self._answer(200, data, **headers)

    def do_POST(self):
        """Takes what precedes an upload, and commits."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self._is_refused():
            return
        path = urllib.parse.unquote(self.path.partition("?")[0])
        if path == "/api/repos/create":
            self._create(json.loads(body))
        elif match := re.fullmatch(r"/datasets/(.*)\.git/info/lfs/objects/batch", path):
            self._answer(
                200, {"transfer": "basic", "objects": [self._object(each) for each in json.loads(body)["objects"]]}
            )
        elif path == "/api/validate-yaml":
            self._answer(200, {"errors": [], "warnings": []})
        elif (match := _API.fullmatch(path)) and (match[2] or "").startswith("preupload/"):
            files = [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if _BY_LFS.fullmatch(file["path"]) else "regular",
                    "shouldIgnore": False,
                }
                for file in json.loads(body)["files"]
            ]
            self._answer(200, {"files": files})
        elif match and (match[2] or "").startswith("commit/"):
            self.hub.commit(match[1], [json.loads(line) for line in body.splitlines()])
            self._answer(
                200,
                {
                    "commitUrl": f"{self.hub.url}/datasets/{match[1]}/commit/{self.hub.head(match[1])}",
                    "commitOid": self.hub.head(match[1]),
                },
            )
        else:
            self._answer(404)

    def _create(self, wanted):
        name = f"{wanted['organization']}/{wanted['name']}" if wanted.get("organization") else wanted["name"]
        is_new = name not in self.hub.repositories
        self.hub.repositories.setdefault(name, {})
        self.hub.commits.setdefault(name, [])
        self._answer(200 if is_new else 409, {"url": f"{self.hub.url}/datasets/{name}", "name": name})

    def _object(self, wanted):
        oid, size = wanted["oid"], wanted["size"]
        actions = {} if oid in self.hub.objects else {"actions": {"upload": {"href": f"{self.hub.url}/upload/{oid}"}}}
        return {"oid": oid, "size": size, **actions}

    def do_PUT(self):
        """Takes the bytes of an upload."""
        data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.hub.asked.append(f"PUT {self.path}")
        if self.hub.refusals:
            self._answer(self.hub.refusals.pop(0))
            return
        oid = self.path.rpartition("/")[2]
        if hashlib.sha256(data).hexdigest() != oid:
            self._answer(400, {"error": "the bytes are not those of the hash"})
            return
        self.hub.objects[oid] = data
        self._answer(200)


def _entry(path, data):
    """Returns a file as listings describe it."""
    entry = {"type": "file", "path": path, "size": len(data)}
    if not _BY_LFS.fullmatch(path):
        return entry | {"oid": hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()}
    oid = hashlib.sha256(data).hexdigest()
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(data)}\n".encode()
    git = hashlib.sha1(b"blob %d\0" % len(pointer) + pointer).hexdigest()
    return entry | {"oid": git, "lfs": {"oid": oid, "size": len(data), "pointerSize": len(pointer)}}
