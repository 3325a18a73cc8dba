"""A small model hub on loopback: as much of the hub's HTTP interface as a download needs, and every way it can fail.

`with serving_hub() as hub:` then `hub.add("owner/name", {"config.json": b"…", "model.safetensors": path})`, and
HF_ENDPOINT=hub.address. Files of _LARGE bytes and more are kept as LFS keeps them: the listing has their sha256, and
they are fetched from another origin after a redirect, as from the real hub's CDN.
"""

import hashlib
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

_LARGE = 1000
_PIECE = 1 << 16
COMMIT = "0123456789abcdef0123456789abcdef01234567"

Content = bytes | Path


@dataclass
class Repository:
    files: Mapping[str, Content]
    commit: str
    licence: str


@dataclass
class Request:
    method: str
    path: str
    range: str
    authorized: bool
    host: str


@dataclass
class Hub:
    """What it holds, what it was asked, and what goes wrong, by file name. Each `cut` is used up by one request."""

    address: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    cut: dict[str, list[int]] = field(default_factory=dict)  # the connection ends after so many bytes
    hanging: set[str] = field(default_factory=set)  # headers come, and then nothing
    swapped: dict[str, bytes] = field(default_factory=dict)  # other bytes than the listing promises
    no_ranges: set[str] = field(default_factory=set)  # always sent from the beginning
    busy: dict[str, list[int]] = field(default_factory=dict)  # statuses that come first
    refused: dict[str, tuple[int, str]] = field(default_factory=dict)  # a repository -> status, the hub's error code
    page: bytes = b""  # sent for everything, as a hotel's network does
    released: threading.Event = field(default_factory=threading.Event)

    def add(
        self, repository: str, files: Mapping[str, Content], *, commit: str = COMMIT, licence: str = "apache-2.0"
    ) -> None:
        self.repositories[repository] = Repository(files, commit, licence)

    def ranges(self, name: str) -> list[str]:
        """What was asked for of a file, request by request; "" is all of it."""
        return [request.range for request in self.requests if request.path.endswith(f"/{name}")]

    def fetched(self) -> list[str]:
        """The files that were asked for, without those that a redirect led to."""
        return [r.path.rpartition("/")[2] for r in self.requests if "/resolve/" in r.path]


@contextmanager
def serving_hub() -> Iterator[Hub]:
    """A hub on a free port of 127.0.0.1; its CDN is the same server, called localhost."""
    hub = Hub()

    class Handler(_Handler):
        pass

    Handler.hub = hub
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def log_message(self, *_: Any) -> None:
        """Be quiet."""

    def _answer(self) -> None:
        hub, path = self.hub, unquote(urlsplit(self.path).path)
        has_token = "Authorization" in self.headers
        host = self.headers.get("Host", "").partition(":")[0]
        hub.requests.append(Request(self.command, path, self.headers.get("Range", ""), has_token, host))
        if hub.page:
            self._send(200, hub.page, {"Content-Type": "text/html"})
        elif match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/revision/(.+)", path):
            self._describe(match[1], match[2])
        elif match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            self._resolve(match[1], match[2], match[3])
        elif match := re.fullmatch(r"/cdn/([^/]+/[^/]+)/(.+)", path):
            self._content(match[1], match[2])
        else:
            self._send(404, b"", {})

    def _describe(self, name: str, revision: str) -> None:
        repository = self._known(name, revision)
        if repository is None:
            return
        told = {
            "id": name,
            "sha": repository.commit,
            "tags": [f"license:{repository.licence}"],
            "siblings": [_listed(file, content) for file, content in repository.files.items()],
        }
        self._send(200, json.dumps(told).encode(), {"Content-Type": "application/json"})

    def _resolve(self, name: str, revision: str, file: str) -> None:
        repository = self._known(name, revision)
        if repository is None:
            return
        if file not in repository.files:
            self._send(404, b"", {"X-Error-Code": "EntryNotFound"})
            return
        content = repository.files[file]
        told = {
            "X-Repo-Commit": repository.commit,
            "X-Linked-Size": str(_size(content)),
            "X-Linked-Etag": _sha(content),
        }
        if _size(content) < _LARGE:
            self._content(name, file)
            return
        cdn = self.hub.address.replace("127.0.0.1", "localhost")
        self._send(302, b"", {**told, "Location": f"{cdn}/cdn/{name}/{file}"})

    def _content(self, name: str, file: str) -> None:
        """A file, or the part of it that is asked for, with whatever is to go wrong."""
        hub = self.hub
        statuses = hub.busy.get(file) or []
        if statuses:
            self._send(statuses.pop(0), b"later", {})
            return
        content = hub.swapped.get(file, hub.repositories[name].files[file])
        size = _size(content)
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")) if file not in hub.no_ranges else None
        start = int(asked[1]) if asked else 0
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(size - start))
        self.send_header("ETag", f'"{_sha(content)}"')
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        self.end_headers()
        if self.command == "HEAD":
            return
        if file in hub.hanging:
            self.close_connection = True
            hub.released.wait()
            return
        cuts = hub.cut.get(file) or []
        end = min(size, start + cuts.pop(0)) if cuts else size
        for piece in _pieces(content, start, end):
            self.wfile.write(piece)
        self.close_connection = end < size

    def _known(self, name: str, revision: str) -> Repository | None:
        status, code = self.hub.refused.get(name, (404, "RepoNotFound"))
        repository = self.hub.repositories.get(name)
        if name in self.hub.refused or repository is None:
            self._send(status, b"", {"X-Error-Code": code} if code else {})
            return None
        if revision not in ("main", repository.commit):
            self._send(404, b"", {"X-Error-Code": "RevisionNotFound"})
            return None
        return repository

    def _send(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _listed(name: str, content: Content) -> dict[str, Any]:
    size = _size(content)
    if size >= _LARGE:
        lfs = {"sha256": _sha(content), "size": size, "pointerSize": 134}
        return {"rfilename": name, "size": size, "blobId": "0" * 40, "lfs": lfs}
    data = content.read_bytes() if isinstance(content, Path) else content
    blob = hashlib.sha1(b"blob %d\0" % size + data, usedforsecurity=False).hexdigest()
    return {"rfilename": name, "size": size, "blobId": blob}


def _size(content: Content) -> int:
    return content.stat().st_size if isinstance(content, Path) else len(content)


def _sha(content: Content) -> str:
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    with content.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _pieces(content: Content, start: int, end: int) -> Iterator[bytes]:
    if isinstance(content, bytes):
        yield content[start:end]
        return
    with content.open("rb") as file:
        file.seek(start)
        while start < end and (piece := file.read(min(_PIECE, end - start))):
            start += len(piece)
            yield piece
