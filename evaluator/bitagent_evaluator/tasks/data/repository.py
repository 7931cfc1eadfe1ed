"""A dataset repository on a Hugging Face hub: its revision as a commit, its files, their content.

The address comes from HF_ENDPOINT, as for every hub client. Files are read by HTTP from the pinned commit; nothing is cached, and no code of a
repository runs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import yaml
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
from huggingface_hub.utils import build_hf_headers

from bitagent_evaluator.faults import InfrastructureFault
from bitagent_evaluator.hub.errors import FetchError, Transient
from bitagent_evaluator.hub.retries import retried
from bitagent_evaluator.tasks.data.web import PASSING, TIMEOUT_SECONDS, WebFile
from bitagent_evaluator.tasks.errors import TaskSetError

_README = "README.md"
_MAX_README_BYTES = 1 << 22
_MAX_FILES = 20_000
_MAX_FILE_BYTES = 1 << 36


@dataclass(frozen=True)
class HubFile:
    """One file of a pinned commit."""

    path: str
    size: int
    web: WebFile

    def stream(self) -> Iterator[bytes]:
        """All of it. Raises TaskSetError and InfrastructureFault."""
        return self.web.stream()

    def part(self, start: int, end: int) -> bytes:
        """A part of it. Raises TaskSetError and InfrastructureFault."""
        return self.web.part(start, end)


@dataclass(frozen=True)
class Revision:
    """What a revision means now."""

    commit: str
    files: dict[str, HubFile]

    def card(self) -> dict[str, Any]:
        """The YAML header of the README; empty where there is none, or none that can be read."""
        readme = self.files.get(_README)
        if readme is None or readme.size > _MAX_README_BYTES:
            return {}
        text = b"".join(readme.stream()).decode(errors="replace").replace("\r\n", "\n")
        parts = text.split("---\n", 2)
        if len(parts) < 3 or parts[0].strip():
            return {}
        try:
            card = yaml.safe_load(parts[1])
        except (yaml.YAMLError, ValueError, RecursionError):  # ValueError: such as the 13th month of a date
            return {}
        return card if isinstance(card, dict) else {}


class DatasetRepository:
    """One dataset."""

    def __init__(self, repo: str, *, token: str | None) -> None:
        self._repo = repo
        self._token: str | bool = token or False
        self._api = HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None, token=self._token)

    def at(self, revision: str) -> Revision:
        """The commit of a branch, tag or commit, and its files.

        Raises TaskSetError where there is no such thing or the token does not open it, InfrastructureFault where the hub does not answer.
        """
        try:
            return retried(lambda: self._at(revision), f"asking the hub for dataset {self._repo}")
        except FetchError as error:
            raise InfrastructureFault(error.reason, f"{error.message} HF_ENDPOINT is {self._api.endpoint}") from error

    def _at(self, revision: str) -> Revision:
        with self._faults(revision):
            info = self._api.dataset_info(self._repo, revision=revision, timeout=TIMEOUT_SECONDS)
            commit = str(info.sha)
            entries = self._api.list_repo_tree(self._repo, revision=commit, recursive=True, repo_type="dataset")
            listed = list(islice(entries, _MAX_FILES + 1))
        if len(listed) > _MAX_FILES:
            raise TaskSetError(f"dataset {self._repo} has more than {_MAX_FILES} files")
        return Revision(commit, {e.path: self._file(commit, e.path, e.size) for e in listed if hasattr(e, "size")})

    def _file(self, commit: str, path: str, size: int) -> HubFile:
        url = hf_hub_url(self._repo, path, repo_type="dataset", revision=commit, endpoint=self._api.endpoint)
        what = f"{path} of dataset {self._repo}"
        return HubFile(path, size, WebFile(url, build_hf_headers(token=self._token), what, max_bytes=_MAX_FILE_BYTES))

    @contextmanager
    def _faults(self, revision: str) -> Iterator[None]:
        repo = self._repo
        try:
            yield
        except GatedRepoError:
            raise TaskSetError(
                f"dataset {repo} is gated: accept its terms with the token's account, and name the token"
            ) from None
        except DisabledRepoError:
            raise TaskSetError(f"dataset {repo} is disabled on the hub") from None
        except (RepositoryNotFoundError, HFValidationError):
            raise TaskSetError(
                f"dataset {repo} is not on the hub, or is private and the token does not open it"
            ) from None
        except (RevisionNotFoundError, EntryNotFoundError):
            raise TaskSetError(f"dataset {repo} has no revision {revision!r}") from None
        except HfHubHTTPError as error:
            status = error.response.status_code if error.response is not None else 0
            if status in PASSING or status == 0:
                raise Transient(f"the hub answers {status}") from error
            raise TaskSetError(f"the hub refuses dataset {repo} ({status}): check the token") from error
        except HTTPError as error:
            raise Transient(f"{type(error).__name__}: {error}") from error
