"""As much of the Hugging Face Hub's HTTP interface as huggingface_hub uses for datasets."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import uuid
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from threading import Lock
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

from tests.hub.helpers.servers import LoopbackServer

_PAGE = 3
_LARGEST_REGULAR = 1 << 16


@dataclass
class Repository:
    files: dict[str, bytes] = field(default_factory=dict)
    commits: int = 0
    past: dict[str, dict[str, bytes]] = field(default_factory=dict)

    @property
    def sha(self) -> str:
        return hashlib.sha1(str(self.commits).encode()).hexdigest()


class HuggingFaceServer(LoopbackServer):
    """The Hub, with the repositories in memory."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories: dict[str, Repository] = {}
        self.large: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.tokens: list[str | None] = []
        self.required_token: str | None = None
        # What it says of its limit when it refuses a request, which it does once.
        self.limit: str | None = None
        # How often an address of the storage may be asked; the Hub sends all itself if 0.
        self.uses_of_an_address = 0
        self.addresses: dict[str, tuple[bytes, int]] = {}
        self.lock = Lock()

    def put(self, repo_id: str, path: str, content: bytes) -> None:
        self.repositories.setdefault(repo_id, Repository()).files[path] = content


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: HuggingFaceServer

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        hub = self.server
        with hub.lock:
            hub.requests.append(f"{self.command} {self.path}")
            hub.tokens.append(self.headers.get("Authorization"))
            wanted = hub.required_token
            # A token stands in the client's own requests, not in those to the storage.
            if wanted and "/lfs/" not in self.path and "/storage/" not in self.path:
                given = self.headers.get("Authorization")
                if given != f"Bearer {wanted}":
                    self._send(401, b"{}", error="RepoNotFound" if given is None else None)
                    return
            if hub.limit is not None:
                limit, hub.limit = hub.limit, None
                self._send(429, b"{}", headers=[("RateLimit", limit)])
                return
            for pattern, answer in _ROUTES:
                command, path = pattern.split(" ", 1)
                found = re.fullmatch(path, unquote(urlsplit(self.path).path))
                if command == self.command.replace("HEAD", "GET") and found:
                    answer(self, body, **found.groupdict())
                    return
            self._send(404, b"no such route")

    do_POST = do_PUT = do_HEAD = do_GET  # noqa: N815

    def datasets(self, body: bytes) -> None:
        query = parse_qs(urlsplit(self.path).query)
        author = query["author"][0]
        found = sorted(each for each in self.server.repositories if each.startswith(f"{author}/"))
        start = int(query.get("cursor", ["0"])[0])
        page = found[start : start + _PAGE]
        link = []
        if start + _PAGE < len(found):
            url = f"{self.server.url}/api/datasets?author={author}&cursor={start + _PAGE}"
            link = [("Link", f'<{url}>; rel="next"')]
        self._json([{"id": each, "tags": []} for each in page], headers=link)

    def dataset(self, body: bytes, repo: str, revision: str | None = None) -> None:
        if repository := self._repository(repo):
            siblings = [{"rfilename": path} for path in repository.files]
            self._json({"id": repo, "sha": repository.sha, "tags": [], "siblings": siblings})

    def tree(self, body: bytes, repo: str, revision: str, folder: str | None = None) -> None:
        if repository := self._repository(repo):
            recursive = parse_qs(urlsplit(self.path).query).get("recursive", [""])[0].lower()
            prefix = f"{folder}/" if folder else ""
            entries: dict[str, dict[str, Any]] = {}
            for path in repository.files:
                if not path.startswith(prefix):
                    continue
                first, slash, _ = path[len(prefix) :].partition("/")
                if slash and recursive != "true":
                    name = prefix + first
                    entries[name] = {"type": "directory", "oid": "0" * 40, "size": 0, "path": name}
                else:
                    entries[path] = self._described(path, repository.files[path])
            if not entries and folder:
                self._send(404, b"{}", error="EntryNotFound")
            else:
                self._json(list(entries.values()))

    def paths_info(self, body: bytes, repo: str, revision: str) -> None:
        if repository := self._repository(repo):
            if "json" in self.headers.get("Content-Type", ""):
                paths = json.loads(body)["paths"]
            else:
                paths = parse_qs(body.decode())["paths"]
            files = repository.files
            self._json([self._described(path, files[path]) for path in paths if path in files])

    def resolve(self, body: bytes, repo: str, revision: str, path: str) -> None:
        if repository := self._repository(repo):
            commit = repository.sha if revision == "main" else revision
            files = repository.past.get(commit, repository.files)
            content = files.get(path)
            if content is None:
                self._send(404, b"", error="EntryNotFound")
                return
            etag = [("ETag", f'"{hashlib.sha256(content).hexdigest()}"')]
            etag += [("X-Repo-Commit", commit), ("Accept-Ranges", "bytes")]
            if uses := self.server.uses_of_an_address:
                signature = uuid.uuid4().hex
                self.server.addresses[signature] = content, uses
                repository.past.setdefault(commit, dict(files))
                # By another name, as another host.
                port = self.server.server_address[1]
                there = f"http://localhost:{port}/storage/x?Signature={signature}"
                self._send(302, b"", [*etag, ("Location", there)])
            else:
                self._send_range(content, etag)

    def storage(self, body: bytes) -> None:
        signature = parse_qs(urlsplit(self.path).query)["Signature"][0]
        content, uses = self.server.addresses[signature]
        if not uses:
            self._send(403, b"the address has expired")
            return
        self.server.addresses[signature] = content, uses - 1
        self._send_range(content, [("ETag", '"of the storage"')])

    def _send_range(self, content: bytes, headers: list[tuple[str, str]]) -> None:
        range_ = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if range_ is None:
            self._send(200, content, headers)
            return
        if range_[1]:
            start, end = int(range_[1]), int(range_[2] or len(content) - 1)
        else:
            start, end = max(len(content) - int(range_[2]), 0), len(content) - 1
        if start >= len(content):
            self._send(416, b"", [*headers, ("Content-Range", f"bytes */{len(content)}")])
            return
        part = content[start : end + 1]
        shown = f"bytes {start}-{start + len(part) - 1}/{len(content)}"
        self._send(206, part, [*headers, ("Content-Range", shown)])

    def create(self, body: bytes) -> None:
        asked = json.loads(body)
        repo = f"{asked['organization']}/{asked['name']}"
        # As the Hub names itself, whatever address it was reached at.
        url = {"url": f"https://huggingface.co/datasets/{repo}"}
        if repo in self.server.repositories:
            self._send(409, json.dumps({**url, "error": "You already created it"}).encode())
        else:
            self.server.repositories[repo] = Repository()
            self._json(url)

    def validate(self, body: bytes) -> None:
        content = json.loads(body)["content"]
        found = re.match(r"\s*---\r?\n(.*?)^---", content, re.DOTALL | re.MULTILINE)
        try:
            said = yaml.safe_load(found[1]) if found else {}
            problems = [] if isinstance(said, dict) else ["the metadata are no mapping"]
        except yaml.YAMLError as error:
            problems = [str(error)]
        answer = {"errors": [{"message": each} for each in problems], "warnings": []}
        self._send(400 if problems else 200, json.dumps(answer).encode())

    def preupload(self, body: bytes, repo: str, revision: str) -> None:
        def mode(size: int) -> str:
            return "lfs" if size > _LARGEST_REGULAR else "regular"

        files = json.loads(body)["files"]
        self._json(
            {
                "files": [
                    {"path": each["path"], "uploadMode": mode(each["size"]), "shouldIgnore": False}
                    for each in files
                ]
            }
        )

    def batch(self, body: bytes, repo: str) -> None:
        objects = json.loads(body)["objects"]
        described = [
            {**each, "actions": {"upload": {"href": f"{self.server.url}/lfs/{each['oid']}"}}}
            for each in objects
        ]
        self._json({"transfer": "basic", "objects": described})

    def store(self, body: bytes, oid: str) -> None:
        assert hashlib.sha256(body).hexdigest() == oid
        self.server.large[oid] = body
        self._send(200, b"")

    def commit(self, body: bytes, repo: str, revision: str) -> None:
        if repository := self._repository(repo):
            lines = [json.loads(line) for line in body.splitlines()]
            parent = lines[0]["value"].get("parentCommit")
            if parent is not None and parent != repository.sha:
                self._send(412, b'{"error": "A commit has happened since"}')
                return
            for line in lines[1:]:
                value = line["value"]
                if line["key"] == "file":
                    repository.files[value["path"]] = base64.b64decode(value["content"])
                else:
                    repository.files[value["path"]] = self.server.large[value["oid"]]
            repository.commits += 1
            url = f"{self.server.url}/datasets/{repo}/commit/{repository.sha}"
            self._json({"success": True, "commitOid": repository.sha, "commitUrl": url})

    def _repository(self, repo: str) -> Repository | None:
        found = self.server.repositories.get(repo)
        if found is None:
            self._send(404, b"{}", error="RepoNotFound")
        return found

    def _described(self, path: str, content: bytes) -> dict[str, Any]:
        blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        described: dict[str, Any] = {
            "type": "file",
            "oid": blob,
            "size": len(content),
            "path": path,
        }
        if len(content) > _LARGEST_REGULAR:
            sha256 = hashlib.sha256(content).hexdigest()
            described["lfs"] = {"oid": sha256, "size": len(content), "pointerSize": 134}
        return described

    def _json(self, value: object, headers: list[tuple[str, str]] | None = None) -> None:
        self._send(200, json.dumps(value).encode(), headers)

    def _send(
        self,
        status: int,
        body: bytes,
        headers: list[tuple[str, str]] | None = None,
        error: str | None = None,
    ) -> None:
        self.send_response(status)
        for key, value in headers or []:
            self.send_header(key, value)
        if error:
            self.send_header("X-Error-Code", error)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


