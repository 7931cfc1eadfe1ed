"""What a commitment says: the forms that the validator's discovery reads, written and read. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import StrEnum

from pydantic import TypeAdapter, ValidationError

from bitagent_crds.fields import Commit, Repo, Revision

SIZE_MAX = 384
"""Bytes of a commitment: three fields of 128."""
_REPO, _REVISION, _COMMIT = TypeAdapter[str](Repo), TypeAdapter[str](Revision), TypeAdapter[str](Commit)
_COMPETITION = re.compile(r"[A-Za-z0-9._-]{1,63}")


class Form(StrEnum):
    """A form of a commitment."""

    REPOSITORY = "repository"
    """`owner/name@commit`"""
    JSON = "json"
    """`{"model": "owner/name", "revision": "commit"}`"""
    FIELDS = "fields"
    """`owner:name:commit:None:competition`"""


class BadSubmission(Exception):
    """A text names no model in a form that is read."""


@dataclass(frozen=True)
class Named:
    """A repository and a revision, as people write them."""

    repo: str
    revision: str = "main"

    @property
    def pinned(self) -> bool:
        """Whether the revision is a commit."""
        try:
            _COMMIT.validate_python(self.revision)
        except ValidationError:
            return False
        return True

    @property
    def shown(self) -> str:
        """The name with its revision."""
        return f"{self.repo}@{self.revision}"


def named(text: str) -> Named:
    """Read `owner/name` or `owner/name@revision`. Raises BadSubmission."""
    repo, _, revision = text.partition("@")
    return _checked(repo, revision or "main")


def write(model: Named, form: Form, *, competition: str | None = None) -> bytes:
    """Return the bytes to commit. Raises BadSubmission if the revision is not a commit, or the form cannot say it."""
    if not model.pinned:
        raise BadSubmission(f"{model.revision} is not a commit of 40 digits")
    if competition is not None and form is not Form.FIELDS:
        raise BadSubmission("only the form 'fields' names a competition")
    match form:
        case Form.REPOSITORY:
            text = model.shown
        case Form.JSON:
            text = json.dumps({"model": model.repo, "revision": model.revision}, separators=(",", ":"))
        case Form.FIELDS:
            if competition is not None and not _COMPETITION.fullmatch(competition):
                raise BadSubmission("a competition has letters, digits, '.', '_' and '-'")
            owner, _, name = model.repo.partition("/")
            text = ":".join((owner, name, model.revision, "None", *([competition] if competition else [])))
    if len(text.encode()) > SIZE_MAX:
        raise BadSubmission(f"the commitment has {len(text.encode())} bytes, of which at most {SIZE_MAX} are read")
    return text.encode()


def read(content: bytes) -> Named:
    """Return the model that a commitment names. Raises BadSubmission."""
    try:
        text = content.decode().strip()
    except UnicodeDecodeError:
        raise BadSubmission("the bytes are no text") from None
    if text.startswith("{"):
        try:
            found = json.loads(text)
            return _checked(found["model"], found.get("revision", "main"))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise BadSubmission("the JSON has no model") from None
    if text.count(":") >= 2:
        owner, name, revision, *_ = text.split(":")
        return _checked(f"{owner}/{name}", revision)
    return named(text)


def _checked(repo: object, revision: object) -> Named:
    try:
        return Named(_REPO.validate_python(repo), _REVISION.validate_python(revision))
    except ValidationError:
        raise BadSubmission("the model is not of the form owner/name or owner/name@revision") from None
