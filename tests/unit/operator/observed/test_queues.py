"""Kueue's objects as they are read, and which Jobs a change of them concerns."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.names import QUEUE_LABEL
from bitagent_operator.observed.cache import Cache, Key, Kind
from bitagent_operator.observed.queues import LocalQueue, QueueState, Workload

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make

META: dict[str, Any] = {"name": "x", "uid": "u", "resourceVersion": "1"}


def condition(kind: str, status: str = "True", **more: str) -> dict[str, str]:
    return {"type": kind, "status": status, "lastTransitionTime": "2026-01-01T00:00:00Z"} | more


@pytest.mark.parametrize(
    ("obj", "inactive", "stopped"),
    [
        pytest.param({"spec": {"clusterQueue": "cq"}}, False, False, id="no status yet"),
        pytest.param({"status": {"conditions": [condition("Active")]}}, False, False, id="active"),
        pytest.param({"status": {"conditions": [condition("Active", "False")]}}, True, False, id="inactive"),
        pytest.param({"spec": {"stopPolicy": "Hold"}}, False, True, id="held"),
        pytest.param({"spec": {"stopPolicy": "None"}}, False, False, id="not held"),
    ],
)
def test_a_local_queue(obj: dict[str, Any], inactive: bool, stopped: bool) -> None:
    found = LocalQueue.parse({"metadata": META} | obj)
    assert (found.name, found.inactive is not None, found.stopped) == ("x", inactive, stopped)


def test_a_workload() -> None:
    meta = META | {"ownerReferences": [{"uid": "job", "controller": True}]}
    check = {"name": "p", "state": "Pending", "message": "soon"}
    conditions = [condition("QuotaReserved", "False", reason="Pending", message="none\n left")]
    status = {"conditions": conditions, "admissionChecks": [check, {"name": "q", "state": "Ready"}]}
    found = Workload.parse({"metadata": meta, "spec": {"active": False}, "status": status})
    assert (found.job, found.active, found.checks) == ("job", False, ("p: Pending: soon",))
    assert found.conditions["QuotaReserved"].words == "Pending: none left"


QUEUE, OTHER = LocalQueue("gpu", "cq"), LocalQueue("other", "cq")


@pytest.mark.parametrize(
    ("changed", "concerns"),
    [
        pytest.param({}, False, id="nothing"),
        pytest.param({"queues": {"gpu": replace(QUEUE, stopped=True)}}, True, id="its queue"),
        pytest.param({"queues": {}}, True, id="its queue is gone"),
        pytest.param({"queues": {"gpu": QUEUE, "other": OTHER}}, False, id="another queue"),
        pytest.param({"workloads": {"uid-j": Workload("w", "uid-j", True)}}, True, id="its Workload"),
        pytest.param({"workloads": {"uid-x": Workload("w", "uid-x", True)}}, False, id="another Workload"),
        pytest.param({"installed": False}, True, id="Kueue is gone"),
    ],
)
def test_a_change_concerns_only_what_waits_in_that_queue(make: Make, changed: dict[str, Any], concerns: bool) -> None:
    cache, before = Cache(), QueueState(read=True, queues={"gpu": QUEUE})
    labels = {"bitagent.io/round": "r", QUEUE_LABEL: "gpu"}
    for name, suspended in (("j", True), ("admitted", False)):
        made = make.meta(name, labels=labels, ownerReferences=[{"uid": "uid-r", "controller": True}])
        cache.put("Job", {"metadata": made | {"uid": f"uid-{name}"}, "spec": {"suspend": suspended}})
    assert cache.replace_queues(before) == [Key(Kind.ROUND, "r")], "read for the first time"
    assert cache.replace_queues(replace(before, **changed)) == ([Key(Kind.ROUND, "r")] if concerns else [])
