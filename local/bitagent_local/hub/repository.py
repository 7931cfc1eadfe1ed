"""Repositories on disk, and what is known of them.

ROOT/<owner>/<name>/refs.json               branches and tags, and who may read
ROOT/<owner>/<name>/<commit>/<files>        one folder a commit, 40 hex digits
ROOT/datasets/<owner>/<name>/...            the same for a dataset, which may be called as a model is
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
#: Files that a hub keeps outside git, with a SHA-256 as their name.
LFS_SUFFIXES = frozenset({".safetensors", ".bin", ".pt", ".pth", ".gguf", ".onnx", ".msgpack", ".h5", ".parquet"})


class Refs(BaseModel):
    """The content of ``refs.json``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    branches: dict[str, str]
    tags: dict[str, str] = {}
    private: bool = False
    """Nobody without a token learns that it exists."""
    gated: bool = False
    """Anybody sees it; its files need a token."""


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
    #: The id that git gives its content.
    blob_id: str
    lfs: bool
    on_disk: Path

    @property
    def etag(self) -> str:
        """What the hub calls this content."""
        return self.sha256 if self.lfs else self.blob_id


@dataclass(frozen=True)
class Snapshot:
    """A repository at one commit."""

    repository: Repository
    commit: str

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return self.repository.folder / self.commit

    def files(self) -> list[File]:
        """All files, by path."""
        return [self.file(path.relative_to(self.folder).as_posix()) for path in _files_below(self.folder)]

    def file(self, path: str) -> File:
        """One file.

        Raises:
            EntryNotFound: no such file, or a path that leaves the commit.
        """
        inside = PurePosixPath(path)
        on_disk = self.folder / inside
        if inside.is_absolute() or ".." in inside.parts or not on_disk.is_file():
            raise EntryNotFound(f"{self.repository.name}@{self.commit} has no file {path}")
        sha256, blob_id = _digests(on_disk)
        return File(path, on_disk.stat().st_size, sha256, blob_id, inside.suffix in LFS_SUFFIXES, on_disk)

    def card(self) -> dict[str, Any]:
        """The YAML between the first two ``---`` lines of the README; empty where there is none."""
        readme = self.folder / "README.md"
        if not readme.is_file():
            return {}
        parts = readme.read_text(encoding="utf-8").split("---\n", 2)
        if len(parts) < 3 or parts[0]:
            return {}
        card = yaml.safe_load(parts[1])
        return card if isinstance(card, dict) else {}

    def parameters(self) -> dict[str, int]:
        """Parameters by dtype over all safetensors headers that can be read."""
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
        """Where it is."""
        return self.root / self.name

    @property
    def refs(self) -> Refs:
        """Its branches and tags as they are now."""
        return Refs.model_validate_json((self.folder / REFS).read_text(encoding="utf-8"))

    def at(self, revision: str) -> Snapshot:
        """The commit that a branch, a tag, or a commit id (seven digits or more) means.

        Raises:
            RevisionNotFound: none of these.
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
    """Where the repositories of a kind are; models where the kind is empty, as in the addresses of their files."""
    return root / DATASETS if kind == DATASETS else root


def find(root: Path, name: str, *, kind: str = MODELS) -> Repository:
    """A repository by ``owner/name``.

    Raises:
        RepositoryNotFound: no such repository.
    """
    owner, _, short = name.partition("/")
    repository = Repository(home(root, kind), name)
    if not NAME.fullmatch(owner) or not NAME.fullmatch(short) or not (repository.folder / REFS).is_file():
        raise RepositoryNotFound(f"no repository {name}")
    return repository


def every(root: Path, *, kind: str = MODELS) -> Iterator[Repository]:
    """All repositories of a kind, by name.

    Raises:
        ValueError: a ``refs.json`` is not one; the message names it.
    """
    for refs in sorted(home(root, kind).glob(f"*/*/{REFS}")):
        repository = Repository(home(root, kind), f"{refs.parent.parent.name}/{refs.parent.name}")
        try:
            repository.refs.branches["main"]
        except (ValidationError, KeyError) as error:
            raise ValueError(f"{refs} is not valid: {error}") from error
        yield repository


def git_blob_id(content: bytes) -> str:
    """The id that git gives a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _files_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _digests(path: Path) -> tuple[str, str]:
    status = path.stat()
    return _digests_of(path, status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=4096)
def _digests_of(path: Path, changed: int, size: int) -> tuple[str, str]:
    """SHA-256 and git id; the time and size are there so that a changed file is read anew."""
    content = path.read_bytes()
    return hashlib.sha256(content).hexdigest(), git_blob_id(content)
