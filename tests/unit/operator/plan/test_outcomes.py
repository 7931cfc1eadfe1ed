"""What ended between two statuses."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.evalround import EvalRoundStatus
from bitagent_operator.plan import outcomes

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make

Obj = dict[str, Any]


def status(make: Make, *results: Obj, **more: Any) -> EvalRoundStatus:
    return EvalRoundStatus.model_validate({"results": list(results), **more})


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        pytest.param(False, False, [], id="not yet"),
        pytest.param(False, True, ["Fetched"], id="fetched"),
        pytest.param(False, "CorruptWeights", ["CorruptWeights"], id="rejected"),
        pytest.param(True, True, [], id="as before"),
        pytest.param("HubUnavailable", True, ["Fetched"], id="fetched after all"),
    ],
)
def test_fetches(make: Make, before: bool | str, after: bool | str, expected: list[str]) -> None:
    old, new = (make.model("a", fetched=fetched).status for fetched in (before, after))
    assert [(each.component, each.reason) for each in outcomes.ended_of_model(old, new)] == [
        ("fetch", reason) for reason in expected
    ]


def test_evaluations_and_task_sets_of_a_round(make: Make) -> None:
    running: Obj = {"state": "Running", "reason": "Evaluating", "attempts": 1}
    seconds = {"load": "1.000", "generate": "2.000", "score": "0.100"}
    over: Obj = {"state": "Succeeded", "reason": "Evaluated", "score": "0.500000", "attempts": 1, "seconds": seconds}
    before = status(make, {"model": "a"} | running, {"model": "b"} | over, {"model": "c"}, {"model": "d"} | running)
    after = status(
        make,
        {"model": "a"} | over,
        {"model": "b"} | over,
        {"model": "c", "state": "Rejected", "reason": "CorruptWeights"},
        {"model": "d", "state": "ModelFault", "reason": "NonFiniteWeights", "attempts": 1},
        taskSet=make.TASK_SET,
    )
    assert [(each.component, each.reason) for each in outcomes.ended_of_round(before, after)] == [
        ("task-set", "TasksReady"),
        ("evaluate", "Evaluated"),
        ("evaluate", "NonFiniteWeights"),
    ]
    times = [each.seconds and each.seconds.generate for each in outcomes.ended_of_round(before, after)]
    assert times == [None, "2.000", None]
    assert list(outcomes.ended_of_round(after, after)) == []


def test_a_task_set_that_failed(make: Make) -> None:
    failed = [make.condition("TasksReady", "False", "TasksFailed")]
    after = status(make, conditions=failed, finishedAt="2026-01-01T00:00:00Z")
    assert [each.reason for each in outcomes.ended_of_round(status(make), after)] == ["TasksFailed"]


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        pytest.param([("Complete", "True", "RoundComplete")], ["RoundComplete"], id="complete"),
        pytest.param([("Failed", "True", "NoModels")], ["RoundFailed"], id="failed"),
        pytest.param([("Complete", "False", "RoundRunning"), ("Failed", "False", "NotFailed")], [], id="running"),
        pytest.param([], [], id="new"),
    ],
)
def test_events_about_the_end_of_a_round(
    make: Make, conditions: list[tuple[str, str, str]], expected: list[str]
) -> None:
    made = [make.condition(*each) for each in conditions]
    observed = make.round(status={"conditions": made, "startedAt": "2026-01-01T00:00:00Z"})
    found = outcomes.end_events(observed, since=make.at(-1))
    assert [event.reason for event in found.messages] == expected if found else expected == []
    assert outcomes.end_events(observed, since=make.at(0) + timedelta(hours=10)) is None, "long ago"


@pytest.mark.parametrize(
    ("fetched", "expected"), [(True, "ModelFetched"), ("CorruptWeights", "ModelRejected"), (False, None)]
)
def test_events_about_the_end_of_a_fetch(make: Make, fetched: bool | str, expected: str | None) -> None:
    observed = make.model("a", fetched=fetched)
    found = outcomes.end_events(observed, since=make.at(-10_000))
    assert ([event.reason for event in found.messages] if found else []) == ([expected] if expected else [])
