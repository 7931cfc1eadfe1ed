"""A Job of which no container runs: since when, and the fault beyond its bound."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.conditions import Reason
from bitagent_operator.plan.inputs import LastEvent
from bitagent_operator.plan.jobs.pods import STARTS, Problem
from bitagent_operator.plan.jobs.waits import never_started, waits_since, without_pod

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make


@pytest.mark.parametrize(
    ("started", "pods", "since"),
    [
        pytest.param(20, [], 20, id="since its start"),
        pytest.param(None, [], 7, id="since it was made, if no controller has taken it up"),
        pytest.param(20, [{"unschedulable": 30}], 20, id="a pod without a node"),
        pytest.param(20, [{"code": 3, "at": 50}, {"unschedulable": 60}], 50, id="since the last attempt"),
        pytest.param(20, [{"code": 3, "at": 50}], 50, id="before the next attempt"),
        pytest.param(20, [{"code": 3, "at": 50}, {}], None, id="the next attempt runs"),
        pytest.param(20, [{"code": 3, "at": 50, "phase": "Running"}], None, id="other containers of it run"),
    ],
)
def test_since(make: Make, started: float | None, pods: list[dict[str, Any]], since: float | None) -> None:
    job = make.evaluation("k", started=started, created=7)
    found = waits_since(job, [make.pod(job, **pod) for pod in pods])
    assert found == (make.at(since) if since is not None else None)


@pytest.mark.parametrize(
    ("problem", "reason"),
    [
        pytest.param(None, "StartTimedOut", id="nothing is known"),
        pytest.param(STARTS, "StartTimedOut", id="nothing is wrong"),
        pytest.param(Problem(Reason.WAITING_FOR_NODE, "no GPU"), "Unschedulable", id="no node"),
        pytest.param(Problem(Reason.POD_REFUSED, "quota"), "PodRefused", id="a fault"),
    ],
)
def test_the_fault_is_what_it_waited_for(problem: Problem | None, reason: str) -> None:
    found = never_started(problem, timedelta(seconds=60))
    assert found.reason == reason
    assert "60 s" in found.message
    assert problem is None or problem.message in found.message


@pytest.mark.parametrize(
    ("job", "pod"),
    [
        pytest.param("r-k", "r-k-x7k2p", id="plain"),
        pytest.param("r-k", "r-k-3-x7k2p", id="a shard"),
        pytest.param("r" * 50 + "-" + "0" * 12, "r" * 50 + "-00-12-x7k2p", id="a long name is cut"),
    ],
)
def test_a_refusal_does_not_name_the_pod(make: Make, job: str, pod: str) -> None:
    made = make.job(job, owner="uid-r", started=900)
    event = LastEvent("FailedCreate", f'Error creating: pods "{pod}" is forbidden: quota', warning=True)
    found = without_pod(made, make.pass_(events={made.meta.uid: event}))
    assert found.reason is Reason.POD_REFUSED and found.message.endswith("Error creating: its pod is forbidden: quota")


def test_a_job_without_a_pod_has_one_state_in_its_first_seconds(make: Make) -> None:
    assert without_pod(make.evaluation("k", started=996), make.pass_()) == STARTS
    late = without_pod(make.evaluation("k", started=995), make.pass_())
    assert (late.reason, "r-k" in late.message) == ("Starting", True)
