"""Handler of FetchJob: fetch a model from the hub or a volume into the cache."""

from __future__ import annotations

import logging
from pathlib import Path

from bitagent_crds.conditions import Reason
from bitagent_crds.jobs import FetchJob, FetchSummary
from bitagent_evaluator.models.cache import ModelCache
from bitagent_evaluator.models.fetch import fetch
from bitagent_evaluator.models.source import ModelDirectory, ModelSource
from bitagent_evaluator.sandbox.process import SandboxUnavailable
from bitagent_evaluator.support.faults import FetchError
from bitagent_evaluator.support.progress import Pace

_log = logging.getLogger(__name__)


def _source(job: FetchJob) -> tuple[ModelSource, str]:
    """Return where to read from, and the two-part name of the model in the cache. Raises ValueError without either."""
    if job.directory is not None:
        return ModelDirectory(Path(job.directory), max_bytes=job.max_bytes), job.repo or "volume/local"
    if job.repo is None:
        raise ValueError("a FetchJob needs repo or directory")
    from bitagent_evaluator.models.hub import HubRepository

    return HubRepository(job.repo, job.revision), job.repo


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
        fetched = fetch(
            source,
            repo,
            ModelCache(Path(job.cache_dir)),
            max_bytes=job.max_bytes,
            cache_max_bytes=job.cache_max_bytes,
            room=job.room,
            advance=advance,
        )
    except FetchError as error:
        return FetchSummary(reason=error.reason, message=error.message)
    except SandboxUnavailable as error:
        return FetchSummary(reason=Reason.CRASHED, message=str(error))
    except OSError as error:
        message = f"writing to the model cache failed: {error}"
        return FetchSummary(reason=Reason.FETCH_FAILED, message=message)
    return FetchSummary(reason=fetched.reason, message=fetched.message, facts=fetched.facts)
