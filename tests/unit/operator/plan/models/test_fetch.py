"""The next fetch that a model needs: after an evaluation that may have missed the model's files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bitagent_operator.observed.objects import ModelObject
from bitagent_operator.plan.interface import StartFetch
from bitagent_operator.plan.models.fetch import fetch_result, needed_fetch

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make

    from bitagent_operator.observed.objects import RoundObject

DIGEST = "sha256:" + "1".rjust(64, "0")
MISSED = {"state": "InfraFault", "reason": "InfrastructureFault", "weightsDigest": DIGEST}
FAILED_AT = 100


def failed(make: Make, *, over: bool = True, **entry: Any) -> RoundObject:
    """A round that ended because `a` could not be evaluated."""
    at = f"2026-01-01T00:01:{FAILED_AT - 60}Z"
    results = {"a": MISSED | {"finishedAt": at} | entry}
    end = {"finishedAt": at, "counts": {"infraFaults": 1}}
    return make.started("a", at=50, results=results, status=end if over else {})


def needed(model: ModelObject, rounds: list[RoundObject]) -> StartFetch | None:
    return needed_fetch(model, fetch_result(model.status, generation=model.meta.generation), rounds)


def fetched(make: Make, *, at: float) -> ModelObject:
    return make.model("a", fetched=True, at=at)


def test_files_that_an_evaluation_may_have_missed_are_fetched_once_more(make: Make) -> None:
    need = needed(fetched(make, at=FAILED_AT - 1), [failed(make)])
    assert need is not None
    assert (need.since, need.attempt, need.verify) == (make.at(FAILED_AT), 1, True)
    assert needed(fetched(make, at=FAILED_AT), [failed(make)]) is None


def test_it_is_another_job_than_the_rounds_own(make: Make) -> None:
    missed, waiting = failed(make), make.started("a", at=50)
    for_fault = needed(fetched(make, at=-1000), [missed])
    for_round = needed(make.model("a", fetched=True, at=-1000, revision="main"), [waiting])
    assert for_fault is not None
    assert for_round is not None
    assert for_fault.need != for_round.need


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param({"over": False}, id="the round is not over"),
        pytest.param({"reason": "OutOfMemory"}, id="another fault"),
        pytest.param({"weightsDigest": None}, id="it was the fetch that failed"),
        pytest.param({"state": "ModelFault"}, id="the model's fault"),
    ],
)
def test_other_ends_ask_for_nothing(make: Make, entry: dict[str, Any]) -> None:
    assert needed(fetched(make, at=0), [failed(make, **entry)]) is None


def test_a_fault_of_the_model_stays(make: Make) -> None:
    assert needed(make.model("a", fetched="NoSafetensors"), [failed(make)]) is None


@pytest.mark.parametrize(("status", "known"), [("True", True), ("False", False), ("Unknown", False)])
def test_a_verdict_of_a_later_version_is_not_repeated_as_its_own(make: Make, status: str, known: bool) -> None:
    """Files that are there are there; whose fault a failure was is not known, so that the fetch is made again."""
    raw = make.model_raw("a", fetched=True)
    raw["status"]["conditions"] = [make.condition("Fetched", status, "NeverHeardOf")]
    model = ModelObject.parse(raw)
    assert (fetch_result(model.status, generation=1) is not None) is known
    assert (needed(model, []) is None) is known
