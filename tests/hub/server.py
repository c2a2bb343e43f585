"""A server of the hub's HTTP interface on this machine, for the real client: repositories in memory, with faults on
request."""

import base64
import hashlib
import http.server
import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

LARGE = (".parquet", ".tar", ".zip", ".safetensors")  # kept apart, as LFS does: /resolve/ redirects to them
Fault = Callable[[http.server.BaseHTTPRequestHandler], bool]  # whether it answered


@dataclass
class Repo:
    """The files of a repository at its one commit. `sizes`: those that the listing gives instead of the true ones."""

    files: dict[str, bytes] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    private: bool = False
    gated: bool = False
    tags: dict[str, str] = field(default_factory=dict)
    history: dict[str, dict[str, bytes]] = field(default_factory=dict)

    @property
    def commit(self) -> str:
        text = json.dumps([(name, hashlib.sha1(data).hexdigest()) for name, data in sorted(self.files.items())])
        commit = hashlib.sha1(text.encode()).hexdigest()
        self.history[commit] = dict(self.files)
        return commit

    def at(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """The commit and the files of a revision."""
        commit = self.commit if revision == "main" else self.tags.get(revision, revision)
        return (commit, self.history[commit]) if commit in self.history else None


@dataclass
class Hub:
    """What the server has, and what was asked of it. `faults`: by the beginning of a path, tried before it is answered."""

    repos: dict[tuple[str, str], Repo] = field(default_factory=dict)  # by kind ("models") and name
    requests: list[tuple[str, str]] = field(default_factory=list)
    agents: set[str] = field(default_factory=set)
    tokens: Counter[tuple[str, str]] = field(default_factory=Counter)
    faults: dict[str, Fault] = field(default_factory=dict)
    token: str = "hf_right"
    address: str = ""
    storage: str = ""  # the host that large files are on

    def dataset(self, name: str, files: dict[str, bytes], **about: object) -> Repo:
        self.repos["datasets", name] = Repo(files, **about)  # type: ignore[arg-type]
        return self.repos["datasets", name]

    def model(self, name: str, files: dict[str, bytes], **about: object) -> Repo:
        self.repos["models", name] = Repo(files, **about)  # type: ignore[arg-type]
        return self.repos["models", name]

    def asked(self, method: str = "") -> list[str]:
        """The paths of requests."""
        return [path for each, path in self.requests if method in ("", each)]


def entry(repo: Repo, name: str, data: bytes) -> dict[str, object]:
    """A file in a listing."""
    size = repo.sizes.get(name, len(data))
    found: dict[str, object] = {"type": "file", "oid": hashlib.sha1(data).hexdigest(), "size": size, "path": name}
    if name.endswith(LARGE):
        found["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": size, "pointerSize": 134}
    return found


def handler(hub: Hub) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def answer(self, code: int, body: object = b"", **headers: object) -> None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(code)
            for name, value in {"Content-Length": len(data), **headers}.items():
                self.send_header(name.replace("_", "-"), str(value))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        def refuse(self, code: int, error: str, message: str = "") -> None:
            self.answer(code, {"error": message or error}, X_Error_Code=error, X_Error_Message=message or error)

        def handle_any(self) -> None:
            path = unquote(urlsplit(self.path).path)
            hub.requests.append((self.command, path))
            hub.agents.add(self.headers.get("user-agent", ""))
            self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            hub.tokens["storage" if path.startswith("/lfs/") else "hub", self.headers.get("authorization", "")] += 1
            if any(path.startswith(prefix) and fault(self) for prefix, fault in hub.faults.items()):
                return
            self.respond(path)

        do_GET = do_HEAD = do_POST = do_PUT = handle_any  # noqa: N815

        @property
        def is_known(self) -> bool:
            return self.headers.get("authorization") == f"Bearer {hub.token}"

        def respond(self, path: str) -> None:
            if path.startswith("/lfs/"):
                return self.blob(path.removeprefix("/lfs/"))
            if path == "/api/repos/create":
                return self.create(json.loads(self.body))
            if path == "/api/validate-yaml":
                return self.answer(200, {"errors": [], "warnings": []})
            found = re.fullmatch(
                r"/api/(models|datasets)/([^/]+/[^/]+)(?:/(revision|tree|preupload|commit)/(.+?))?", path
            )
            if found:
                kind, name, what, revision = found.groups()
                return self.about(kind, name, what or "revision", revision or "main")
            found = re.fullmatch(r"/(datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
            if found:
                kind, name, revision, file = found.groups()
                return self.resolve("datasets" if kind else "models", name, revision, file)
            return self.refuse(404, "RepoNotFound")

        def repo(self, kind: str, name: str) -> Repo | None:
            found = hub.repos.get((kind, name))
            if self.headers.get("authorization") and not self.is_known:
                self.refuse(401, "", "Invalid credentials in Authorization header")
            elif found is None or (found.private and not self.is_known):
                self.refuse(401 if not self.is_known else 404, "RepoNotFound", "Repository not found")
            elif found.gated and not self.is_known and "/resolve/" in self.path:
                self.refuse(401, "GatedRepo", "Access to this dataset is restricted")
            else:
                return found
            return None

        def about(self, kind: str, name: str, what: str, revision: str) -> None:
            if (repo := self.repo(kind, name)) is None:
                return None
            if what == "preupload":
                files = json.loads(self.body)["files"]
                return self.answer(
                    200, {"files": [{**each, "uploadMode": "regular", "shouldIgnore": False} for each in files]}
                )
            if what == "commit":
                return self.commit(repo, name)
            if (at := repo.at(revision.removesuffix("/"))) is None:
                return self.refuse(404, "RevisionNotFound", "Invalid rev id")
            commit, files = at
            if what == "tree":
                return self.answer(200, [entry(repo, file, data) for file, data in files.items()])
            return self.answer(200, {"id": name, "sha": commit, "private": repo.private, "siblings": [], "tags": []})

        def resolve(self, kind: str, name: str, revision: str, file: str) -> None:
            if (repo := self.repo(kind, name)) is None:
                return None
            if (at := repo.at(revision)) is None:
                return self.refuse(404, "RevisionNotFound", "Invalid rev id")
            commit, files = at
            if (data := files.get(file)) is None:
                return self.refuse(404, "EntryNotFound", "Entry not found")
            if file.endswith(LARGE):
                sha = hashlib.sha256(data).hexdigest()
                where = f"{hub.storage}/lfs/{kind}/{name}/{commit}/{file}"
                return self.answer(
                    302, X_Repo_Commit=commit, X_Linked_Etag=f'"{sha}"', X_Linked_Size=len(data), Location=where,
                    ETag='"pointer"',
                )  # fmt: skip
            return self.answer(200, data, X_Repo_Commit=commit, ETag=f'"{hashlib.sha1(data).hexdigest()}"')

        def blob(self, where: str) -> None:
            kind, owner, name, commit, file = where.split("/", 4)
            data = hub.repos[kind, f"{owner}/{name}"].history[commit][file]
            if found := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")):
                start = int(found[1])
                return self.answer(206, data[start:], Content_Range=f"bytes {start}-{len(data) - 1}/{len(data)}")
            return self.answer(200, data)

        def create(self, asked: dict[str, object]) -> None:
            name = f"{asked['organization']}/{asked['name']}"
            if not self.is_known:
                return self.refuse(401, "", "Invalid username or password.")
            if asked["organization"] == "you":
                return self.refuse(403, "", "You don't have the rights to create a model under this namespace")
            url = f"{hub.address}/{name}"
            if ("models", name) in hub.repos:
                return self.answer(409, {"error": "You already created this model repo", "url": url})
            private = asked.get("private") is True or asked.get("visibility") == "private"
            hub.model(name, {}, private=private)
            return self.answer(200, {"url": url, "id": name})

        def commit(self, repo: Repo, name: str) -> None:
            for line in map(json.loads, self.body.splitlines()):
                if line["key"] == "file":
                    value = line["value"]
                    repo.files[value["path"]] = base64.b64decode(value["content"])
            url = f"{hub.address}/{name}/commit/{repo.commit}"
            return self.answer(200, {"success": True, "commitOid": repo.commit, "commitUrl": url, "hookOutput": ""})

    return Handler


@contextmanager
def serving() -> Iterator[Hub]:
    """A running server."""
    hub = Hub()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler(hub))
    server.daemon_threads = True
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    hub.storage = hub.address.replace("127.0.0.1", "localhost")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


def times(count: int, answer: Callable[[http.server.BaseHTTPRequestHandler], None]) -> Fault:
    """A fault that happens so many times."""
    left = [count]

    def fault(request: http.server.BaseHTTPRequestHandler) -> bool:
        if left[0] <= 0:
            return False
        left[0] -= 1
        answer(request)
        return True

    return fault
