"""The times of disruptions, however often they are seen, and the fault beyond their bound."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.conditions import Reason
from bitagent_operator.plan.jobs.disruptions import KEPT, disrupted_too_often, disruption_times
from bitagent_operator.plan.jobs.pods import Problem

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make


def removed(second: int) -> dict[str, Any]:
    """A pod that was preempted at that second."""
    condition = {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler", "message": "m"}
    at = {"lastTransitionTime": f"2026-01-01T00:00:{second:02}Z"}
    return {"code": 143, "node": "n1", "status": {"conditions": [condition | at], "phase": "Failed"}}


@pytest.mark.parametrize(
    ("pods", "known", "since", "times"),
    [
        pytest.param([], [], None, [], id="none"),
        pytest.param([10, 20], [], None, [10, 20], id="seen"),
        pytest.param([], [10, 20], None, [10, 20], id="their pods are gone"),
        pytest.param([20], [10, 20], None, [10, 20], id="seen again"),
        pytest.param([30, 20], [10], None, [10, 20, 30], id="in order"),
        pytest.param([20, 30], [10], 20, [30], id="after the last failure"),
        pytest.param([], list(range(KEPT + 3)), None, list(range(3, KEPT + 3)), id="as many as a status holds"),
    ],
)
def test_times(make: Make, pods: list[int], known: list[int], since: int | None, times: list[int]) -> None:
    job, other = make.evaluation("k"), make.evaluation("other")
    own = [make.pod(job, name=f"p{at}", **removed(at)) for at in pods]
    own += [make.pod(job, name="runs"), make.pod(other, name="other", **removed(40))]
    found = disruption_times(
        [job], own, known=[make.at(at) for at in known], since=make.at(since) if since is not None else None
    )
    assert found == [make.at(at) for at in times]


@pytest.mark.parametrize(
    ("pods", "reported", "reason", "nodes"),
    [
        pytest.param([removed(10)], None, "Evicted", ("n1",), id="by its last pod"),
        pytest.param([], Problem(Reason.NODE_PRESSURE, "disk"), "NodePressure", (), id="as it was reported"),
        pytest.param([], Problem(Reason.CRASHED, "x"), "Evicted", (), id="something else was reported since"),
    ],
)
def test_beyond_the_bound(
    make: Make, pods: list[dict[str, Any]], reported: Problem | None, reason: str, nodes: tuple[str, ...]
) -> None:
    job = make.evaluation("k")
    own = [make.pod(job, name=f"p{i}", **pod) for i, pod in enumerate(pods)]
    found = disrupted_too_often(job, own, 3, reported=reported, pass_=make.pass_())
    assert (found.reason, found.nodes, found.at) == (reason, nodes, make.at(1000))
