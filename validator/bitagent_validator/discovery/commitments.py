"""Commitments that name a model: a function for each form, from bytes to a submission or a fault. Pure.

Anyone may commit anything, so nothing here raises whatever the bytes are, and no message repeats them. Where both
understand a text, `claims.named_model` understands the same model.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

from pydantic import TypeAdapter, ValidationError

from bitagent_crds.discovery import CommitmentFault, CommitmentFormat
from bitagent_crds.fields import Repo, Revision

SIZE_MAX = 384
"""Bytes of a commitment: three fields of 128."""
RESERVED_OWNER = "volume"
"""Owner in the model cache under which the models of volumes are."""
DEFAULT_REVISION = "main"
MISSING = "None"
"""What the finetuning subnets write for a part that is not given."""

_COMMIT = re.compile(r"[0-9a-f]{40}")
_HASH = re.compile(r"[A-Za-z0-9+/]{43}=")
_REPO = TypeAdapter[str](Repo)
_REVISION = TypeAdapter[str](Revision)


@dataclass(frozen=True)
class CommittedModel:
    """The model that a commitment names."""

    repo: str
    revision: str
    """A commit of 40 digits; or a branch or tag, where these are allowed."""
    competition: str | None = None
    """The competition that it names; None if it names none."""
    hash: str | None = None
    """The hash of the files, if it is compared."""

    @property
    def pinned(self) -> bool:
        """Whether the revision is a commit."""
        return _COMMIT.fullmatch(self.revision) is not None


@dataclass(frozen=True)
class Fault:
    """Why a commitment gives no submission."""

    reason: CommitmentFault
    message: str


Parsed = CommittedModel | Fault


@dataclass(frozen=True)
class _Parts:
    """What a form found, unchecked."""

    repo: str
    revision: str = ""
    competition: str | None = None
    hash: str | None = None
    """None for forms without one; empty if it is missing."""


def parse(
    content: bytes, *, formats: Collection[CommitmentFormat], allow_branches: bool, verify_hash: bool = False
) -> Parsed:
    """Return the submission in a commitment's bytes, or why there is none.

    `verify_hash` says whether the hash of `Fields` is read, which is then required.
    """
    if len(content) > SIZE_MAX:
        return Fault(CommitmentFault.OVERSIZED, f"{len(content)} bytes, of which at most {SIZE_MAX} are read")
    try:
        text = content.decode().strip()
    except UnicodeDecodeError:
        return Fault(CommitmentFault.MALFORMED, "the bytes are no text")
    if not text:
        return Fault(CommitmentFault.MALFORMED, "there is no text")
    for form, read in _FORMS.items():
        if form in formats and (parts := read(text)) is not None:
            return _checked(parts if verify_hash else replace(parts, hash=None), allow_branches=allow_branches)
    return Fault(CommitmentFault.MALFORMED, f"in none of the forms {', '.join(sorted(formats))}")


def parse_name(text: str) -> Parsed:
    """Return the submission that a miner's axon names: `namespace/name` or `namespace/name@revision`."""
    text = text.strip()
    parts = repository(text) if len(text) <= SIZE_MAX else None
    if parts is None:
        return Fault(CommitmentFault.MALFORMED, "it names no repository, as namespace/name or namespace/name@revision")
    return _checked(parts, allow_branches=True)


def fields(text: str) -> _Parts | None:
    """Read `namespace:name:commit:hash:competition`."""
    parts = text.split(":")
    if not 3 <= len(parts) <= 5 or text.startswith("{"):
        return None
    competition = parts[4] if len(parts) == 5 and parts[4] not in ("", MISSING) else None
    found = parts[3] if len(parts) > 3 and parts[3] != MISSING else ""
    return _Parts(f"{parts[0]}/{parts[1]}", "" if parts[2] == MISSING else parts[2], competition, found)


def repository(text: str) -> _Parts | None:
    """Read `namespace/name@commit`."""
    repo, _, revision = text.partition("@")
    return _Parts(repo, revision) if repo.count("/") == 1 and ":" not in text and not text.startswith("{") else None


def json_object(text: str) -> _Parts | None:
    """Read a JSON object with `model` and `revision`; its other members are not read."""
    if not text.startswith("{"):
        return None
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return None
    repo, revision = (content.get("model"), content.get("revision", "")) if isinstance(content, dict) else (None, None)
    return _Parts(repo, revision) if isinstance(repo, str) and isinstance(revision, str) else None


_FORMS: Mapping[CommitmentFormat, Callable[[str], _Parts | None]] = {
    CommitmentFormat.JSON: json_object,
    CommitmentFormat.FIELDS: fields,
    CommitmentFormat.REPOSITORY: repository,
}


def _checked(parts: _Parts, *, allow_branches: bool) -> Parsed:
    try:
        repo = _REPO.validate_python(parts.repo)
        revision = _REVISION.validate_python(parts.revision or DEFAULT_REVISION)
    except ValidationError:
        return Fault(CommitmentFault.MALFORMED, "the repository or its revision has no valid name")
    if repo.partition("/")[0] == RESERVED_OWNER:
        return Fault(CommitmentFault.MALFORMED, f"the owner {RESERVED_OWNER} stands for models of volumes")
    if parts.hash is not None and _HASH.fullmatch(parts.hash) is None:
        return Fault(CommitmentFault.MALFORMED, "it has no hash of the files: SHA-256 in base64, of 44 characters")
    found = CommittedModel(repo, revision, parts.competition, parts.hash)
    if not found.pinned and not allow_branches:
        return Fault(CommitmentFault.NOT_A_COMMIT, "it names no commit of 40 digits in small letters")
    return found
