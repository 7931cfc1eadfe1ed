"""Whose trouble a failed evaluation is: every line of the table in decision 002, from both sides."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitagent_crds.conditions import Fault, Reason
from bitagent_crds.model_result import Failure, ModelResult
from bitagent_operator.manifests.fetch import ATTEMPT_SECONDS
from bitagent_operator.plan.models.fetch_step import MAX_ATTEMPTS
from bitagent_operator.plan.rounds.attribution import (
    FETCH_CAUSES,
    OWN_CAUSES,
    SLOW_FETCH_PERIOD,
    Control,
    Next,
    Peers,
    control_of,
    decide,
    decide_fetch,
    may_be_own,
)

NEVER_OWN = {
    Reason.HUB_UNAVAILABLE,
    Reason.FETCH_FAILED,
    Reason.MEMORY_IN_USE,
    Reason.EVICTED,
    Reason.IMAGE_PULL_FAILED,
    Reason.UNSCHEDULABLE,
    Reason.RESULT_LOST,
    Reason.ATTEMPTS_EXHAUSTED,
    Reason.INFRASTRUCTURE_FAULT,
}
"""Hub, preemption and lost nodes, image, scheduling, lost results, and what has no cause that a model can have: quotas,
volumes, a stopped process."""


@pytest.mark.parametrize("reason", Reason)
def test_causes_that_a_model_can_have(reason: Reason) -> None:
    assert not (reason in OWN_CAUSES and reason in NEVER_OWN)
    assert may_be_own(reason, ran=True) == (reason in OWN_CAUSES)
    assert not may_be_own(reason, ran=False), "what never ran cannot have caused anything"
    if reason in OWN_CAUSES:
        assert reason.fault is Fault.INFRASTRUCTURE, "another fault is never a question"


def failures(*nodes: str, reason: str = "OutOfMemory") -> list[Failure]:
    """One failure per argument: on the nodes whose letters it has."""
    return [
        Failure.model_validate(
            {"attempt": i + 1, "reason": reason, "at": "2026-01-01T00:00:00Z", "nodes": [f"n-{n}" for n in letters]}
        )
        for i, letters in enumerate(nodes)
    ]


def peers(**more: Any) -> Peers:
    """Others that have ended, one of which succeeded on node a."""
    made: dict[str, Any] = {"unfinished": False, "infrastructure_failed": False, "any_succeeded": True}
    return Peers(**made | {"nodes": frozenset({"n-a"})} | more)


OVER = (Control("good", succeeded=True, node="n-a"),)
BROKE = Control("cheat", succeeded=False, message="OutOfMemory", own=True)
LOST = Control("good", succeeded=False, message="its result was lost")


@pytest.mark.parametrize(
    ("found", "more", "step"),
    [
        pytest.param(["a"], {"unfinished": True}, Next.WAIT, id="others have not ended"),
        pytest.param(["a"], {"unfinished": True, "infrastructure_failed": True}, Next.WAIT, id="nor with a fault"),
        pytest.param(["a"], {}, Next.REPEAT, id="it is repeated"),
        pytest.param(["a"], {"any_succeeded": False}, Next.SHARED, id="the only model, or the only one that ran"),
        pytest.param(["a", "a"], {"any_succeeded": False}, Next.SHARED, id="no success, twice"),
        pytest.param(["a", "a"], {"infrastructure_failed": True}, Next.SHARED, id="the round fails anyway"),
        pytest.param(["a", "a"], {}, Next.CONTROL, id="a control is run"),
        pytest.param(["a", "a"], {"controls": (Control("good"),), "another": False}, Next.WAIT, id="the control runs"),
        pytest.param(["a", "a"], {"controls": OVER}, Next.OWN, id="its own, where others succeeded"),
        pytest.param(["a", "a"], {"controls": (BROKE,)}, Next.CONTROL, id="a second control of another hotkey"),
        pytest.param(["a", "a"], {"controls": (LOST,)}, Next.SHARED, id="the infrastructure failed the control"),
        pytest.param(["a", "a"], {"controls": (BROKE,), "another": False}, Next.SHARED, id="no other hotkey"),
        pytest.param(
            ["a", "a"], {"controls": (BROKE, Control("good")), "another": False}, Next.WAIT, id="the second runs"
        ),
        pytest.param(["a", "a"], {"controls": (BROKE, BROKE)}, Next.CONTROL, id="both failed, and there are more"),
        pytest.param(["a", "a"], {"controls": (BROKE, BROKE), "another": False}, Next.SHARED, id="all failed"),
        pytest.param(
            ["a", "a"],
            {"controls": (BROKE, BROKE, Control("good")), "another": False},
            Next.WAIT,
            id="the rest run",
        ),
        pytest.param(["a", "a"], {"controls": (BROKE, BROKE, Control("x"))}, Next.CONTROL, id="beside each other"),
        pytest.param(
            ["a", "a"], {"controls": (BROKE, BROKE, BROKE, *OVER)}, Next.OWN, id="three failed, not the fourth"
        ),
        pytest.param(
            ["a", "a"],
            {"controls": (BROKE, Control("x"), LOST)},
            Next.WAIT,
            id="the infrastructure, and one runs",
        ),
        pytest.param(["a", "a"], {"controls": (BROKE, *OVER)}, Next.OWN, id="the first failed alone"),
        pytest.param(
            ["a", "a"],
            {"controls": (BROKE, Control("good", succeeded=True, node="n-b")), "another": False},
            Next.SHARED,
            id="the second ran elsewhere, and a broke after its success",
        ),
        pytest.param(
            ["a", "a"],
            {"controls": (BROKE, Control("good", succeeded=True, node="n-b"))},
            Next.CONTROL,
            id="the second ran elsewhere, and another may run there",
        ),
        pytest.param(
            ["a", "a"],
            {"controls": (BROKE, Control("good", succeeded=True, node="n-b"), *OVER)},
            Next.OWN,
            id="the third ran there",
        ),
        pytest.param(["b", "b"], {"controls": OVER}, Next.SHARED, id="only on a node where none succeeded"),
        pytest.param(
            ["b", "b"],
            {"controls": (Control("good", succeeded=True, node="n-b"),)},
            Next.OWN,
            id="the control ran there",
        ),
        pytest.param(["b", "c"], {"controls": OVER}, Next.OWN, id="on two nodes, which are not both broken"),
        pytest.param(["bc", "b"], {"controls": OVER}, Next.OWN, id="on two nodes at the first time"),
        pytest.param(["b", "a"], {"controls": OVER}, Next.OWN, id="repeated where others succeeded"),
        pytest.param(
            ["a", "a"],
            {"controls": (Control("good", succeeded=True),), "nodes": frozenset()},
            Next.SHARED,
            id="unknown",
        ),
    ],
)
def test_the_next_step(found: list[str], more: dict[str, Any], step: Next) -> None:
    decision = decide({"k": failures(*found)}, peers(**more))["k"]
    assert decision.step is step
    assert bool(decision.because) == (step in (Next.OWN, Next.SHARED))


def test_a_control_waits_for_all_repetitions() -> None:
    found = decide({"once": failures("a"), "twice": failures("a", "a")}, peers())
    assert {key: decision.step for key, decision in found.items()} == {
        "once": Next.REPEAT,
        "twice": Next.WAIT,
    }


@given(st.integers(1, 300), st.lists(st.sampled_from(sorted(OWN_CAUSES)), min_size=1, max_size=20))
def test_the_number_of_failed_models_decides_nothing(count: int, reasons: list[Reason]) -> None:
    """One miner with any number of hotkeys cannot end the round, beside a single success."""
    failed = {f"k{i}": failures("a", "a", reason=reasons[i % len(reasons)]) for i in range(count)}
    assert {d.step for d in decide(failed, peers(controls=OVER)).values()} == {Next.OWN}


@given(count=st.integers(1, 50), repeated=st.booleans(), fault=st.booleans())
def test_what_fails_everybody_is_never_the_models_own(*, count: int, repeated: bool, fault: bool) -> None:
    failed = {f"k{i}": failures(*(["a", "a"] if repeated else ["a"])) for i in range(count)}
    found = decide(failed, peers(any_succeeded=False, nodes=frozenset(), infrastructure_failed=fault))
    assert {d.step for d in found.values()} == {Next.SHARED}


def entry(model: str, seconds: float | None = None) -> ModelResult:
    phases = {"load": "1.0", "generate": f"{seconds}", "score": "1.0"} if seconds is not None else None
    return ModelResult.model_validate({"model": model, "state": "Succeeded", "seconds": phases})


@pytest.mark.parametrize(
    ("parameters", "seconds", "chosen"),
    [
        pytest.param({"a": 5, "b": 7, "c": 6}, (9.0, 1.0, 2.0), "b", id="the largest: memory is what often lacks"),
        pytest.param({"a": 7, "b": 7}, (1.0, 2.0, 3.0), "b", id="then the slowest"),
        pytest.param({}, (1.0, 1.0, None), "a", id="then by name"),
    ],
)
def test_the_control_is_the_most_demanding_success(
    parameters: dict[str, int], seconds: tuple[float | None, ...], chosen: str
) -> None:
    entries = [entry(name, s) for name, s in zip("abc", seconds, strict=True)]
    assert control_of(entries[::-1], parameters).model == chosen


NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("reason", "minutes", "step"),
    [
        pytest.param("OutOfMemory", [-29], Next.OWN, id="beside its attempts"),
        pytest.param("OutOfMemory", [5], Next.OWN, id="after them"),
        pytest.param("FilesChanged", [-500, -10], Next.OWN, id="one of several"),
        pytest.param("OutOfMemory", [-31], Next.CONTROL, id="before them"),
        pytest.param("OutOfMemory", [], Next.CONTROL, id="none"),
        pytest.param("DeadlineExceeded", [-23 * 60], Next.OWN, id="beside attempts that took hours"),
        pytest.param("DeadlineExceeded", [-25 * 60], Next.CONTROL, id="before attempts that took hours"),
    ],
)
def test_whose_trouble_a_fetch_was(reason: str, minutes: list[int], step: Next) -> None:
    fetched = [NOON + timedelta(minutes=m) for m in minutes]
    assert decide_fetch(Reason(reason), NOON, fetched).step is step


def test_the_period_of_slow_attempts_is_that_of_fetch_jobs() -> None:
    assert MAX_ATTEMPTS * timedelta(seconds=ATTEMPT_SECONDS) == SLOW_FETCH_PERIOD


def test_hub_volume_and_cache_are_never_a_models_own_trouble() -> None:
    assert not FETCH_CAUSES & {Reason.HUB_UNAVAILABLE, Reason.FETCH_FAILED, Reason.CACHE_FULL, *NEVER_OWN}
