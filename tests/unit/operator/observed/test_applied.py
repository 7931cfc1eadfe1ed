"""When an object is applied or read again, and when the Events of a pod are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bitagent_operator.observed.applied import Memory, MountFailures, next_step, state_of, still_current

if TYPE_CHECKING:
    from bitagent_kube.objects import Obj

NOW = datetime(2026, 1, 1, tzinfo=UTC)
EVERY = timedelta(seconds=100)


def thing(**changes: Any) -> Obj:
    metadata = {"name": "a", "uid": "1", "generation": 1, "labels": {"x": "y"}, "resourceVersion": "5"}
    metadata |= changes.pop("metadata", {})
    return {"kind": "Deployment", "metadata": metadata, "spec": {"replicas": 1}} | changes


def meta_of(obj: Obj) -> Any:
    from bitagent_kube.objects import ObjectMeta

    return ObjectMeta.parse(obj)


@pytest.mark.parametrize(
    ("case", "step"),
    [
        pytest.param({"known": False}, "Apply", id="a new process"),
        pytest.param({"desired": {"spec": {"replicas": 2}}}, "Apply", id="another spec is desired"),
        pytest.param({}, "Nothing", id="nothing is new"),
        pytest.param({"observed": {"metadata": {"resourceVersion": "9"}, "status": {"x": 1}}}, "Nothing", id="status"),
        pytest.param({"observed": {"metadata": {"generation": 2}}}, "Apply", id="somebody changed it"),
        pytest.param({"observed": {"metadata": {"uid": "2"}}}, "Apply", id="somebody made it again"),
        pytest.param({"observed": None}, "Apply", id="deleted"),
        pytest.param({"observed": None, "watched": False}, "Nothing", id="not watched"),
        pytest.param({"later": 100}, "Read", id="read after a while"),
        pytest.param({"later": 100, "watched": False}, "Read", id="not watched, read after a while"),
        pytest.param({"later": 99}, "Nothing", id="not yet"),
    ],
)
def test_next_step(case: dict[str, Any], step: str) -> None:
    memory, desired = Memory(), thing()
    if case.get("known", True):
        memory.record("v", desired, thing(), now=NOW)
    observed = case.get("observed", {})
    found = next_step(
        thing(**case.get("desired", {})),
        memory.known("v", desired),
        watched=case.get("watched", True),
        observed=None if observed is None else meta_of(thing(**observed)),
        now=NOW + timedelta(seconds=case.get("later", 0)),
        every=EVERY,
    )
    assert found == step


@pytest.mark.parametrize(
    ("change", "same"),
    [
        pytest.param({"status": {"replicas": 1}}, True, id="status"),
        pytest.param({"metadata": {"annotations": {"deployment.kubernetes.io/revision": "1"}}}, True, id="annotation"),
        pytest.param({"metadata": {"managedFields": [{}], "resourceVersion": "6"}}, True, id="bookkeeping"),
        pytest.param({"metadata": {"labels": {}}}, False, id="labels"),
        pytest.param({"metadata": {"ownerReferences": []}}, False, id="owner"),
        pytest.param({"spec": {"replicas": 1, "paused": True}}, False, id="spec"),
        pytest.param({"rules": []}, False, id="rules"),
    ],
)
def test_what_counts_as_changed(change: dict[str, Any], same: bool) -> None:
    assert (state_of(thing(**change)) == state_of(thing())) is same


def test_a_validator_that_is_gone_is_forgotten() -> None:
    memory = Memory()
    memory.record("v", thing(), thing(), now=NOW)
    memory.mounts["v"] = MountFailures("p", NOW, ())
    memory.forget("v")
    assert memory.known("v", thing()) is None
    assert memory.mounts == {}


@pytest.mark.parametrize(
    ("age", "later", "pod", "current"),
    [
        pytest.param(5, 4, "p", True, id="just read"),
        pytest.param(5, 5, "p", False, id="young pod"),
        pytest.param(60, 59, "p", True, id="as long as it was old"),
        pytest.param(60, 60, "p", False, id="older pod"),
        pytest.param(86_400, 300, "p", False, id="at most five minutes"),
        pytest.param(60, 1, "q", False, id="another pod"),
    ],
)
def test_events_are_read_after_longer_and_longer_pauses(age: float, later: float, pod: str, current: bool) -> None:
    read = MountFailures("p", NOW, ("missing",))
    created, now = NOW - timedelta(seconds=age), NOW + timedelta(seconds=later)
    assert still_current(read, pod=pod, created=created, now=now) is current
