"""Controls: the bounds of an evaluation hold for them too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bitagent_operator.plan.rounds.attribution import Control
from bitagent_operator.plan.rounds.controls import control_state

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make

SCORED = '{"reason": "Evaluated", "score": "0.500000"}'
EVICTED = {"type": "DisruptionTarget", "status": "True", "reason": "TerminationByKubelet", "message": "for another"}
EVICTIONS: list[dict[str, Any]] = [
    {
        "code": 137,
        "status": {
            "phase": "Failed",
            "reason": "Evicted",
            "conditions": [EVICTED | {"lastTransitionTime": f"2026-01-01T00:00:{at}Z"}],
        },
    }
    for at in (10, 20, 30)
]


@pytest.mark.parametrize(
    ("pods", "workload", "succeeded"),
    [
        pytest.param([{}], {}, None, id="it runs"),
        pytest.param([{"unschedulable": 900}], {"startTimeoutSeconds": 300}, False, id="it never starts"),
        pytest.param([{"unschedulable": 900}], {}, None, id="it waits without a bound"),
        pytest.param(EVICTIONS, {"maxDisruptions": 2}, False, id="its pods are removed too often"),
        pytest.param([{"code": 0, "message": SCORED}], {"maxDisruptions": 0}, True, id="it has succeeded"),
    ],
)
def test_a_control_has_the_bounds_of_an_evaluation(
    make: Make, pods: list[dict[str, Any]], workload: dict[str, Any], succeeded: bool | None
) -> None:
    job = make.evaluation("c", started=1)
    own = [make.pod(job, name=f"p{i}", **pod) for i, pod in enumerate(pods)]
    found = control_state("a", [job], make.round(workload=workload).spec, own, make.pass_())
    assert isinstance(found, Control)
    assert found.succeeded is succeeded
