"""Handler of RetentionJob: measure the artifact volume, and remove the files of rounds that are not kept."""

from __future__ import annotations

from pathlib import Path

from bitagent_crds.conditions import Reason
from bitagent_crds.jobs import RetentionJob, RetentionSummary
from bitagent_evaluator.archive.volume import FinishedRecord, free_bytes, read_record, remove, sweep, write_record


def handle(job: RetentionJob) -> RetentionSummary:
    """Do what the document says; every failure is tried again."""
    root = Path(job.rounds_dir)
    try:
        words = _act(job, root)
        free = free_bytes(root)
    except OSError as error:
        return RetentionSummary(reason=Reason.RETENTION_FAILED, message=f"{error.filename or root}: {error.strerror}")
    if words is None:
        text = f"{job.round_uid} has no record of an archive on the volume; its files stay"
        return RetentionSummary(reason=Reason.RETENTION_FAILED, message=text)
    reason = Reason.FILES_REMOVED if job.remove else Reason.FILES_KEPT
    return RetentionSummary(reason=reason, message=words, free_bytes=free)


def _act(job: RetentionJob, root: Path) -> str | None:
    """Record or remove the round's files, and those of rounds that do not exist; None if its own may not be removed."""
    if not job.remove:
        record = FinishedRecord(namespace=job.namespace, archive=job.archive, needs_archive=not job.tasks_only)
        write_record(root, job.round_uid, record)
    elif job.require_archive and not job.tasks_only and not _is_archived(root, job.round_uid):
        return None
    else:
        remove(root, job.round_uid)
    if job.known is None:
        return ""
    known = frozenset({*job.known, job.round_uid})
    swept = sweep(root, known=known, namespace=job.namespace, require_archive=job.require_archive)
    words = [f"removed the files of {swept.removed} rounds that do not exist any more"] if swept.removed else []
    if swept.unrecorded:
        words.append(
            f"folders that stay, of no round and without a record that allows their removal: {swept.unrecorded}"
        )
    return "; ".join(words)


def _is_archived(root: Path, uid: str) -> bool:
    """Whether the round's files are in an archive, or gone already."""
    record = read_record(root, uid)
    return not (root / uid).exists() or (record is not None and record.archive is not None)
