"""A Hub on this machine that the real clients accept: repositories of files, tokens, gates, and faults on demand."""

import hashlib
import json
import re
import threading
import urllib.parse
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

LARGE = (".parquet", ".pt", ".pkl", ".gz")
NAMES = r"(?P<id>[^/]+/[^/]+)"


@dataclass
class Fault:
    """What the next request whose line holds `needle` gets."""

    needle: str
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    """Bytes of the body after which the connection breaks; the status is then 200."""


@dataclass
class Repository:
    files: dict[str, bytes]
    access: Literal["open", "gated", "private"] = "open"

    @property
    def commit(self) -> str:
        digest = hashlib.sha1()
        for path, data in sorted(self.files.items()):
            digest.update(path.encode() + b"\0" + data)
        return digest.hexdigest()


class Hub:
    """`with Hub() as hub:` serves at hub.url until the block ends; `hub.lines` are the requests so far."""

    def __init__(self) -> None:
        self.repos: dict[tuple[str, str], Repository] = {}
        self.faults: list[Fault] = []
        self.lines: list[str] = []
        self.tokens = {"hf_right_token"}

    def add(self, kind: Literal["datasets", "models"], name: str, files: dict[str, bytes], **access: str) -> Repository:
        self.repos[kind, name] = Repository(files, **access)  # type: ignore[arg-type]
        return self.repos[kind, name]

    def __enter__(self) -> "Hub":
        hub = self

        class Bound(_Handler):
            pass

        Bound.hub = hub
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Bound)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.answer(b"")

    do_HEAD = do_GET

    def do_POST(self) -> None:
        self.answer(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

    def answer(self, body: bytes) -> None:
        line = f"{self.command} {self.path} {self.headers.get('Range', '')}".strip()
        self.hub.lines.append(line)
        self.cut = None
        for fault in self.hub.faults:
            if fault.needle in line:
                self.hub.faults.remove(fault)
                if fault.cut_after is None:
                    return self.say({"error": "fault"}, fault.status, fault.headers)
                self.cut = fault.cut_after
                break
        url = urllib.parse.urlsplit(self.path)
        path, query = urllib.parse.unquote(url.path), dict(urllib.parse.parse_qsl(url.query))
        if match := re.fullmatch(rf"/api/(datasets|models)/{NAMES}/(?P<what>[a-z-]+)(?:/(?P<rest>.*))?", path):
            return self.api(match[1], match["id"], match["what"], match["rest"] or "", query, body)
        if match := re.fullmatch(rf"/(?:(datasets)/)?{NAMES}/resolve/(?P<revision>[^/]+)/(?P<file>.+)", path):
            return self.file(match[1] or "models", match["id"], match["revision"], match["file"])
        return self.refuse(404, "NotFound")

    def api(self, kind: str, name: str, what: str, rest: str, query: dict[str, str], body: bytes) -> None:
        repo = self.allowed(kind, name, content=what == "auth-check")
        if repo is None:
            return None
        if what == "auth-check":
            return self.say({})
        revision, _, folder = rest.partition("/")
        if revision not in ("main", repo.commit):
            return self.refuse(404, "RevisionNotFound")
        if what == "revision":
            return self.say({"id": name, "sha": repo.commit, "siblings": [{"rfilename": path} for path in repo.files]})
        if what == "paths-info":
            asked = json.loads(body)["paths"] if body[:1] == b"{" else urllib.parse.parse_qs(body.decode())["paths"]
            folders = [
                {"type": "directory", "oid": "0" * 40, "size": 0, "path": path}
                for path in asked
                if self.is_folder(repo, path)
            ]
            return self.say([*(entry(path, repo.files[path]) for path in asked if path in repo.files), *folders])
        if what == "tree":
            return self.tree(repo, folder, deep=query.get("recursive", "").lower() in ("1", "true"))
        return self.refuse(404, "NotFound")

    def tree(self, repo: Repository, folder: str, *, deep: bool) -> None:
        prefix = f"{folder}/" if folder else ""
        below = [path for path in sorted(repo.files) if path.startswith(prefix)]
        if not below and prefix:
            return self.refuse(404, "EntryNotFound")
        found = [entry(path, repo.files[path]) for path in below if deep or "/" not in path.removeprefix(prefix)]
        inside = {
            prefix + path.removeprefix(prefix).split("/")[0] for path in below if "/" in path.removeprefix(prefix)
        }
        folders = [{"type": "directory", "oid": "0" * 40, "size": 0, "path": path} for path in sorted(inside)]
        return self.say([*found, *folders])

    def file(self, kind: str, name: str, revision: str, path: str) -> None:
        repo = self.allowed(kind, name, content=True)
        if repo is None:
            return None
        if path not in repo.files:
            return self.refuse(404, "EntryNotFound", {"X-Repo-Commit": repo.commit})
        data, info = repo.files[path], entry(path, repo.files[path])
        headers = {"X-Repo-Commit": repo.commit, "ETag": f'"{info["oid"]}"', "Accept-Ranges": "bytes"}
        status = 200
        if wanted := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")):
            start, status = int(wanted[1]), 206
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
            data = data[start:]
        return self.send(data, status, headers | {"Content-Type": "application/octet-stream"})

    def allowed(self, kind: str, name: str, *, content: bool) -> Repository | None:
        repo, sent = self.hub.repos.get((kind, name)), self.headers.get("Authorization")
        known = sent is not None and sent.removeprefix("Bearer ") in self.hub.tokens
        if sent is not None and not known:
            self.refuse(401, "", {"X-Error-Message": "Invalid credentials in Authorization header"})
        elif repo is None or (repo.access == "private" and not known):
            self.refuse(404 if known else 401, "RepoNotFound")
        elif repo.access == "gated" and content and not known:
            self.refuse(401, "GatedRepo")
        else:
            return repo
        return None

    def refuse(self, status: int, code: str, headers: dict[str, str] | None = None) -> None:
        self.say({"error": code}, status, ({"X-Error-Code": code} if code else {}) | (headers or {}))

    def say(self, answer: object, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.send(json.dumps(answer).encode(), status, {"Content-Type": "application/json", **(headers or {})})

    def send(self, data: bytes, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(data))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data if self.cut is None else data[: self.cut])
        self.close_connection = self.cut is not None

    @staticmethod
    def is_folder(repo: Repository, path: str) -> bool:
        return any(name.startswith(f"{path.rstrip('/')}/") for name in repo.files)


def entry(path: str, data: bytes) -> dict[str, object]:
    """A file as the Hub's API tells of it."""
    git = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
    told: dict[str, object] = {"type": "file", "oid": git, "size": len(data), "path": path}
    if path.endswith(LARGE):
        told["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
    return told
