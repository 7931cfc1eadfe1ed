"""The retention Job: the folders of all rounds, and what its document allows it to remove."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.jobs import ANY_JOB, JOB_ANNOTATION, RetentionJob
from bitagent_crds.names import COMPONENT_LABEL
from bitagent_operator import naming
from bitagent_operator.manifests.retention import MAX_KNOWN, retention_job
from bitagent_operator.plan.interface import StartRetention

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make

Obj = dict[str, Any]
DIGEST = "sha256:" + "d" * 64


def made(
    make: Make, key: str = naming.SWEEP_KEY, known: tuple[str, ...] = ("u",), *, tasks_only: bool = False, **config: Any
) -> Obj:
    archive = {"uri": "s3://bucket/x", "digest": DIGEST, "at": "2026-01-01T00:02:00Z"}
    observed = make.round(tasksOnly=tasks_only, status={"finishedAt": "2026-01-01T00:01:40Z", "archive": archive})
    return retention_job(make.config(**config), observed, StartRetention(key, 2), known)


def document(job: Obj) -> RetentionJob:
    parsed = ANY_JOB.validate_json(job["spec"]["template"]["metadata"]["annotations"][JOB_ANNOTATION])
    assert isinstance(parsed, RetentionJob)
    return parsed


@pytest.mark.parametrize(("key", "remove"), [(naming.SWEEP_KEY, False), (naming.REMOVE_KEY, True)])
def test_what_it_does(make: Make, key: str, remove: bool) -> None:
    job = made(make, key)
    written = document(job)
    assert (written.remove, written.round_uid, written.namespace, written.archive) == (remove, "uid-r", "ns", DIGEST)
    assert job["metadata"]["name"] == f"r-{key}-2"
    assert job["metadata"]["labels"][COMPONENT_LABEL] == "retention"


def test_with_an_archive_only_what_it_holds_is_removed(make: Make) -> None:
    assert document(made(make)).require_archive is False
    assert document(made(make, archive={"url": "s3://bucket/x", "secretName": "s"})).require_archive is True


@pytest.mark.parametrize("tasks_only", [False, True])
def test_a_task_set_alone_needs_no_archive(make: Make, tasks_only: bool) -> None:
    assert document(made(make, tasks_only=tasks_only)).tasks_only is tasks_only


def test_more_rounds_than_a_document_holds_are_not_swept(make: Make) -> None:
    assert document(made(make, known=("b", "a"))).known == ["a", "b"]
    assert document(made(make, known=tuple(map(str, range(MAX_KNOWN + 1))))).known is None
    longest = made(make, known=tuple(f"{n:036d}" for n in range(MAX_KNOWN)))
    assert len(longest["spec"]["template"]["metadata"]["annotations"][JOB_ANNOTATION]) < 200 * 1024


def test_it_sees_the_rounds_alone(make: Make) -> None:
    mounts = made(make)["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]
    assert {"name": "artifacts", "mountPath": "/rounds", "subPath": "rounds"} in mounts


def test_waiting_does_not_count_in_its_time(make: Make) -> None:
    spec = made(make)["spec"]
    assert (spec["template"]["spec"]["activeDeadlineSeconds"], "activeDeadlineSeconds" in spec) == (3600, False)
    assert spec["podFailurePolicy"]["rules"][0]["action"] == "Count", "nothing else bounds how often it is removed"
