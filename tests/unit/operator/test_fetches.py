"""Which fetch of a model is wanted: after an evaluation that may have missed the model's files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bitagent_operator.plan.fetches import wanted

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make

    from bitagent_operator.observed import ModelObject, RoundObject

DIGEST = "sha256:" + "1".rjust(64, "0")
MISSED = {"state": "InfraFault", "reason": "InfrastructureFault", "weightsDigest": DIGEST}
FAILED_AT = 100


def failed(make: Make, *, over: bool = True, **entry: Any) -> RoundObject:
    """A round that ended because `a` could not be evaluated."""
    at = f"2026-01-01T00:01:{FAILED_AT - 60}Z"
    results = {"a": MISSED | {"finishedAt": at} | entry}
    end = {"finishedAt": at, "counts": {"infraFaults": 1}}
    return make.started("a", at=50, results=results, status=end if over else {})


def fetched(make: Make, *, at: float) -> ModelObject:
    return make.model("a", fetched=True, at=at)


def test_files_that_an_evaluation_may_have_missed_are_fetched_once_more(make: Make) -> None:
    need = wanted(fetched(make, at=FAILED_AT - 1), [failed(make)])
    assert need is not None
    assert (need.since, need.attempt) == (make.at(FAILED_AT), 1)
    assert wanted(fetched(make, at=FAILED_AT), [failed(make)]) is None


def test_it_is_another_job_than_the_rounds_own(make: Make) -> None:
    missed, waiting = failed(make), make.started("a", at=50)
    for_fault = wanted(fetched(make, at=-1000), [missed])
    for_round = wanted(make.model("a", fetched=True, at=-1000, revision="main"), [waiting])
    assert for_fault is not None
    assert for_round is not None
    assert for_fault.need != for_round.need


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param({"over": False}, id="the round goes on"),
        pytest.param({"reason": "OutOfMemory"}, id="another fault"),
        pytest.param({"weightsDigest": None}, id="it was the fetch that failed"),
        pytest.param({"state": "ModelFault"}, id="the model's fault"),
    ],
)
def test_other_ends_ask_for_nothing(make: Make, entry: dict[str, Any]) -> None:
    assert wanted(fetched(make, at=0), [failed(make, **entry)]) is None


def test_a_fault_of_the_model_stays(make: Make) -> None:
    assert wanted(make.model("a", fetched="NoSafetensors"), [failed(make)]) is None