_REPO = r"(?P<repo>[^/]+/[^/]+)"
_ROUTES: list[tuple[str, Any]] = [
    ("GET /api/datasets", _Handler.datasets),
    (rf"GET /api/datasets/{_REPO}", _Handler.dataset),
    (rf"GET /api/datasets/{_REPO}/revision/(?P<revision>[^/]+)", _Handler.dataset),
    (rf"GET /api/datasets/{_REPO}/tree/(?P<revision>[^/]+)", _Handler.tree),
    (rf"GET /api/datasets/{_REPO}/tree/(?P<revision>[^/]+)/(?P<folder>.*)", _Handler.tree),
    (rf"POST /api/datasets/{_REPO}/paths-info/(?P<revision>[^/]+)", _Handler.paths_info),
    (rf"GET /datasets/{_REPO}/resolve/(?P<revision>[^/]+)/(?P<path>.*)", _Handler.resolve),
    ("GET /storage/x", _Handler.storage),
    ("POST /api/repos/create", _Handler.create),
    ("POST /api/validate-yaml", _Handler.validate),
    (rf"POST /api/datasets/{_REPO}/preupload/(?P<revision>[^/]+)", _Handler.preupload),
    (rf"POST /datasets/{_REPO}.git/info/lfs/objects/batch", _Handler.batch),
    (r"PUT /lfs/(?P<oid>[0-9a-f]+)", _Handler.store),
    (rf"POST /api/datasets/{_REPO}/commit/(?P<revision>[^/]+)", _Handler.commit),
]
