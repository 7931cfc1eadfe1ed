"""ArchiveJob: what it reports, and that every failure has its reason."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.conditions import Reason
from bitagent_crds.jobs import EXIT_INFRASTRUCTURE, EXIT_OK, ArchiveJob, exit_code
from bitagent_evaluator.archive.store import ArchiveStore
from bitagent_evaluator.jobs import archive as handler


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Any:
    """An archive in memory, whatever the document names."""
    from obstore.store import MemoryStore

    store = MemoryStore()
    monkeypatch.setattr(handler, "open_store", lambda job: ArchiveStore(store, place=job.uri))
    return store


@pytest.fixture
def job(tmp_path: Path) -> ArchiveJob:
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks/tasks.jsonl").write_text("one\n")
    return ArchiveJob(round="r", round_uid="u", round_dir=str(tmp_path), uri="s3://bucket/r")


def test_reports_the_index(memory: Any, job: ArchiveJob) -> None:
    summary = handler.handle(job)
    index = bytes(memory.get("index.json").bytes())
    assert (summary.reason, summary.files, summary.bytes) == (Reason.ARCHIVED, 1, 4)
    assert summary.digest == "sha256:" + hashlib.sha256(index).hexdigest()
    assert exit_code(Reason.ARCHIVED) == EXIT_OK


@pytest.mark.parametrize("published", [True, False])
def test_the_leaderboard_is_archived_if_there_is_one(
    memory: Any, job: ArchiveJob, tmp_path: Path, published: bool
) -> None:
    path = tmp_path / "leaderboard.json"
    if published:
        path.write_text("signed")
    with_one = job.model_copy(update={"leaderboard": str(path)})
    assert handler.handle(with_one).files == 1 + published
    if published:
        assert bytes(memory.get("leaderboard.json").bytes()) == b"signed"
    assert handler.handle(with_one).reason is Reason.ARCHIVED, "again"


def test_a_volume_without_the_rounds_files_is_no_archive(memory: Any, job: ArchiveJob) -> None:
    (Path(job.round_dir) / "results/k").mkdir(parents=True)
    expecting = job.model_copy(update={"expected": ["tasks/tasks.jsonl", "results/k"]})
    summary = handler.handle(expecting)
    assert (summary.reason, summary.complete, list(memory.list().collect())) == (
        Reason.INFRASTRUCTURE_FAULT, False, [],
    )  # fmt: skip
    (Path(job.round_dir) / "results/k/link").symlink_to("/etc/passwd")
    assert handler.handle(expecting).complete


def test_names_what_was_left_out(memory: Any, job: ArchiveJob) -> None:
    (Path(job.round_dir) / "tasks/link").symlink_to("/etc/passwd")
    assert "tasks/link" in handler.handle(job).message


def test_a_conflict_is_tried_again(memory: Any, job: ArchiveJob) -> None:
    memory.put("tasks/tasks.jsonl", b"other")
    summary = handler.handle(job)
    assert (summary.reason, summary.digest) == (Reason.ARCHIVE_CONFLICT, None)
    assert exit_code(Reason.ARCHIVE_CONFLICT) == EXIT_INFRASTRUCTURE
