"""Answers to requests, as the real hub gives them; pure, apart from reading files.

Clients distinguish refusals by status and ``X-Error-Code``. A repository that does not exist, or is private, is 401
without a token and 404 with one; a gated one shows its metadata to everyone and its files to granted tokens (otherwise
401 without a token, 403 with one).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

from bitagent_local.hub import repository
from bitagent_local.hub.repository import EntryNotFound, File, RepositoryNotFound, RevisionNotFound, Snapshot


@dataclass(frozen=True)
class Request:
    """The parts of an HTTP request that an answer depends on."""

    method: str
    path: str
    """Percent-encoded, without the query."""
    query: str = ""
    token: str | None = None
    range: str | None = None
    body: bytes = b""

    def flag(self, name: str) -> bool:
        """Whether a query parameter is true."""
        return parse_qs(self.query).get(name, [""])[0].lower() in ("true", "1")


@dataclass(frozen=True)
class Answer:
    """A status, headers, and either a body or a range of a file."""

    status: HTTPStatus
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    file: Path | None = None
    start: int = 0
    end: int = 0

    @property
    def length(self) -> int:
        """Number of bytes in the body."""
        return self.end - self.start if self.file else len(self.body)


class Refused(Exception):
    """The hub refuses a request; ``code`` is its ``X-Error-Code``, empty if it has none."""

    def __init__(self, status: HTTPStatus, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code

    def answer(self) -> Answer:
        """Return the refusal as an answer."""
        # The message may quote the client, whose characters need not be allowed in a header.
        message = "".join(char if char.isascii() and char.isprintable() else "?" for char in str(self))
        headers = {"X-Error-Message": message} | ({"X-Error-Code": self.code} if self.code else {})
        return _json({"error": str(self)}, status=self.status, headers=headers)


@dataclass(frozen=True)
class Hub:
    """The repositories below a folder, the valid tokens, and those with access to gated repositories."""

    root: Path
    tokens: frozenset[str] = frozenset()
    granted: frozenset[str] = frozenset()

    def answer(self, request: Request) -> Answer:
        """Return the answer to any request."""
        try:
            for pattern, respond in ROUTES:
                if match := pattern.fullmatch(request.path):
                    parts = {name: unquote(value or "") for name, value in match.groupdict().items()}
                    return respond(self, request, parts)
            raise Refused(HTTPStatus.NOT_FOUND, "", f"this hub has no {request.path}")
        except Refused as refusal:
            return refusal.answer()
        except RepositoryNotFound as error:
            return self._hidden(request, str(error)).answer()
        except RevisionNotFound as error:
            return Refused(HTTPStatus.NOT_FOUND, "RevisionNotFound", str(error)).answer()
        except EntryNotFound as error:
            return Refused(HTTPStatus.NOT_FOUND, "EntryNotFound", str(error)).answer()

    def snapshot(self, request: Request, parts: dict[str, str], revision: str, *, files: bool) -> Snapshot:
        """Return a snapshot of the repository that a route's `kind` and `repo` name, if the request has access to it.

        Raises Refused if its token gives no access, RepositoryNotFound or RevisionNotFound if there is no such thing.
        """
        if request.token is not None and request.token not in self.tokens | self.granted:
            raise Refused(HTTPStatus.UNAUTHORIZED, "", "Invalid credentials in Authorization header")
        name = parts["repo"]
        found = repository.find(self.root, name, kind=parts["kind"])
        refs = found.refs
        if refs.private and request.token is None:
            raise self._hidden(request, f"no repository {name}")
        if refs.gated and files and request.token not in self.granted:
            status = HTTPStatus.UNAUTHORIZED if request.token is None else HTTPStatus.FORBIDDEN
            raise Refused(status, "GatedRepo", f"Access to {name} is restricted: ask its owner for access.")
        return found.at(revision)

    def _hidden(self, request: Request, message: str) -> Refused:
        if request.token is None:
            return Refused(HTTPStatus.UNAUTHORIZED, "RepoNotFound", "Invalid username or password.")
        return Refused(HTTPStatus.NOT_FOUND, "RepoNotFound", message)


Respond = Callable[[Hub, Request, dict[str, str]], Answer]


def _info(hub: Hub, request: Request, parts: dict[str, str]) -> Answer:
    """Answer ``model_info`` and ``dataset_info``: metadata of a repository at a revision."""
    snapshot = hub.snapshot(request, parts, parts["revision"] or "main", files=False)
    refs, card, parameters = snapshot.repository.refs, snapshot.card(), snapshot.parameters()
    tags = [*card.get("tags", []), f"license:{card['license']}"] if "license" in card else [*card.get("tags", [])]
    info: dict[str, Any] = {
        "_id": snapshot.commit[:24],
        "id": snapshot.repository.name,
        "author": snapshot.repository.name.split("/")[0],
        "sha": snapshot.commit,
        "private": refs.private,
        "gated": "auto" if refs.gated else False,
        "disabled": False,
        "downloads": 0,
        "likes": 0,
        "tags": ["safetensors", *tags] if parameters else tags,
        "cardData": card,
        "siblings": [_sibling(file, blobs=request.flag("blobs")) for file in snapshot.files()],
    }
    if parts["kind"] == repository.MODELS:
        info |= {"modelId": snapshot.repository.name, "config": _public_config(snapshot)}
        info |= {name: card[name] for name in ("library_name", "pipeline_tag") if name in card}
    if parameters:
        info["safetensors"] = {"parameters": parameters, "total": sum(parameters.values())}
    return _json(info)


def _tree(hub: Hub, request: Request, parts: dict[str, str]) -> Answer:
    """List files and folders below a path; all levels with ``recursive``."""
    snapshot = hub.snapshot(request, parts, parts["revision"], files=False)
    prefix = f"{parts['path'].strip('/')}/" if parts["path"].strip("/") else ""
    entries: dict[str, dict[str, Any]] = {}
    for file in snapshot.files():
        if not file.path.startswith(prefix):
            continue
        steps = file.path[len(prefix) :].split("/")
        for depth in range(1, len(steps)):
            folder = prefix + "/".join(steps[:depth])
            entries.setdefault(folder, {"type": "directory", "path": folder, "oid": "0" * 40, "size": 0})
        entries[file.path] = _entry(file)
    if prefix and not entries:
        raise EntryNotFound(f"{snapshot.repository.name}@{snapshot.commit} has no folder {prefix}")
    shown = [entry for path, entry in entries.items() if request.flag("recursive") or "/" not in path[len(prefix) :]]
    return _json(shown)


def _paths_info(hub: Hub, request: Request, parts: dict[str, str]) -> Answer:
    """Return metadata of named files; those that do not exist are left out."""
    snapshot = hub.snapshot(request, parts, parts["revision"], files=False)
    try:
        paths = json.loads(request.body)["paths"]
    except (ValueError, KeyError, TypeError):
        # huggingface_hub sends a form; other clients send JSON.
        paths = parse_qs(request.body.decode(errors="replace")).get("paths", [])
    return _json([_entry(file) for file in snapshot.files() if file.path in paths])


def _refs(hub: Hub, request: Request, parts: dict[str, str]) -> Answer:
    """List branches and tags."""
    refs = hub.snapshot(request, parts, "main", files=False).repository.refs

    def listed(kind: str, names: dict[str, str]) -> list[dict[str, str]]:
        return [{"name": name, "ref": f"refs/{kind}/{name}", "targetCommit": commit} for name, commit in names.items()]

    body = {"branches": listed("heads", refs.branches), "tags": listed("tags", refs.tags), "converts": []}
    return _json(body | {"pullRequests": []})


def _resolve(hub: Hub, request: Request, parts: dict[str, str]) -> Answer:
    """Return a file's content, or a range of it."""
    snapshot = hub.snapshot(request, parts, parts["revision"], files=True)
    try:
        file = snapshot.file(parts["path"])
    except EntryNotFound as error:
        refusal = Refused(HTTPStatus.NOT_FOUND, "EntryNotFound", str(error)).answer()
        return Answer(refusal.status, {**refusal.headers, "X-Repo-Commit": snapshot.commit}, refusal.body)
    headers = {
        "Content-Type": "application/octet-stream",
        "Accept-Ranges": "bytes",
        "ETag": f'"{file.etag}"',
        "X-Repo-Commit": snapshot.commit,
    }
    if file.lfs:
        headers |= {"X-Linked-Etag": f'"{file.etag}"', "X-Linked-Size": str(file.size)}
    if request.range is None:
        return Answer(HTTPStatus.OK, headers, file=file.on_disk, start=0, end=file.size)
    byte_range = _byte_range(request.range, file.size)
    if byte_range is None:
        status = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
        return Answer(status, headers | {"Content-Range": f"bytes */{file.size}"})
    start, end = byte_range
    headers["Content-Range"] = f"bytes {start}-{end - 1}/{file.size}"
    return Answer(HTTPStatus.PARTIAL_CONTENT, headers, file=file.on_disk, start=start, end=end)


