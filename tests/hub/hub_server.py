"""A Hugging Face hub on 127.0.0.1 for the real `huggingface_hub` and `datasets` clients (HF_ENDPOINT).

It answers what the clients ask of the hub: repository info, tree, paths-info, refs, resolve with ETag and ranges (large
files by a redirect to storage), redirects of renamed repositories, gated and missing ones, and the upload of a commit
by Git LFS. Connections can be slow or break. Every request is logged with the bytes of body that were sent.

Invariant: content is addressed by hash, so what a client caches by ETag is what it was sent.
"""

import base64
import hashlib
import json
import re
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "hf_local_token"
"""What a client sends to be somebody who may publish and has access to gated repositories."""

_REPO = r"(?P<id>[\w.\-]+/[\w.\-]+)"
_API = rf"/api/(?P<kind>models|datasets)/{_REPO}"
_LARGE = (".parquet", ".safetensors", ".arrow", ".gz")


def sha(content: bytes) -> str:
    """Hash by which the hub stores a file."""
    return hashlib.sha256(content).hexdigest()


@dataclass
class Repository:
    """Branches, each a list of commits (hash, files by path), the newest last."""

    kind: str
    id: str
    gated: str | None = None
    """`manual` where somebody must ask for access."""
    private: bool = False
    commits: dict[str, list[tuple[str, dict[str, bytes]]]] = field(default_factory=dict)

    def commit(self, files: Mapping[str, bytes], branch: str = "main") -> str:
        """Put the files on top of a branch; its new head."""
        older = self.commits.setdefault(branch, [])
        tree = {**(older[-1][1] if older else {}), **files}
        seed = f"{self.id}{branch}{len(older)}{sorted((path, sha(data)) for path, data in tree.items())}"
        older.append((hashlib.sha1(seed.encode()).hexdigest(), tree))
        return older[-1][0]

    def at(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """Commit and files of a branch or commit hash."""
        if self.commits.get(revision):
            return self.commits[revision][-1]
        return next((one for branch in self.commits.values() for one in branch if one[0] == revision), None)


@dataclass(frozen=True)
class Request:
    """One request as it was answered."""

    method: str
    path: str
    status: int
    sent: int
    """Bytes of body."""


class Hub(ThreadingHTTPServer):
    """The server; use it as a context. `hub.endpoint` is what HF_ENDPOINT names."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.endpoint = f"http://127.0.0.1:{self.server_port}"
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.renamed: dict[tuple[str, str], str] = {}
        self.stored: dict[str, bytes] = {}
        self.requests: list[Request] = []
        self.break_after: dict[str, int] = {}
        """Path in a repository to the bytes after which its next download breaks off, once."""
        self.delay = 0.0
        """Seconds before every answer."""
        self.down = False
        """Whether every request is answered with 503."""

    def __enter__(self) -> "Hub":
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that go away in the middle are no news."""

    def repository(self, repo_id: str, kind: str = "datasets", **about: object) -> Repository:
        """A new repository, empty."""
        repository = Repository(kind=kind, id=repo_id, **about)  # type: ignore[arg-type]
        self.repositories[kind, repo_id] = repository
        return repository

    def sent(self, suffix: str = "") -> int:
        """Bytes of body sent so far for paths with this ending."""
        return sum(request.sent for request in self.requests if request.path.endswith(suffix))

    def served(self) -> set[str]:
        """Paths in repositories of which content was sent."""
        return {request.path for request in self.requests if request.method == "GET" and request.sent}


class _Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def log_message(self, *_: object) -> None:
        """The server's own log is `Hub.requests`."""

    def do_GET(self) -> None:
        self._answer()

    do_HEAD = do_POST = do_PUT = do_GET  # noqa: N815

    def _answer(self) -> None:
        time.sleep(self.server.delay)
        self.file = urlsplit(self.path).path
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urlsplit(self.path)
        self.query = parse_qs(url.query)
        if self.server.down:
            self._json({"error": "the hub is being mended"}, status=503)
            return
        for pattern, method, respond in _ROUTES:
            match = re.fullmatch(pattern, url.path)
            if match and self.command in method:
                respond(self, **{name: unquote(value or "") for name, value in match.groupdict().items()})
                return
        self._error(404, "", f"no such address: {url.path}")

    def _send(self, status: int, content: bytes, headers: Mapping[str, str], *, cut: int | None = None) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        body = b"" if self.command == "HEAD" else content[:cut]
        self.server.requests.append(Request(self.command, self.file, status, len(body)))
        self.wfile.write(body)
        self.wfile.flush()
        if cut is not None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

    def _json(self, content: object, status: int = 200) -> None:
        self._send(status, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def _error(self, status: int, code: str, message: str) -> None:
        headers = {"X-Error-Message": message, **({"X-Error-Code": code} if code else {})}
        self._send(status, json.dumps({"error": message}).encode(), headers)

    @property
    def _known(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def _found(self, kind: str, repo_id: str, revision: str, *, content: bool = False):
        """The repository and its commit and files; None where the answer is given already."""
        if (kind, repo_id) in self.server.renamed:
            there = self.path.replace(repo_id, self.server.renamed[kind, repo_id], 1)
            self._send(307, b"", {"Location": there})
            return None
        repository = self.server.repositories.get((kind, repo_id))
        if repository is None or (repository.private and not self._known):
            self._error(401 if not self._known else 404, "RepoNotFound", "Repository not found")
            return None
        if repository.gated and content and not self._known:
            signed = "Authorization" in self.headers
            self._error(403 if signed else 401, "GatedRepo", f"Access to {kind} {repo_id} is restricted.")
            return None
        at = repository.at(revision or "main")
        if at is None:
            self._error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            return None
        return (repository, *at)

    def info(self, kind: str, id: str, revision: str = "") -> None:
        if (version := self._found(kind, id, revision)) is None:
            return
        repository, commit, files = version
        about = {"id": repository.id, "sha": commit, "private": repository.private, "gated": repository.gated or False}
        about |= {"siblings": [{"rfilename": path} for path in sorted(files)], "tags": [], "downloads": 0, "likes": 0}
        self._json(about)

    def access(self, kind: str, id: str) -> None:
        if self._found(kind, id, "main", content=True) is not None:
            self._send(200, b"", {})

    def tree(self, kind: str, id: str, revision: str, path: str = "") -> None:
        if (version := self._found(kind, id, revision, content=True)) is None:
            return
        _, _, files = version
        under = f"{path.strip('/')}/" if path.strip("/") else ""
        inside = [name for name in sorted(files) if name.startswith(under)]
        if under and not inside:
            self._error(404, "EntryNotFound", f"{path} does not exist on {revision}")
            return
        if self.query.get("recursive", ["false"])[0].lower() != "true":
            inside = list(dict.fromkeys(under + name[len(under) :].split("/")[0] for name in inside))
            folders = []
        else:
            folders = sorted({name[: m.start()] for name in inside for m in re.finditer("/", name)})
            folders = [folder for folder in folders if folder.startswith(under)]
        self._json([self._entry(name, files) for name in [*folders, *inside]])

    def paths(self, kind: str, id: str, revision: str) -> None:
        if (version := self._found(kind, id, revision, content=True)) is None:
            return
        _, _, files = version
        wanted = json.loads(self.body)["paths"] if self.body.startswith(b"{") else parse_qs(self.body.decode())["paths"]
        there = [name for name in wanted if name in files or any(path.startswith(f"{name}/") for path in files)]
        self._json([self._entry(name, files) for name in there])

    def _entry(self, name: str, files: Mapping[str, bytes]) -> dict[str, object]:
        if name not in files:
            return {"type": "directory", "path": name, "oid": hashlib.sha1(name.encode()).hexdigest(), "size": 0}
        content = files[name]
        entry = {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
        if name.endswith(_LARGE):
            entry["lfs"] = {"oid": sha(content), "size": len(content), "pointerSize": 130}
        return entry

    def refs(self, kind: str, id: str) -> None:
        if (version := self._found(kind, id, "main")) is None:
            return
        heads = {name: commits[-1][0] for name, commits in version[0].commits.items()}
        listed = [{"name": n, "ref": f"refs/heads/{n}", "targetCommit": c} for n, c in heads.items() if "/" not in n]
        converted = [{"name": "parquet", "ref": n, "targetCommit": c} for n, c in heads.items() if "/" in n]
        self._json({"branches": listed, "converts": converted, "tags": []})

    def resolve(self, id: str, revision: str, path: str, kind: str = "models") -> None:
        if (version := self._found(kind or "models", id, revision, content=True)) is None:
            return
        repository, commit, files = version
        self.file = f"{repository.id}/{path}"
        if path not in files:
            self._send(
                404,
                b"Entry not found",
                {"X-Error-Code": "EntryNotFound", "X-Error-Message": "Entry not found", "X-Repo-Commit": commit},
            )
            return
        content = files[path]
        if not path.endswith(_LARGE):
            self._content(content, {"ETag": f'"{hashlib.sha1(content).hexdigest()}"', "X-Repo-Commit": commit})
            return
        self.server.stored[sha(content)] = content
        where = f"http://localhost:{self.server.server_port}/storage/{sha(content)}?file={self.file}"
        size = {"X-Linked-Size": str(len(content)), "X-Linked-Etag": f'"{sha(content)}"', "X-Repo-Commit": commit}
        self._send(302, b"", {"Location": where, **size})

    def storage(self, oid: str) -> None:
        self.file = self.query.get("file", [oid])[0]
        if self.command == "PUT":
            self.server.stored[sha(self.body)] = self.body
            self._send(200, b"", {})
        elif oid in self.server.stored:
            self._content(self.server.stored[oid], {"ETag": f'"{oid}"'})
        else:
            self._error(404, "", "no such object")

    def _content(self, content: bytes, headers: Mapping[str, str]) -> None:
        """A file or the range of it that was asked for; broken off where the test says so."""
        cut = self.server.break_after.pop(self.file, None) if self.command == "GET" else None
        match = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if match is None or not any(match.groups()):
            self._send(200, content, {"Accept-Ranges": "bytes", **headers}, cut=cut)
            return
        first, last = match.groups()
        start = int(first) if first else max(0, len(content) - int(last))
        stop = min(int(last) + 1, len(content)) if first and last else len(content)
        if start >= len(content):
            self._send(416, b"", {"Content-Range": f"bytes */{len(content)}"})
            return
        span = {"Content-Range": f"bytes {start}-{stop - 1}/{len(content)}", "Accept-Ranges": "bytes"}
        self._send(206, content[start:stop], {**span, **headers}, cut=cut)

    def whoami(self) -> None:
        if self._known:
            self._json({"name": "owner", "type": "user", "orgs": []})
        else:
            self._error(401, "", "Invalid credentials in Authorization header")

    def create(self) -> None:
        content = json.loads(self.body)
        kind = f"{content.get('type') or 'model'}s"
        repo_id = f"{content.get('organization') or 'owner'}/{content['name']}"
        if not self._known:
            self._error(401, "", "Invalid credentials in Authorization header")
        elif (kind, repo_id) in self.server.repositories:
            self._json({"error": "You already created this repo"}, status=409)
        else:
            visible = content.get("visibility") == "public" or content.get("private") is False
            self.server.repository(repo_id, kind, private=not visible).commit({".gitattributes": b""})
            self._json({"url": f"{self.server.endpoint}/{repo_id}", "name": repo_id})

    def yaml(self) -> None:
        self._json({"errors": [], "warnings": []})

    def preupload(self, kind: str, id: str, revision: str) -> None:
        if self._may_write(kind, id):
            files = json.loads(self.body)["files"]
            modes = [
                {"path": f["path"], "uploadMode": "lfs" if f["path"].endswith(_LARGE) else "regular"} for f in files
            ]
            self._json({"files": [{**mode, "shouldIgnore": False, "oid": None} for mode in modes]})

    def _may_write(self, kind: str, repo_id: str) -> bool:
        if self._known and (kind, repo_id) in self.server.repositories:
            return True
        self._error(403 if "Authorization" in self.headers else 401, "", "you may not write here")
        return False

    def batch(self, id: str) -> None:
        wanted = json.loads(self.body)["objects"]
        there = [
            {**one, "actions": {"upload": {"href": f"{self.server.endpoint}/storage/{one['oid']}"}}} for one in wanted
        ]
        self._json({"transfer": "basic", "objects": there})

    def commit(self, kind: str, id: str, revision: str) -> None:
        if not self._may_write(kind, id):
            return
        files: dict[str, bytes] = {}
        for line in self.body.splitlines():
            record = json.loads(line)
            if record["key"] == "file":
                files[record["value"]["path"]] = base64.b64decode(record["value"]["content"])
            elif record["key"] == "lfsFile":
                files[record["value"]["path"]] = self.server.stored[record["value"]["oid"]]
        sha = self.server.repositories[kind, id].commit(files, revision)
        where = f"{self.server.endpoint}/{id}/commit/{sha}"
        self._json({"success": True, "commitOid": sha, "commitUrl": where, "hookOutput": ""})


_ROUTES = [
    (rf"{_API}", "GET", _Handler.info),
    (rf"{_API}/revision/(?P<revision>[^/]+)", "GET", _Handler.info),
    (rf"{_API}/tree/(?P<revision>[^/]+)(?P<path>/.*)?", "GET", _Handler.tree),
    (rf"{_API}/paths-info/(?P<revision>[^/]+)", "POST", _Handler.paths),
    (rf"{_API}/refs", "GET", _Handler.refs),
    (rf"{_API}/auth-check", "GET", _Handler.access),
    (rf"{_API}/preupload/(?P<revision>[^/]+)", "POST", _Handler.preupload),
    (rf"{_API}/commit/(?P<revision>[^/]+)", "POST", _Handler.commit),
    (r"/api/whoami-v2", "GET", _Handler.whoami),
    (r"/api/repos/create", "POST", _Handler.create),
    (r"/api/validate-yaml", "POST", _Handler.yaml),
    (rf"/{_REPO}\.git/info/lfs/objects/batch", "POST", _Handler.batch),
    (r"/storage/(?P<oid>\w+)", "GET HEAD PUT", _Handler.storage),
    (rf"(/(?P<kind>datasets))?/{_REPO}/resolve/(?P<revision>[^/]+)/(?P<path>.+)", "GET HEAD", _Handler.resolve),
]
