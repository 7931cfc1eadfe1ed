"""Resolve, judge, download, publish: the whole way of one model into the cache. Repeating it is cheap and safe.

resolve the revision     one or two requests; a commit that is cached ends here
judge                    small files and weight headers only, by ranges
download                 into a partial folder under a lock; what a killed attempt left is continued
audit                    the chat template; what is found is told, and counts when a prompt format uses the template
publish                  one rename
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from bitagent_crds.conditions import Reason
from bitagent_crds.layout import cached_model
from bitagent_crds.minermodel import ModelFacts
from bitagent_evaluator.hub.cache import CacheRecord, ModelCache
from bitagent_evaluator.hub.download import download
from bitagent_evaluator.hub.errors import FetchError
from bitagent_evaluator.hub.examination import Unsafe, examine
from bitagent_evaluator.hub.retries import retried
from bitagent_evaluator.hub.source import Snapshot, Source, digest_of_files
from bitagent_evaluator.safety.audit.finding import summary
from bitagent_evaluator.safety.audit.inspect import FILES, audit_files
from bitagent_evaluator.safety.selection import fetched_files, weight_files

_PARALLEL_FILES = 4


@dataclass(frozen=True)
class Fetched:
    """Outcome of a fetch."""

    reason: Reason
    message: str
    facts: ModelFacts | None
    already_cached: bool = False


def fetch(
    source: Source,
    repo: str,
    cache: ModelCache,
    *,
    max_bytes: int,
    cache_max_bytes: int,
    advance: Callable[[int, int], None] = lambda done, total: None,
) -> Fetched:
    """Bring a model into the cache as `layout.cached_model(repo, commit)`. `advance` is told bytes done and in all.

    An unsafe model is an outcome, not an error. Raises FetchError, bounded.ChildLost and OSError (a full or broken volume).
    """
    snapshot = retried(source.resolve, f"resolving {repo}")
    where = cached_model(repo, snapshot.commit)
    found = cache.find(where)
    if found is not None:
        return _done(found, already_cached=True)
    facts = examine(source, snapshot, max_bytes=max_bytes)
    if isinstance(facts, Unsafe):
        return Fetched(facts.reason, facts.message, facts.facts)
    with cache.lock(where):
        found = cache.find(where)
        if found is not None:
            return _done(found, already_cached=True)
        if not cache.make_room(facts.size_bytes, cache_max_bytes, keep=where):
            message = f"{facts.size_bytes} bytes do not fit into the model cache of {cache_max_bytes} bytes beside models used within the hour"
            raise FetchError(Reason.FETCH_FAILED, message)
        folder = cache.partial(where)
        _download(source, snapshot, folder, facts, advance)
        record = CacheRecord(
            facts=facts,
            files={name: snapshot.files[name].size for name in fetched_files(snapshot.files)},
            template_refusal=_template_refusal(folder),
        )
        cache.publish(where, record)
    return _done(record, already_cached=False)


def _done(record: CacheRecord, *, already_cached: bool) -> Fetched:
    facts = record.facts
    verb = "was in the cache already" if already_cached else "is in the cache"
    warning = (
        f". Formats that use its template will refuse it: {record.template_refusal}" if record.template_refusal else ""
    )
    message = f"{facts.size_bytes} bytes, {facts.architecture}: {verb}{warning}"
    return Fetched(Reason.FETCHED, message, facts, already_cached)


def _template_refusal(folder: Path) -> str:
    """A template is no reason not to fetch a model: the round decides on the format, and some formats use none."""
    return summary(audit_files({name: (folder / name).read_bytes() for name in FILES if (folder / name).exists()}))


def _download(
    source: Source, snapshot: Snapshot, folder: Path, facts: ModelFacts, advance: Callable[[int, int], None]
) -> None:
    done = 0

    def count(size: int) -> None:
        nonlocal done
        done += size
        advance(done, facts.size_bytes)

    names = fetched_files(snapshot.files)
    with ThreadPoolExecutor(_PARALLEL_FILES, thread_name_prefix="download") as pool:
        jobs = {name: pool.submit(download, source, snapshot, name, folder, advance=count) for name in names}
        digests = {name: job.result() for name, job in jobs.items()}
    weights = digest_of_files({name: digests[name] for name in weight_files(digests)})
    if weights != facts.weights_digest:
        raise FetchError(Reason.FETCH_FAILED, f"the weights changed between judging and downloading: now {weights}")
