"""Handler of ArchiveJob: write the files of a finished round to S3-compatible storage."""

from __future__ import annotations

from pathlib import Path

from bitagent_crds.conditions import Reason
from bitagent_crds.jobs import ArchiveJob, ArchiveSummary
from bitagent_evaluator.archive.store import open_store
from bitagent_evaluator.archive.upload import archive
from bitagent_evaluator.support.faults import InfrastructureFault


def handle(job: ArchiveJob) -> ArchiveSummary:
    """Archive the round; every failure is tried again."""
    try:
        index = archive(
            open_store(job),
            Path(job.round_dir),
            name=job.round,
            uid=job.round_uid,
            expected=job.expected,
            leaderboard=_leaderboard(job.leaderboard),
        )
    except InfrastructureFault as fault:
        return ArchiveSummary(reason=fault.reason, message=fault.message)
    size = sum(file.bytes for file in index.files)
    return ArchiveSummary(
        reason=Reason.ARCHIVED,
        message=_left_out(index.left_out),
        digest=index.digest,
        files=len(index.files),
        bytes=size,
    )


def _leaderboard(path: str | None) -> bytes | None:
    """Return the signed leaderboard; None if none is published."""
    return Path(path).read_bytes() if path is not None and Path(path).exists() else None


def _left_out(paths: list[str]) -> str:
    if not paths:
        return ""
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return f"left out, because it is not a plain file: {paths[0]}{more}"
