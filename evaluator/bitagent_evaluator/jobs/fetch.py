"""Handler of FetchJob: fetch a model from the hub or a volume into the cache."""

from __future__ import annotations

import errno
import logging
import math
from pathlib import Path
from typing import Protocol, runtime_checkable

from bitagent_crds.conditions import Reason
from bitagent_crds.jobs import FetchJob, FetchSummary
from bitagent_crds.names import cached_model_path
from bitagent_evaluator.models.cache import ModelCache
from bitagent_evaluator.models.commitment import mismatch
from bitagent_evaluator.models.fetch import fetch
from bitagent_evaluator.models.source import ModelDirectory, ModelSource
from bitagent_evaluator.sandbox.process import SandboxUnavailable
from bitagent_evaluator.support.faults import FetchError
from bitagent_evaluator.support.progress import Pace

_log = logging.getLogger(__name__)

_DENIED = frozenset({Reason.ACCESS_DENIED, Reason.REPOSITORY_NOT_FOUND})
"""What a hub answers to a token that it does not know, as if the repository were the cause."""


@runtime_checkable
class HubClient(Protocol):
    """A source that knows whether its token is good."""

    def refuses_token(self) -> bool:
        """Whether the hub accepts the token for nothing."""
        ...


def _source(job: FetchJob) -> tuple[ModelSource, str]:
    """Return where to read from, and the two-part name of the model in the cache. Raises ValueError without either."""
    if job.directory is not None:
        return ModelDirectory(Path(job.directory), max_bytes=job.max_bytes), job.repo or "volume/local"
    if job.repo is None:
        raise ValueError("a FetchJob needs repo or directory")
    from bitagent_evaluator.models.hub import HubRepository

    return HubRepository(job.repo, job.revision), job.repo


def _failure(error: FetchError, source: ModelSource, *, operator_token: bool) -> FetchSummary:
    """Return the summary of a fetch that failed. A token that the hub does not accept at all is named as the cause."""
    reason, message = error.reason, error.message
    if reason in _DENIED and isinstance(source, HubClient) and source.refuses_token():
        whose = "the operator" if operator_token else "the MinerModel"
        reason = Reason.HUB_TOKEN_REJECTED if operator_token else Reason.ACCESS_DENIED
        message = f"the hub does not accept the token of {whose}, whatever the repository: replace it ({message})"
    seconds = math.ceil(error.retry_after) if error.retry_after is not None else None
    return FetchSummary(reason=reason, message=message, retry_after_seconds=seconds)


def handle(job: FetchJob) -> FetchSummary:
    """Fetch the model, or only resolve its revision.

    An unsafe or missing model is final, an unreachable hub or a full volume is not; a full cache is a result.
    """
    source, repo = _source(job)
    pace = Pace()

    def advance(done: int, total: int) -> None:
        if pace.due():
            _log.info("%s: %d of %d MiB", repo, done >> 20, total >> 20)

    try:
        if job.resolve_only:
            commit = source.resolve().commit
            return FetchSummary(reason=Reason.RESOLVED, message=f"commit {commit}", commit=commit)
        cache = ModelCache(Path(job.cache_dir))
        fetched = fetch(
            source,
            repo,
            cache,
            max_bytes=job.max_bytes,
            cache_max_bytes=job.cache_max_bytes,
            room=job.room,
            verify=job.verify,
            facts_only=bool(job.facts_only),
            admissions=job.admissions or (),
            advance=advance,
        )
        if fetched.reason is Reason.FETCHED and job.commitment is not None:
            snapshot = source.resolve()
            folder = Path(job.cache_dir) / cached_model_path(repo, snapshot.commit)
            if problem := mismatch(source, snapshot, folder, job.commitment):
                return FetchSummary(reason=Reason.COMMITMENT_MISMATCH, message=problem, facts=fetched.facts)
    except FetchError as error:
        return _failure(error, source, operator_token=job.operator_token)
    except SandboxUnavailable as error:
        return FetchSummary(reason=Reason.CRASHED, message=str(error))
    except OSError as error:
        message = f"writing to the model cache failed: {error}"
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        return FetchSummary(reason=Reason.VOLUME_FULL if full else Reason.FETCH_FAILED, message=message)
    return FetchSummary(
        reason=fetched.reason,
        message=fetched.message,
        facts=fetched.facts,
        evicted_models=cache.evicted_models or None,
        evicted_bytes=cache.evicted_bytes or None,
    )
