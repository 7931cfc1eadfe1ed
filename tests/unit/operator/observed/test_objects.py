"""Observed objects: what is read of them, and validated copies of specs and statuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.model_result import ModelResult, ResultState
from bitagent_operator.observed.objects import ValidatorObject, changed
from bitagent_operator.observed.workloads import DeploymentObject, JobObject, PodObject

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make

RESULT = ModelResult(model="a", score="0.500000")


def test_a_changed_copy_has_the_other_fields_too() -> None:
    copy = changed(RESULT, state=ResultState.SUCCEEDED)
    assert (copy.model, copy.score, copy.state) == ("a", "0.500000", ResultState.SUCCEEDED)
    assert RESULT.state == ResultState.PENDING


def test_a_copy_is_made_only_for_a_change() -> None:
    assert changed(RESULT, state=ResultState.PENDING, score="0.500000") is RESULT


@pytest.mark.parametrize("changes", [{"score": "a half"}, {"message": "x" * 513}], ids=str)
def test_a_changed_copy_is_validated(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(changes))):
        changed(RESULT, **changes)


def test_conditions_of_a_newer_validator_are_kept(make: Make) -> None:
    conditions = [make.condition("Deployed", "True", "DeploymentAvailable"), make.condition("New", "True", "New")]
    validator: ValidatorObject = make.validator(conditions=conditions)
    assert [c.type for c in validator.conditions] == ["Deployed", "New"]


@pytest.mark.parametrize(
    ("meta", "series", "by_round", "deletion"),
    [
        pytest.param({}, 0, False, None, id="the first series"),
        pytest.param({"labels": {"bitagent.io/series": "2"}}, 2, False, None, id="a later one"),
        pytest.param({"annotations": {"bitagent.io/suspended-by-round": "true"}}, 0, True, None, id="suspended by us"),
        pytest.param({"deletionTimestamp": "2026-01-01T00:00:09Z"}, 0, False, 9, id="being deleted"),
    ],
)
def test_what_is_read_of_a_jobs_metadata(
    make: Make, meta: dict[str, Any], series: int, by_round: bool, deletion: float | None
) -> None:
    job = JobObject.parse({"metadata": make.meta("j", **meta), "spec": {"suspend": True}})
    due = None if deletion is None else make.at(deletion)
    assert (job.series, job.suspended_by_round, job.meta.deletion) == (series, by_round, due)
    assert job.meta.deleting == (deletion is not None)


@pytest.mark.parametrize(
    "labels",
    [
        pytest.param({"bitagent.io/attempt": "x", "bitagent.io/key": "k"}, id="changed"),
        pytest.param({"bitagent.io/attempt": "2", "bitagent.io/key": "other"}, id="of another work"),
        pytest.param({}, id="removed"),
    ],
)
def test_a_job_whose_labels_somebody_changes_stays_what_it_is(make: Make, labels: dict[str, str]) -> None:
    """Its round could not be planned otherwise, or would take it for another one's. Those of its pods are immutable."""
    ours = {"bitagent.io/attempt": "2", "bitagent.io/key": "k", "pack.bitagent.io/k": "0"}
    spec = {"template": {"metadata": {"labels": ours}, "spec": {"activeDeadlineSeconds": 60}}}
    job = JobObject.parse({"metadata": make.meta("j", labels=labels | {"mine": "1"}), "spec": spec})
    assert (job.attempt, job.key, job.members, job.attempt_seconds) == (2, "k", ("k",), 60)
    assert job.meta.labels["mine"] == "1"


@pytest.mark.parametrize(
    ("status", "current"),
    [
        pytest.param({"observedGeneration": 1, "updatedReplicas": 1}, True, id="rolled out"),
        pytest.param({"observedGeneration": 0, "updatedReplicas": 1}, False, id="of an older spec"),
        pytest.param({"observedGeneration": 1, "updatedReplicas": 0}, False, id="not updated yet"),
        pytest.param(None, False, id="never written"),
    ],
)
def test_a_deployment_is_current(make: Make, status: dict[str, int] | None, current: bool) -> None:
    raw = {"metadata": make.meta("d"), "spec": {"replicas": 1}, "status": status}
    assert DeploymentObject.parse(raw).current is current


def test_a_pod_has_the_time_of_its_binding_and_the_place_of_its_progress(make: Make) -> None:
    bound = {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-01T00:00:07Z"}
    raw = {
        "metadata": make.meta("p", labels={}),
        "spec": {"containers": [{"ports": [{"containerPort": 1}, {"name": "progress", "containerPort": 8081}]}]},
        "status": {"podIP": "10.0.0.9", "conditions": [bound]},
    }
    pod = PodObject.parse(raw)
    assert (pod.scheduled, pod.address, pod.progress_port) == (make.at(7), "10.0.0.9", 8081)
    bound |= {"status": "False"}
    early = PodObject.parse(raw | {"spec": {}, "status": {"conditions": [bound]}})
    assert (early.scheduled, early.address, early.progress_port) == (None, "", None)


@pytest.mark.parametrize(
    ("hours", "late", "since"),
    [
        pytest.param(0, 1, 51, id="a node's clock that is right"),
        pytest.param(0, 90, 140, id="a node that took the pod late"),
        pytest.param(0, 400, 450, id="one that was restarted before it did"),
        pytest.param(5, 1, 50, id="a clock that is ahead"),
        pytest.param(-5, 1, 50, id="a clock that is behind"),
        pytest.param(24 * 365, 0, 50, id="a clock of another year"),
    ],
)
def test_times_of_a_node_are_by_the_servers_clock(make: Make, hours: int, late: int, since: int) -> None:
    """Its pods say when they began and ended, and what follows at which time is decided by the API server's clock."""

    def by_node(at: float) -> str:
        return make.at(at + 3600 * hours).isoformat()

    bound = {"type": "PodScheduled", "status": "True", "lastTransitionTime": make.at(50).isoformat()}
    state = {"terminated": {"exitCode": 0, "startedAt": by_node(50 + late), "finishedAt": by_node(950 + late)}}
    status = {"conditions": [bound], "startTime": by_node(50 + late), "containerStatuses": [{"state": state}]}
    pod = make.pod(make.evaluation("k"), status=status)
    assert pod.terminated is not None
    assert (pod.started, pod.terminated.finished) == (make.at(since), make.at(since + 900))
    running = status | {"containerStatuses": [{"state": {"running": {"startedAt": by_node(50 + late)}}}]}
    assert make.pod(make.evaluation("k"), status=running).started == make.at(since)
