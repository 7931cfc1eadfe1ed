"""Repositories on a Hugging Face hub: revisions resolved by huggingface_hub, files read by HTTP from the pinned commit.

The endpoint and the token come from HF_ENDPOINT and HF_TOKEN, as for every hub client; a token file is never read.
Nothing is cached here, and no code of a repository runs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

from huggingface_hub import HfApi, hf_hub_url
from huggingface_hub.errors import (
    DisabledRepoError,
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    HTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import build_hf_headers, hf_raise_for_status

from bitagent_crds.conditions import Reason
from bitagent_evaluator.models.source import FileEntry, Snapshot
from bitagent_evaluator.models.validation.card import normalize_license
from bitagent_evaluator.models.validation.files import ADDITIONAL_TEMPLATES, MAX_FILES, weight_files
from bitagent_evaluator.support.faults import FetchError
from bitagent_evaluator.support.http import TransientError, retry
from bitagent_evaluator.support.http_resource import TIMEOUT_SECONDS, TRANSIENT_STATUSES, HttpErrors, HttpResource
from bitagent_evaluator.support.text import first_line

_MISSING_STATUSES = frozenset({404, 410, 416, 451})
"""Statuses of a listed file that is not there, or is shorter than listed."""
_MISSING_PARENT_CODES = frozenset({"RepoNotFound", "RevisionNotFound"})
"""Error codes of a hub by which the file is missing because its repository or revision is."""

_WINDOW = re.compile(r"\bt=(\d{1,6})\b")
"""Seconds until a window of requests ends, as in the header `RateLimit: "api";r=0;t=55`."""


@dataclass(frozen=True)
class RepositoryKind:
    """A kind of repository: what is listed of it, and how its failures are reported."""

    type: str
    """`repo_type` of the hub's API."""
    label: str
    """Prefix of the repository's name in messages."""
    max_files: int
    """Largest number of files that is listed."""
    recursive: bool
    """Whether folders are listed, too."""
    final: Reason
    """Reason if the hub rejects a request for a cause that has no reason of its own."""
    access_advice: str
    """How to give a token, in the imperative."""


MODEL = RepositoryKind(
    type="model",
    label="",
    max_files=MAX_FILES,
    recursive=False,
    final=Reason.FETCH_FAILED,
    access_advice="give the MinerModel a token",
)


