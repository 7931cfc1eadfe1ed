"""RetentionJob: what it records, removes and reports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.conditions import Reason
from bitagent_crds.jobs import EXIT_INFRASTRUCTURE, EXIT_OK, RetentionJob, RetentionSummary, exit_code
from bitagent_evaluator.archive.volume import FinishedRecord, read_record, write_record
from bitagent_evaluator.jobs.retention import handle

DIGEST = "sha256:" + "d" * 64


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "u/tasks").mkdir(parents=True)
    (tmp_path / "u/tasks/tasks.jsonl").write_text("x")
    return tmp_path


def run(root: Path, **more: Any) -> RetentionSummary:
    return handle(RetentionJob.model_validate({"roundsDir": str(root), "roundUid": "u", "namespace": "ns"} | more))


def test_records_and_measures(root: Path) -> None:
    summary = run(root, archive=DIGEST)
    assert (summary.reason, exit_code(Reason.FILES_KEPT)) == (Reason.FILES_KEPT, EXIT_OK)
    assert summary.free_bytes
    assert read_record(root, "u") == FinishedRecord(namespace="ns", archive=DIGEST)
    assert (root / "u/tasks/tasks.jsonl").exists()


def test_removes_the_rounds_files(root: Path) -> None:
    summary = run(root, remove=True)
    assert (summary.reason, (root / "u").exists()) == (Reason.FILES_REMOVED, False)
    assert summary.free_bytes


@pytest.mark.parametrize("archived", [True, False], ids=["archived", "not archived"])
def test_removes_nothing_that_is_not_archived_where_there_is_an_archive(root: Path, archived: bool) -> None:
    write_record(root, "u", FinishedRecord(namespace="ns", archive=DIGEST if archived else None))
    summary = run(root, remove=True, requireArchive=True)
    assert (root / "u").exists() is not archived
    assert summary.reason is (Reason.FILES_REMOVED if archived else Reason.RETENTION_FAILED)
    assert exit_code(Reason.RETENTION_FAILED) == EXIT_INFRASTRUCTURE


def test_a_task_set_alone_is_removed_without_an_archive(root: Path) -> None:
    run(root, tasksOnly=True)
    assert read_record(root, "u") == FinishedRecord(namespace="ns", needs_archive=False)
    assert run(root, remove=True, requireArchive=True, tasksOnly=True).reason is Reason.FILES_REMOVED
    assert not (root / "u").exists()


def test_a_removal_is_repeated(root: Path) -> None:
    write_record(root, "u", FinishedRecord(namespace="ns", archive=DIGEST))
    for _ in range(2):
        assert run(root, remove=True, requireArchive=True).reason is Reason.FILES_REMOVED


def test_names_folders_that_no_record_allows_to_remove(root: Path) -> None:
    (root / "gone").mkdir()
    assert "allows their removal: 1" in run(root, known=[]).message
    assert run(root).message == ""
    assert (root / "gone").exists()
    assert (root / "u").exists()


def test_a_volume_that_is_not_there(tmp_path: Path) -> None:
    summary = run(tmp_path / "missing", known=[])
    assert (summary.reason, summary.free_bytes) == (Reason.RETENTION_FAILED, None)
