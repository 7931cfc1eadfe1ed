"""A repository on a Hugging Face hub: resolved by huggingface_hub, read by HTTP ranges of the pinned commit.

Endpoint and token come from HF_ENDPOINT and HF_TOKEN, as for every hub client; a token file is never looked for.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
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
from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

from bitagent_crds.conditions import Reason
from bitagent_evaluator.hub.errors import FetchError, Transient
from bitagent_evaluator.hub.source import RemoteFile, Snapshot
from bitagent_evaluator.safety.license import normal
from bitagent_evaluator.safety.selection import MAX_FILES

_TIMEOUT_SECONDS = 30.0
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_MISSING = frozenset({404, 410, 416, 451})
"""Of a file that the repository lists: it is not there, or shorter than listed."""
_OTHER_REASONS = frozenset({"RepoNotFound", "RevisionNotFound"})
"""Error codes of a hub by which the file is missing because something larger is."""


class HubRepository:
    """One revision of a repository."""

    def __init__(self, repo: str, revision: str, *, endpoint: str | None = None) -> None:
        """`endpoint` is the hub's address; None: the one of the environment."""
        self._repo = repo
        self._revision = revision
        self._token: str | bool = os.environ.get("HF_TOKEN") or False
        self._api = HfApi(endpoint=endpoint, token=self._token)

    def resolve(self) -> Snapshot:
        """Commit, files and licence. Raises FetchError or Transient."""
        with self._faults(self._revision):
            info = self._api.model_info(self._repo, revision=self._revision, timeout=_TIMEOUT_SECONDS)
            entries = self._api.list_repo_tree(self._repo, revision=info.sha)
            listed = list(islice(entries, MAX_FILES + 1))
        if len(listed) > MAX_FILES:
            raise FetchError(Reason.TOO_LARGE, f"{self._repo} has more than {MAX_FILES} files")
        files = {
            entry.path: RemoteFile(entry.size, entry.lfs.sha256 if entry.lfs else None)
            for entry in listed
            if hasattr(entry, "size")
        }
        return Snapshot(str(info.sha), files, _license(info))

    def stream(self, snapshot: Snapshot, name: str, start: int, end: int) -> Iterator[bytes]:
        """Bytes of one file of the pinned commit. Raises FetchError or Transient."""
        if start >= end:
            return
        url = hf_hub_url(self._repo, name, revision=snapshot.commit, endpoint=self._api.endpoint)
        headers = {
            **build_hf_headers(token=self._token),
            "Range": f"bytes={start}-{end - 1}",
            "Accept-Encoding": "identity",
        }
        with (
            self._faults(snapshot.commit),
            get_session().stream(
                "GET", url, headers=headers, timeout=_TIMEOUT_SECONDS, follow_redirects=True
            ) as response,
        ):
            if response.status_code in _MISSING and response.headers.get("X-Error-Code") not in _OTHER_REASONS:
                raise self._unserved(f"{name} ({response.status_code})")
            hf_raise_for_status(response)
            skip = start if response.status_code == 200 else 0  # A server without ranges sends the whole file.
            left = end - start
            for piece in response.iter_bytes():
                kept = piece[skip:][:left]
                skip = max(0, skip - len(piece))
                left -= len(kept)
                if kept:
                    yield kept
                if left == 0:
                    return
        raise Transient(f"{name}: the connection closed {left} bytes early")

    @contextmanager
    def _faults(self, revision: str) -> Iterator[None]:
        repo = self._repo
        try:
            yield
        except GatedRepoError:
            message = f"{repo} is gated: accept its terms with the account of the token, or give the MinerModel a token"
            raise FetchError(Reason.ACCESS_DENIED, message) from None
        except DisabledRepoError:
            raise FetchError(Reason.ACCESS_DENIED, f"{repo} is disabled on the hub") from None
        except (RepositoryNotFoundError, HFValidationError):
            message = f"{repo} is not on the hub, or is private and the token does not open it"
            raise FetchError(Reason.REPOSITORY_NOT_FOUND, message) from None
        except RevisionNotFoundError:
            raise FetchError(Reason.REVISION_NOT_FOUND, f"{repo} has no revision {revision}") from None
        except EntryNotFoundError as error:
            raise self._unserved(_first_line(error)) from error
        except HfHubHTTPError as error:
            raise self._of_status(error) from error
        except HTTPError as error:
            raise Transient(f"{type(error).__name__}: {_first_line(error)}") from error

    def _unserved(self, what: str) -> Transient:
        """A miner can take a file away and leave it in the list. That the same miner's upload is at fault shows when it stays so."""
        return Transient(f"{self._repo} lists a file that it does not serve: {what}", Reason.REVISION_NOT_FOUND)

    def _of_status(self, error: Any) -> Exception:
        status = error.response.status_code if error.response is not None else 0
        if status in (401, 403):
            message = f"the hub refuses access to {self._repo} ({status}): check the token"
            return Transient(message, Reason.ACCESS_DENIED)  # An address that a hub has signed may have expired.
        if status in _PASSING or status == 0:
            return Transient(f"the hub answers {status}")
        return FetchError(Reason.FETCH_FAILED, f"{self._repo}: the hub answers {status}: {_first_line(error)}")


def _first_line(error: Exception) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)[:200]


def _license(info: Any) -> str:
    tag = next((tag for tag in info.tags or [] if isinstance(tag, str) and tag.startswith("license:")), "")
    return normal(tag.removeprefix("license:"))
