"""What to do about reasons, and which reasons of an object are in the way."""

from __future__ import annotations

from typing import Any

import pytest

from bitagent_crds.advice import advice, advice_rows, advices
from bitagent_crds.conditions import Fault, Reason


@pytest.mark.parametrize("reason", [r for r in Reason if r.fault in (Fault.INFRASTRUCTURE, Fault.MODEL, Fault.SPEC)])
def test_every_failure_has_advice(reason: Reason) -> None:
    assert advice(reason)


def test_a_state_has_none_and_neither_has_a_reason_of_a_later_version() -> None:
    assert advice(Reason.EVALUATING) == ""
    assert advice("OfALaterVersion") == ""


def condition(kind: str, status: str, reason: str) -> dict[str, Any]:
    return {"type": kind, "status": status, "reason": reason}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        pytest.param({}, {}, id="no status"),
        pytest.param({"conditions": [condition("Complete", "True", "RoundComplete")]}, {}, id="all is well"),
        pytest.param(
            {"conditions": [condition("Failed", "True", "InfrastructureFaults")]},
            {"InfrastructureFaults": ("Failed",)},
            id="a condition that is bad when True",
        ),
        pytest.param({"conditions": [condition("Failed", "False", "NoModels")]}, {}, id="and good when False"),
        pytest.param(
            {"conditions": [condition("Ready", "False", "NoPermit"), condition("Permitted", "False", "NoPermit")]},
            {"NoPermit": ("Permitted",)},
            id="Ready repeats another one",
        ),
        pytest.param(
            {"conditions": [condition("Ready", "False", "Invalid"), condition("Stalled", "True", "Invalid")]},
            {"Invalid": ("Ready",)},
            id="only sums",
        ),
        pytest.param(
            {
                "results": [
                    {"model": "a", "state": "Succeeded", "reason": "Evaluated"},
                    {"model": "b", "state": "Pending", "reason": "ImagePullFailed"},
                    {"model": "c", "state": "Pending", "reason": "ImagePullFailed"},
                    {"model": "d", "state": "Pending", "reason": "WaitingForTasks"},
                    {"model": "e", "state": "Duplicate", "reason": "DuplicateWeights"},
                ]
            },
            {"ImagePullFailed": ("b", "c")},
            id="models",
        ),
    ],
)
def test_what_is_in_the_way(status: dict[str, Any], expected: dict[str, tuple[str, ...]]) -> None:
    assert {each.reason: each.subjects for each in advices(status)} == expected
    assert all(each.text for each in advices(status))


def test_many_subjects_are_counted() -> None:
    results = [{"model": f"m{i}", "state": "Rejected", "reason": "NoSafetensors"} for i in range(5)]
    assert [row[1] for row in advice_rows({"results": results})] == ["m0, m1, m2 and 2 more"]