def _health(hub: Hub, request: Request, parts: dict[str, str]) -> Answer:
    names = [found.name for kind in repository.KINDS for found in repository.every(hub.root, kind=kind)]
    return _json({"repositories": names})


KIND = rf"(?P<kind>{'|'.join(repository.KINDS)})"
REPO = r"(?P<repo>[^/]+/[^/]+)"
REVISION = r"(?P<revision>[^/]+)"
ROUTES: tuple[tuple[re.Pattern[str], Respond], ...] = (
    (re.compile(r"/healthz"), _health),
    (re.compile(rf"/api/{KIND}/{REPO}/tree/{REVISION}(?P<path>(?:/.*)?)"), _tree),
    (re.compile(rf"/api/{KIND}/{REPO}/paths-info/{REVISION}"), _paths_info),
    (re.compile(rf"/api/{KIND}/{REPO}/refs"), _refs),
    (re.compile(rf"/api/{KIND}/{REPO}(?:/revision/{REVISION})?"), _info),
    (re.compile(rf"/(?P<kind>datasets)/{REPO}/resolve/{REVISION}/(?P<path>.+)"), _resolve),
    (re.compile(rf"/(?P<kind>){REPO}/resolve/{REVISION}/(?P<path>.+)"), _resolve),
)


def _byte_range(header: str, size: int) -> tuple[int, int] | None:
    """Return start and end (exclusive) of a single range, or ``None`` if it cannot be satisfied."""
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", header.strip())
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
    return (start, end) if start < end else None


def _sibling(file: File, *, blobs: bool) -> dict[str, Any]:
    sibling: dict[str, Any] = {"rfilename": file.path}
    if blobs:
        sibling |= {"size": file.size, "blobId": file.blob_id}
        if file.lfs:
            sibling["lfs"] = {"sha256": file.sha256, "size": file.size, "pointerSize": repository.LFS_POINTER_SIZE}
    return sibling


def _entry(file: File) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "file", "path": file.path, "size": file.size, "oid": file.blob_id}
    if file.lfs:
        entry["lfs"] = {"oid": file.sha256, "size": file.size, "pointerSize": repository.LFS_POINTER_SIZE}
    return entry


def _public_config(snapshot: Snapshot) -> dict[str, Any]:
    """Return the part of the config that the hub publishes."""
    try:
        config = json.loads(snapshot.file("config.json").on_disk.read_text(encoding="utf-8"))
    except (EntryNotFound, ValueError):
        return {}
    return {name: config[name] for name in ("architectures", "model_type") if name in config}


def _json(content: Any, *, status: HTTPStatus = HTTPStatus.OK, headers: dict[str, str] | None = None) -> Answer:
    return Answer(status, {"Content-Type": "application/json", **(headers or {})}, json.dumps(content).encode())