@dataclass(frozen=True)
class _HubErrors(HttpErrors):
    """Failures of requests about one revision of a repository."""

    repo: str
    """The repository as messages call it."""
    revision: str
    access_advice: str

    def check(self, response: Any, what: str) -> None:
        """Check that a file was served. Raises FetchError or TransientError if it was not."""
        status, code = response.status_code, response.headers.get("X-Error-Code")
        if status in _MISSING_STATUSES and code not in _MISSING_PARENT_CODES:
            raise self._not_served(str(status))
        with self.translated():
            hf_raise_for_status(response)

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Raise errors of huggingface_hub as FetchError or TransientError."""
        repo = self.repo
        try:
            yield
        except GatedRepoError:
            message = f"{repo} is gated: accept its terms with the account of the token, or {self.access_advice}"
            raise FetchError(Reason.ACCESS_DENIED, message) from None
        except DisabledRepoError:
            raise FetchError(Reason.ACCESS_DENIED, f"{repo} is disabled on the hub") from None
        except (RepositoryNotFoundError, HFValidationError):
            message = f"{repo} is not on the hub, or is private and the token does not open it"
            raise FetchError(Reason.REPOSITORY_NOT_FOUND, message) from None
        except RevisionNotFoundError:
            raise FetchError(Reason.REVISION_NOT_FOUND, f"{repo} has no revision {self.revision!r}") from None
        except EntryNotFoundError as error:
            raise self._not_served(first_line(str(error))) from error
        except HfHubHTTPError as error:
            raise self._rejected(error) from error
        except HTTPError as error:
            name = type(error).__name__
            raise self.transient(f"{name}: {first_line(str(error)) or name}") from error

    def _not_served(self, answer: str) -> TransientError:
        """Return the error for a listed file that is missing.

        It may be a passing trouble of the hub. If it stays, the uploader has removed the file and left it in the list.
        """
        message = f"the repository lists a file that it does not serve ({answer})"
        return TransientError(message, reason=Reason.REVISION_NOT_FOUND, advice="")

    def _rejected(self, error: Any) -> FetchError | TransientError:
        status = error.response.status_code if error.response is not None else 0
        if status in (401, 403):  # An address that a hub has signed may have expired.
            message = f"the hub refuses access to {self.repo} ({status}): check the token"
            return TransientError(message, reason=Reason.ACCESS_DENIED, advice="")
        if status == 429:
            message = f"the hub limits the number of requests ({status})"
            asked = _retry_after(error.response.headers)
            return TransientError(message, reason=Reason.HUB_RATE_LIMITED, advice="", retry_after=asked)
        if status in TRANSIENT_STATUSES or status == 0:
            retry_after = error.response.headers.get("Retry-After") if status else None
            return self.transient(f"the hub answers {status}", retry_after=retry_after)
        return self.refuse(f"{self.repo}: the hub answers {status}: {first_line(str(error))}")


def _retry_after(headers: Any) -> str | None:
    """Return what the hub asks to wait: Retry-After, or the end of its window by the header RateLimit."""
    if (header := headers.get("Retry-After")) is not None:
        return str(header)
    window = _WINDOW.search(headers.get("RateLimit", ""))
    return window[1] if window is not None else None


class HubRepository:
    """One revision of a repository on a hub."""

    def __init__(
        self,
        repo: str,
        revision: str,
        *,
        kind: RepositoryKind = MODEL,
        endpoint: str | None = None,
        token: str | None = None,
    ) -> None:
        """`endpoint` and `token` default to HF_ENDPOINT and HF_TOKEN; without a token requests are anonymous."""
        self._repo = repo
        self._revision = revision
        self._kind = kind
        self._token: str | bool = token or os.environ.get("HF_TOKEN") or False
        self._api = HfApi(endpoint=endpoint or os.environ.get("HF_ENDPOINT") or None, token=self._token)

    def resolve(self) -> Snapshot:
        """Return the commit of the revision, its files and its licence. Raises FetchError."""
        return retry(self._resolve, f"resolving {self._label}")

    def file(self, snapshot: Snapshot, name: str) -> HttpResource:
        """Return a file of a resolved revision."""
        url = hf_hub_url(
            self._repo, name, repo_type=self._kind.type, revision=snapshot.commit, endpoint=self._api.endpoint
        )
        return HttpResource(
            url,
            what=f"{name} of {self._label}",
            errors=self._errors(snapshot.commit),
            max_bytes=snapshot.files[name].size,
            headers=build_hf_headers(token=self._token),
        )

    def stream(self, snapshot: Snapshot, name: str, start: int, end: int) -> Iterator[bytes]:
        """Yield the bytes of a file from `start` up to, not including, `end`. Raises FetchError."""
        return self.file(snapshot, name).stream(start, end)

    def refuses_token(self) -> bool:
        """Whether the hub accepts the token for nothing; False without a token, and if the hub does not say."""
        return isinstance(self._token, str) and refuses_token(self._token, endpoint=self._api.endpoint)

    @property
    def _label(self) -> str:
        return f"{self._kind.label}{self._repo}"

    def _errors(self, revision: str) -> _HubErrors:
        return _HubErrors(
            final=self._kind.final,
            unavailable=Reason.HUB_UNAVAILABLE,
            advice=f"is the hub up and reachable? HF_ENDPOINT is {self._api.endpoint}",
            repo=self._label,
            revision=revision,
            access_advice=self._kind.access_advice,
        )

    def _resolve(self) -> Snapshot:
        kind = self._kind
        with self._errors(self._revision).translated():
            info: Any = self._api.repo_info(
                self._repo, revision=self._revision, repo_type=kind.type, timeout=TIMEOUT_SECONDS
            )
            entries = self._api.list_repo_tree(
                self._repo, revision=info.sha, recursive=kind.recursive, repo_type=kind.type
            )
            listed = list(islice(entries, kind.max_files + 1))
            if not kind.recursive:
                listed += self._in_folders(info.sha, listed)
        if len(listed) > kind.max_files:
            raise FetchError(Reason.TOO_LARGE, f"{self._label} has more than {kind.max_files} files")
        files = {
            entry.path: FileEntry(entry.size, entry.lfs.sha256 if entry.lfs else None)
            for entry in listed
            if hasattr(entry, "size")
        }
        return Snapshot(str(info.sha), files, _license(info))

    def _in_folders(self, commit: str, top: Sequence[Any]) -> list[Any]:
        """Return the entries of folders that matter, from those at the top of a commit.

        These are further chat templates; and, if the top has no weights, everything, so that it can be said where they
        are.
        """
        folders = [entry.path for entry in top if not hasattr(entry, "size")]
        searched: list[str | None] = []
        if folders and not weight_files(entry.path for entry in top):
            searched = [None]
        elif ADDITIONAL_TEMPLATES in folders:
            searched = [ADDITIONAL_TEMPLATES]
        known = {entry.path for entry in top}
        found = [
            entry
            for folder in searched
            for entry in islice(
                self._api.list_repo_tree(
                    self._repo, folder, revision=commit, recursive=folder is None, repo_type=self._kind.type
                ),
                self._kind.max_files,
            )
        ]
        return [entry for entry in found if entry.path not in known]


def refuses_token(token: str | None, *, endpoint: str | None = None) -> bool:
    """Whether the hub accepts the token for nothing; False without a token, and if the hub does not say."""
    if not token:
        return False
    try:
        HfApi(endpoint=endpoint or os.environ.get("HF_ENDPOINT") or None, token=token).whoami()
    except HfHubHTTPError as error:
        return error.response is not None and error.response.status_code == 401
    except (HTTPError, OSError, ValueError):
        return False
    return False


def _license(info: Any) -> str:
    named = [tag for tag in info.tags or [] if isinstance(tag, str) and tag.startswith("license:")]
    return normalize_license(named[0].removeprefix("license:")) if len(named) == 1 else ""
