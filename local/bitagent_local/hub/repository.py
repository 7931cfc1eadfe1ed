"""Repositories on disk: layout, revisions and metadata of files.

ROOT/<owner>/<name>/refs.json               branches, tags and access
ROOT/<owner>/<name>/<commit>/<files>        one folder for each commit, named by 40 hexadecimal digits
ROOT/datasets/<owner>/<name>/...            the same for a dataset, which may have the name of a model
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from bitagent_local.models import safetensors_header

MODELS, DATASETS = "models", "datasets"
KINDS = (MODELS, DATASETS)
REFS = "refs.json"
COMMIT = re.compile(r"[0-9a-f]{40}")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
LFS_POINTER_SIZE = 134
LFS_SUFFIXES = frozenset({".safetensors", ".bin", ".pt", ".pth", ".gguf", ".onnx", ".msgpack", ".h5", ".parquet"})
"""Files that a hub stores in Git LFS, where they are named by their SHA-256."""


class Refs(BaseModel):
    """The content of ``refs.json``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    branches: dict[str, str]
    tags: dict[str, str] = {}
    private: bool = False
    """Without a token it seems not to exist."""
    gated: bool = False
    """Everyone sees its metadata; its files need a granted token."""


class RepositoryNotFound(LookupError):
    """No such repository."""


class RevisionNotFound(LookupError):
    """The repository has no such branch, tag or commit."""


class EntryNotFound(LookupError):
    """The commit has no such file."""


@dataclass(frozen=True)
class File:
    """One file of a commit."""

    path: str
    size: int
    sha256: str
    blob_id: str
    """The id that git gives its content."""
    lfs: bool
    on_disk: Path

    @property
    def etag(self) -> str:
        """The hub's identifier of this content."""
        return self.sha256 if self.lfs else self.blob_id


@dataclass(frozen=True)
class Snapshot:
    """A repository at one commit."""

    repository: Repository
    commit: str

    @property
    def folder(self) -> Path:
        """Folder of the commit's files."""
        return self.repository.folder / self.commit

    def files(self) -> list[File]:
        """Return all files, sorted by path."""
        return [self.file(path.relative_to(self.folder).as_posix()) for path in _files_below(self.folder)]

    def file(self, path: str) -> File:
        """Return one file. Raises EntryNotFound if there is no such file, or the path leaves the commit."""
        inside = PurePosixPath(path)
        on_disk = self.folder / inside
        if inside.is_absolute() or ".." in inside.parts or not on_disk.is_file():
            raise EntryNotFound(f"{self.repository.name}@{self.commit} has no file {path}")
        sha256, blob_id = _digests(on_disk)
        return File(path, on_disk.stat().st_size, sha256, blob_id, inside.suffix in LFS_SUFFIXES, on_disk)

    def card(self) -> dict[str, Any]:
        """Return the YAML between the first two ``---`` lines of the README; empty if there is none."""
        readme = self.folder / "README.md"
        if not readme.is_file():
            return {}
        parts = readme.read_text(encoding="utf-8").split("---\n", 2)
        if len(parts) < 3 or parts[0]:
            return {}
        card = yaml.safe_load(parts[1])
        return card if isinstance(card, dict) else {}

    def parameters(self) -> dict[str, int]:
        """Return the number of parameters by dtype; empty if a safetensors header cannot be read."""
        total: dict[str, int] = {}
        for file in self.files():
            if file.path.endswith(".safetensors"):
                try:
                    counts = safetensors_header.parameters(file.on_disk)
                except (ValueError, KeyError, TypeError):
                    return {}
                for dtype, count in counts.items():
                    total[dtype] = total.get(dtype, 0) + count
        return total


@dataclass(frozen=True)
class Repository:
    """One repository."""

    root: Path
    name: str

    @property
    def folder(self) -> Path:
        """Folder of the repository."""
        return self.root / self.name

    @property
    def refs(self) -> Refs:
        """The current branches, tags and access."""
        return Refs.model_validate_json((self.folder / REFS).read_text(encoding="utf-8"))

    def at(self, revision: str) -> Snapshot:
        """Resolve a branch, a tag, or a commit id of at least seven digits.

        Raises RevisionNotFound if it is none of these.
        """
        refs = self.refs
        for commit in (refs.branches.get(revision), refs.tags.get(revision)):
            if commit is not None:
                return Snapshot(self, commit)
        commits = [path.name for path in self.folder.iterdir() if path.is_dir() and COMMIT.fullmatch(path.name)]
        matching = [commit for commit in commits if len(revision) >= 7 and commit.startswith(revision)]
        if len(matching) != 1:
            raise RevisionNotFound(f"{self.name} has no revision {revision}")
        return Snapshot(self, matching[0])


def home(root: Path, kind: str) -> Path:
    """Return the folder of all repositories of a kind; an empty kind means models, as in the URLs of their files."""
    return root / DATASETS if kind == DATASETS else root


def find(root: Path, name: str, *, kind: str = MODELS) -> Repository:
    """Return a repository by ``owner/name``. Raises RepositoryNotFound if there is none."""
    owner, _, short = name.partition("/")
    repository = Repository(home(root, kind), name)
    if not NAME.fullmatch(owner) or not NAME.fullmatch(short) or not (repository.folder / REFS).is_file():
        raise RepositoryNotFound(f"no repository {name}")
    return repository


def every(root: Path, *, kind: str = MODELS) -> Iterator[Repository]:
    """Yield all repositories of a kind, sorted by name.

    Raises ValueError, naming the file, if a ``refs.json`` is invalid.
    """
    for refs in sorted(home(root, kind).glob(f"*/*/{REFS}")):
        repository = Repository(home(root, kind), f"{refs.parent.parent.name}/{refs.parent.name}")
        try:
            repository.refs.branches["main"]
        except (ValidationError, KeyError) as error:
            raise ValueError(f"{refs} is not valid: {error}") from error
        yield repository


def git_blob_id(content: bytes) -> str:
    """Return the id that git gives a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _files_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _digests(path: Path) -> tuple[str, str]:
    status = path.stat()
    return _digests_of(path, status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=4096)
def _digests_of(path: Path, changed: int, size: int) -> tuple[str, str]:
    """Return SHA-256 and git id; time and size are cache keys, so that a changed file is read again."""
    content = path.read_bytes()
    return hashlib.sha256(content).hexdigest(), git_blob_id(content)
