"""Ready and Stalled: what kstatus makes of an object, and the reason that its row shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.conditions import ConditionStatus, ConditionType, Reason
from bitagent_crds.evalround import EvalRoundStatus
from bitagent_crds.minermodel import MinerModelStatus
from bitagent_crds.status import Condition
from bitagent_crds.validator import WeightsMode
from bitagent_operator.plan.readiness import Readiness, of_model, of_round, of_validator, with_readiness

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make

Shown = tuple[str, str, bool]
"""Status of Ready, its reason, and whether the object is stalled."""


def shown(found: Readiness) -> Shown:
    ready, *stalled = found.values()
    assert [value.type for value in stalled] == [ConditionType.STALLED] * found.stalled
    assert all((value.status, value.reason) == (ConditionStatus.TRUE, found.reason) for value in stalled)
    return (ready.status, ready.reason, found.stalled)


def parsed(make: Make, **conditions: tuple[str, str]) -> list[Condition]:
    return [Condition.model_validate(make.condition(kind, *each)) for kind, each in conditions.items()]


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        pytest.param({}, ("False", "Pending", False), id="not looked at"),
        pytest.param({"Fetched": ("Unknown", "Fetching")}, ("False", "Fetching", False), id="fetching"),
        pytest.param({"Fetched": ("Unknown", "Suspended")}, ("False", "Suspended", False), id="suspended"),
        pytest.param(
            {"Fetched": ("False", "HubUnavailable")},
            ("False", "HubUnavailable", False),
            id="the next round tries again",
        ),
        pytest.param({"Fetched": ("False", "NoSafetensors")}, ("False", "NoSafetensors", True), id="refused"),
        pytest.param(
            {"Resolved": ("False", "RepositoryNotFound"), "Fetched": ("False", "RepositoryNotFound")},
            ("False", "RepositoryNotFound", True),
            id="no repository",
        ),
        pytest.param(
            {"Resolved": ("Unknown", "JobRefused"), "Fetched": ("True", "Fetched")},
            ("False", "JobRefused", False),
            id="its branch cannot be resolved again",
        ),
        pytest.param(
            {"Resolved": ("True", "Resolved"), "Safe": ("True", "Safe"), "Fetched": ("True", "Fetched")},
            ("True", "Fetched", False),
            id="fetched",
        ),
        pytest.param(
            {"Fetched": ("False", "NeverHeardOf")}, ("False", "NeverHeardOf", False), id="a reason of a later version"
        ),
    ],
)
def test_a_model_is_ready_when_it_is_fetched(
    make: Make, conditions: dict[str, tuple[str, str]], expected: Shown
) -> None:
    assert shown(of_model(parsed(make, **conditions))) == expected


OPEN = {"Complete": ("False", "RoundRunning"), "Failed": ("False", "NotFailed")}


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        pytest.param({}, ("False", "Pending", False), id="not looked at"),
        pytest.param(
            OPEN | {"TasksReady": ("False", "BuildingTasks"), "Running": ("False", "WaitingForTasks")},
            ("False", "BuildingTasks", False),
            id="what its tasks wait for",
        ),
        pytest.param(
            OPEN | {"TasksReady": ("False", "FreezingModels"), "Running": ("False", "Unschedulable")},
            ("False", "Unschedulable", False),
            id="what most of its models wait for",
        ),
        pytest.param(
            OPEN | {"TasksReady": ("True", "TasksReady"), "Running": ("True", "RoundRunning")},
            ("False", "RoundRunning", False),
            id="running",
        ),
        pytest.param(
            OPEN | {"TasksReady": ("False", "BuildingTasks"), "Running": ("False", "RoundSuspended")},
            ("False", "RoundSuspended", False),
            id="suspended",
        ),
        pytest.param(
            {"Running": ("False", "RoundComplete"), "Complete": ("True", "RoundComplete")},
            ("True", "RoundComplete", False),
            id="complete",
        ),
        pytest.param(
            {"Running": ("False", "NoModels"), "Failed": ("True", "NoModels")},
            ("False", "NoModels", True),
            id="failed by its spec",
        ),
        pytest.param(
            {"Complete": ("True", "RoundComplete"), "Failed": ("True", "InfrastructureFaults")},
            ("False", "InfrastructureFaults", True),
            id="failed by the infrastructure, for good",
        ),
    ],
)
def test_a_round_is_ready_when_it_is_complete(
    make: Make, conditions: dict[str, tuple[str, str]], expected: Shown
) -> None:
    assert shown(of_round(parsed(make, **conditions))) == expected


WELL = {
    "Deployed": ("True", "DeploymentAvailable"),
    "ChainConnected": ("True", "Connected"),
    "Registered": ("True", "Registered"),
    "Permitted": ("True", "PermitHeld"),
    "RoundCurrent": ("True", "RoundComplete"),
    "WeightsCurrent": ("True", "WeightsSet"),
}
UNSET = {"Registered": ("False", "NotRegistered"), "Permitted": ("False", "NotRegistered")}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, ("True", "WeightsSet", False), id="well"),
        pytest.param(
            {"Deployed": ("False", "SecretNotFound"), "ChainConnected": ("False", "ChainUnreachable")},
            ("False", "SecretNotFound", True),
            id="its Secret is missing, whatever a pod said before",
        ),
        pytest.param({"Deployed": ("False", "Crashed")}, ("False", "Crashed", False), id="its pod crashes"),
        pytest.param({"Deployed": ("False", "Suspended")}, ("False", "Suspended", False), id="suspended"),
        pytest.param(
            {"ChainConnected": ("False", "ChainStalled"), "Permitted": ("False", "NoPermit")},
            ("False", "ChainStalled", False),
            id="the chain",
        ),
        pytest.param(UNSET, ("False", "NotRegistered", True), id="not registered"),
        pytest.param({"Permitted": ("False", "StakeTooLow")}, ("False", "StakeTooLow", True), id="no permit"),
        pytest.param(
            {"RoundCurrent": ("False", "RoundInProgress")},
            ("False", "RoundInProgress", False),
            id="a competition stands still, and the weights of its last round are set",
        ),
        pytest.param({"RoundCurrent": ("False", "RoundFailed")}, ("False", "RoundFailed", False), id="a failed round"),
        pytest.param(
            {"RoundCurrent": ("False", "WaitingForEpoch"), "WeightsCurrent": ("False", "NoEligibleMiners")},
            ("True", "WaitingForEpoch", False),
            id="before the first epoch",
        ),
        pytest.param(
            {"RoundCurrent": ("False", "WaitingForEpoch"), "WeightsCurrent": ("False", "SubmissionFailed")},
            ("False", "SubmissionFailed", False),
            id="what is wrong comes before what may be so",
        ),
        pytest.param({"WeightsCurrent": ("False", "RateLimited")}, ("True", "RateLimited", False), id="not yet"),
        pytest.param({"WeightsCurrent": ("False", "RevealPending")}, ("True", "RevealPending", False), id="sealed"),
        pytest.param(
            {"WeightsCurrent": ("False", "PolicyUnavailable")}, ("False", "PolicyUnavailable", True), id="policy"
        ),
    ],
)
def test_a_validator_is_ready_when_it_works(make: Make, changes: dict[str, tuple[str, str]], expected: Shown) -> None:
    assert shown(of_validator(parsed(make, **(WELL | changes)), generation=1, mode=WeightsMode.SET)) == expected


def test_what_sets_no_weights_needs_no_permit(make: Make) -> None:
    conditions = parsed(make, **(WELL | UNSET | {"WeightsCurrent": ("False", "DryRun")}))
    assert shown(of_validator(conditions, generation=1, mode=WeightsMode.DRY_RUN)) == ("True", "NotRegistered", False)


@pytest.mark.parametrize("missing", list(WELL))
def test_a_validator_is_not_ready_by_what_its_pod_said_of_an_older_spec(make: Make, missing: str) -> None:
    conditions = [
        c if c.type == missing else c.model_copy(update={"observed_generation": 2}) for c in parsed(make, **WELL)
    ]
    assert shown(of_validator(conditions, generation=2, mode=WeightsMode.SET)) == ("False", "Pending", False)


def test_messages_of_a_validators_pod_are_not_repeated(make: Make) -> None:
    """They name blocks: each would be another write."""
    conditions = parsed(make, **WELL)
    conditions[-1] = conditions[-1].model_copy(update={"message": "at block 4711"})
    found = of_validator(conditions, generation=1, mode=WeightsMode.SET)
    assert found.message == f"WeightsCurrent is True: {Reason.WEIGHTS_SET.meaning}"


def kinds(status: MinerModelStatus | EvalRoundStatus) -> dict[str, Any]:
    return {c.type: (c.status, c.observed_generation) for c in status.conditions}


def test_a_status_keeps_its_other_conditions_and_is_the_same_again(make: Make) -> None:
    before = MinerModelStatus(conditions=parsed(make, Fetched=("False", "NoSafetensors")))
    once = with_readiness(before, generation=3, now=make.at(5))
    assert kinds(once) == {"Ready": ("False", 3), "Fetched": ("False", 1), "Stalled": ("True", 3)}
    assert with_readiness(once, generation=3, now=make.at(60)) is once


def test_stalled_goes_with_its_cause(make: Make) -> None:
    """Also that of an object which could not be planned."""
    conditions = parsed(make, Running=("True", "RoundRunning"), Stalled=("True", "Invalid"), Ready=("False", "Invalid"))
    found = with_readiness(EvalRoundStatus(conditions=conditions), generation=1, now=make.at(5))
    assert kinds(found) == {"Ready": ("False", 1), "Running": ("True", 1)}
