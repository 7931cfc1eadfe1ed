"""FetchJob: a model from the hub or a volume into the cache."""

from __future__ import annotations

import logging
from pathlib import Path

from bitagent_crds.conditions import Reason
from bitagent_crds.jobs import FetchJob, FetchSummary
from bitagent_evaluator.bounded.process import ChildLost
from bitagent_evaluator.hub.cache import ModelCache
from bitagent_evaluator.hub.errors import MODEL_FAULTS, FetchError
from bitagent_evaluator.hub.fetch import fetch
from bitagent_evaluator.hub.source import Source
from bitagent_evaluator.jobs.outcome import Outcome
from bitagent_evaluator.progress import Pace

_log = logging.getLogger(__name__)


def _source(job: FetchJob) -> tuple[Source, str]:
    """Where to read from, and the two-part name that the model gets in the cache."""
    if job.directory is not None:
        from bitagent_evaluator.hub.directory import ModelDirectory

        return ModelDirectory(Path(job.directory), max_bytes=job.max_bytes), job.repo or "volume/local"
    if job.repo is None:
        raise ValueError("a FetchJob needs repo or directory")
    from bitagent_evaluator.hub.huggingface import HubRepository

    return HubRepository(job.repo, job.revision), job.repo


def handle(job: FetchJob) -> Outcome:
    """Fetch; an unsafe or missing model is final, an unreachable hub or a full volume is not."""
    source, repo = _source(job)
    pace = Pace()

    def advance(done: int, total: int) -> None:
        if pace.due():
            _log.info("%s: %d of %d MiB", repo, done >> 20, total >> 20)

    try:
        fetched = fetch(
            source,
            repo,
            ModelCache(Path(job.cache_dir)),
            max_bytes=job.max_bytes,
            cache_max_bytes=job.cache_max_bytes,
            advance=advance,
        )
    except FetchError as error:
        return _outcome(FetchSummary(reason=error.reason, message=error.message))
    except ChildLost as error:
        return _outcome(FetchSummary(reason=Reason.INFRASTRUCTURE_FAULT, message=str(error)))
    except OSError as error:
        message = f"writing to the model cache failed: {error}"
        return _outcome(FetchSummary(reason=Reason.FETCH_FAILED, message=message))
    return _outcome(FetchSummary(reason=fetched.reason, message=fetched.message, facts=fetched.facts))


def _outcome(summary: FetchSummary) -> Outcome:
    if summary.reason is Reason.FETCHED:
        return Outcome.done(summary)
    return Outcome.final(summary) if summary.reason in MODEL_FAULTS else Outcome.infrastructure(summary)
