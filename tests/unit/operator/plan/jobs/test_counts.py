"""What the pods of a Job count as."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.conditions import Reason
from bitagent_operator.plan.jobs.counts import never_ran, only_removed, started_pods

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make

SCORED = '{"reason": "Evaluated", "score": "0.500000"}'
LATE = {"reason": "DeadlineExceeded", "phase": "Failed"}
TARGET = {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}
PREEMPTED: dict[str, Any] = {"code": 137, "status": {"phase": "Failed", "conditions": [TARGET]}}


@pytest.mark.parametrize(
    ("job", "pods", "count"),
    [
        pytest.param({}, [], 0, id="none yet"),
        pytest.param({"active": 1}, [{"unschedulable": 0}], 0, id="the first waits"),
        pytest.param({"active": 1}, [{}], 1, id="the first runs"),
        pytest.param({}, [{"code": 0, "message": SCORED}], 1, id="it is done before the Job says so"),
        pytest.param({"failed": 1}, [{"code": 3}, {"unschedulable": 0}], 1, id="the second waits"),
        pytest.param({"failed": 2, "active": 1}, [{"code": 3}, {"code": 3}, {}], 3, id="the third runs"),
        pytest.param({"failed": 2, "active": 1}, [{}], 3, id="the third runs, and the others are gone"),
        pytest.param({}, [{"code": 3}, {}], 2, id="the first failed before the Job says so"),
        pytest.param({"ended": "Complete", "failed": 1}, [], 2, id="the second was the last, and all are gone"),
        pytest.param({"ended": "Failed", "failed": 3}, [], 3, id="given up"),
    ],
)
def test_started_pods(make: Make, job: dict[str, Any], pods: list[dict[str, Any]], count: int) -> None:
    made = make.evaluation("k", **job)
    assert started_pods(made, [make.pod(made, **pod) for pod in pods]) == count


@pytest.mark.parametrize(
    ("pods", "reason", "removed"),
    [
        pytest.param([PREEMPTED, {"deleted": 0}], Reason.EVICTED, True, id="each of its pods"),
        pytest.param([{"code": 3}, PREEMPTED], Reason.EVICTED, False, id="one failed by itself"),
        pytest.param([], Reason.EVICTED, True, id="they are gone, and were removed"),
        pytest.param([], Reason.CRASHED, False, id="they are gone, and had crashed"),
    ],
)
def test_only_removed(make: Make, pods: list[dict[str, Any]], reason: Reason, removed: bool) -> None:
    made = make.evaluation("k")
    assert only_removed(made, [make.pod(made, **pod) for pod in pods], reason) is removed


@pytest.mark.parametrize(
    ("failed", "pods", "never"),
    [
        pytest.param(1, [{"waiting": ("ErrImagePull", "no"), "status": LATE}], True, id="its time is up"),
        pytest.param(1, [{"waiting": ("ErrImagePull", "no")}], False, id="it has time left"),
        pytest.param(2, [{"waiting": ("ErrImagePull", "no"), "status": LATE}], False, id="another is gone"),
    ],
)
def test_never_ran(make: Make, failed: int, pods: list[dict[str, Any]], never: bool) -> None:
    made = make.evaluation("k", failed=failed)
    assert never_ran(made, [make.pod(made, **pod) for pod in pods]) is never
