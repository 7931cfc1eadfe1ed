"""Bring a model into the cache; repeating it is cheap and safe.

resolve     the revision: one or two requests; a commit that is cached ends here
inspect     small files and weight headers only, by ranges
download    into a partial folder under a lock, resumed after a killed attempt, verified by size and SHA-256
weights     digest and sketch of their values, by which copies are found
audit       the chat template; findings are reported, and count if a prompt format uses the template
publish     by one rename
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from bitagent_crds.admission import Refusal, refuse
from bitagent_crds.conditions import Reason
from bitagent_crds.evalround import Admission
from bitagent_crds.jobs import CacheRoom
from bitagent_crds.minermodel import ModelFacts
from bitagent_crds.names import cached_model_path
from bitagent_evaluator.chat_templates.audit.findings import summary
from bitagent_evaluator.models.cache import CacheRecord, ModelCache
from bitagent_evaluator.models.digests import copies_embeddings, model_digest
from bitagent_evaluator.models.preflight import UnsafeModel, inspect_model, with_weights
from bitagent_evaluator.models.source import ModelSource, Snapshot
from bitagent_evaluator.models.validation.files import directory_files, fetched_files
from bitagent_evaluator.models.validation.template_audit import audit_files, audited_files
from bitagent_evaluator.support.faults import FetchError
from bitagent_evaluator.support.files import hash_pieces, read_pieces, sha256_of

_FILE_MODE, _FOLDER_MODE = 0o644, 0o755
_PARALLEL_FILES = 4


@dataclass(frozen=True)
class FetchResult:
    """The end of a fetch: the model is in the cache, waits for room in it, or is unsafe."""

    reason: Reason
    message: str
    facts: ModelFacts | None
    already_cached: bool = False


def fetch(
    source: ModelSource,
    repo: str,
    cache: ModelCache,
    *,
    max_bytes: int,
    cache_max_bytes: int,
    room: CacheRoom | None = None,
    verify: bool = False,
    facts_only: bool = False,
    admissions: Sequence[Admission] = (),
    advance: Callable[[int, int], None] = lambda done, total: None,
) -> FetchResult:
    """Bring a model into the cache under `cached_model_path(repo, commit)`.

    `max_bytes` bounds the model's files and `cache_max_bytes` the cache (0: unlimited); `room` says which models may be
    removed from it, besides those used longest ago. With `verify` a model that is there is hashed, and brought again if
    its bytes have changed; with `facts_only` it is checked by its headers and small files alone. A model that
    each of the `admissions` refuses is not brought. `advance` is called with the bytes on disk and the bytes in all. An
    unsafe model is a result, not an error, and so is a full cache.

    Raises FetchError, SandboxUnavailable, and OSError for a full or broken volume.
    """
    snapshot = source.resolve()
    where = cached_model_path(repo, snapshot.commit)
    found = _current(cache.find(where)) if not (verify or facts_only) else None
    if found is not None:
        return _result(found, already_cached=True)
    model = inspect_model(source, snapshot, max_bytes=max_bytes)
    if isinstance(model, UnsafeModel):
        return FetchResult(model.reason, model.message, model.facts)
    facts = model.facts
    # A head beside tied embeddings does not count if it equals them, which is seen in the files alone.
    refusal = None if model.head_beside_tied else _refused_by_all(admissions, facts)
    if refusal is not None:
        return FetchResult(refusal.reason, f"{refusal.message}; its files are not fetched", facts)
    if facts_only:
        return FetchResult(Reason.RESOLVED, f"{facts.size_bytes} bytes, {facts.architecture}: to be fetched", facts)
    with cache.lock(where):
        found = _current(cache.find(where))
        if found is not None and not (verify and cache.damaged(where, found)):
            return _result(found, already_cached=True)
        room = room or CacheRoom()
        largest = min(cache_max_bytes, room.share_bytes or cache_max_bytes)
        if facts.size_bytes > largest > 0:
            message = f"its {facts.size_bytes} bytes exceed the {largest} bytes of the cache that one hotkey may have"
            return FetchResult(Reason.TOO_LARGE, message, facts)
        full = cache.make_room(facts.size_bytes, cache_max_bytes, keep=where, room=room)
        if full:
            message = f"its {facts.size_bytes} bytes do not fit into {full}, beside models that are or were just in use"
            return FetchResult(Reason.CACHE_FULL, message, None)
        folder = cache.partial(where)
        _download_all(source, snapshot, folder, facts, advance)
        copied_head = model.head_beside_tied and copies_embeddings(folder)
        record = CacheRecord(
            facts=with_weights(facts, folder, copied_head=copied_head),
            files={name: snapshot.files[name].size for name in fetched_files(snapshot.files)},
            template_refusal=_template_refusal(folder),
        )
        cache.publish(where, record)
    return _result(record, already_cached=False)


def _refused_by_all(admissions: Sequence[Admission], facts: ModelFacts) -> Refusal | None:
    """Return the first refusal if all of the rules refuse the model; None if one does not, or if there are none."""
    refusals = [refuse(rules, facts) for rules in admissions]
    return refusals[0] if refusals and all(refusals) else None


def _current(record: CacheRecord | None) -> CacheRecord | None:
    """Return the record unless an earlier version made it, with facts that mean something else."""
    return record if record is not None and record.facts.model_digest is not None else None


def download(
    source: ModelSource, snapshot: Snapshot, name: str, folder: Path, *, advance: Callable[[int], None] = lambda _: None
) -> str:
    """Download one file to `folder / name` and return its hex SHA-256; `advance` is called with bytes as they arrive.

    The partial file's name follows from `name`, so that the next attempt continues a killed one. Raises FetchError.
    """
    file = snapshot.files[name]
    target, partial = folder / name, folder / f"{name}.part"
    if target.parent != folder:
        target.parent.mkdir(exist_ok=True)
        target.parent.chmod(_FOLDER_MODE)
    if target.exists() and target.stat().st_size == file.size:
        advance(file.size)
        return sha256_of(read_pieces(target))
    advance(partial.stat().st_size if partial.exists() else 0)
    arrived = set()
    for _ in range(2):
        digest = _complete(source, snapshot, name, partial, advance)
        if file.sha256 in (None, digest):
            partial.rename(target)
            return digest
        partial.unlink()
        arrived.add(digest)
    # Errors of the transfer differ from one attempt to the next; the same wrong bytes twice are what was uploaded.
    reason = Reason.CORRUPT_WEIGHTS if len(arrived) == 1 else Reason.FETCH_FAILED
    raise FetchError(
        reason,
        f"{name} arrived twice, with SHA-256 {' and '.join(sorted(arrived))}; the repository states {file.sha256}",
    )


def _complete(source: ModelSource, snapshot: Snapshot, name: str, partial: Path, advance: Callable[[int], None]) -> str:
    """Append what the partial file lacks, sync it, and return the hex SHA-256 of the whole."""
    size = snapshot.files[name].size
    have = partial.stat().st_size if partial.exists() else 0
    if have > size:
        partial.unlink()
        have = 0
    digest = hash_pieces(read_pieces(partial) if have else ())
    with partial.open("ab") as sink:
        os.fchmod(sink.fileno(), _FILE_MODE)
        for piece in source.stream(snapshot, name, have, size):
            sink.write(piece)
            digest.update(piece)
            have += len(piece)
            advance(len(piece))
        sink.flush()
        os.fsync(sink.fileno())
    if have != size:
        raise FetchError(Reason.FETCH_FAILED, f"downloading {name}: {have} of {size} bytes arrived")
    return digest.hexdigest()


def _download_all(
    source: ModelSource, snapshot: Snapshot, folder: Path, facts: ModelFacts, advance: Callable[[int, int], None]
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
    arrived = model_digest(digests)
    if arrived != facts.model_digest:
        raise FetchError(Reason.FILES_CHANGED, f"the files changed between inspection and download: now {arrived}")


def _template_refusal(folder: Path) -> str:
    """Return why the template is refused; empty if it is not.

    A refused template does not prevent a fetch: the round decides on the prompt format, and some formats use none.
    """
    return summary(audit_files({name: (folder / name).read_bytes() for name in audited_files(directory_files(folder))}))


def _result(record: CacheRecord, *, already_cached: bool) -> FetchResult:
    facts = record.facts
    verb = "was in the cache already" if already_cached else "is in the cache"
    warning = (
        f". Formats that use its template will refuse it: {record.template_refusal}" if record.template_refusal else ""
    )
    message = f"{facts.size_bytes} bytes, {facts.architecture}: {verb}{warning}"
    return FetchResult(Reason.FETCHED, message, facts, already_cached)
