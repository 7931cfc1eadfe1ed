"""What people see."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from bitagent_crds.conditions import ConditionType, Reason
from bitagent_crds.validator import Validator
from bitagent_validator.chain.facts import Subnet
from bitagent_validator.epochs import Epoch
from bitagent_validator.rounds import Outcome, RoundPlan, SeenRound
from bitagent_validator.status import Picture, Standing, manifest, status_of
from bitagent_validator.weights.plan import Step, Verdict

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
EARLIER = "2026-11-21T11:00:00Z"
HOTKEY = "5CzRdZLnRxWkyWoGZZbfvSCY4mbw1cmsow5q8cgZyGg1aiDq"
UNFINISHED, COMPLETE, FAILED = Outcome.UNFINISHED, Outcome.COMPLETE, Outcome.FAILED
SET = Verdict(Step.WAIT, True, Reason.WEIGHTS_SET, "the chain holds the weights of val-fc-10")
Make = Callable[..., Subnet]


def standing(latest: tuple[int, Outcome] | None, *, current: int | None = 10, problem: str = "") -> Standing:
    seen = SeenRound(f"val-fc-{latest[0]}", latest[0], latest[0] * 100, latest[1]) if latest else None
    return Standing(
        RoundPlan("fc", Epoch(current, current * 100) if current is not None else None, seen),
        progress="3/5",
        problem=problem,
    )


def picture(subnet: Subnet | None, **changes: Any) -> Picture:
    plain: dict[str, Any] = {
        "generation": 3,
        "hotkey": HOTKEY,
        "block": 1000,
        "chain_problem": None,
        "endpoint": "ws://chain:9944",
        "subnet": subnet,
        "subnet_missing": False,
        "competitions": [standing((10, COMPLETE))],
        "verdict": SET,
        "weights": {HOTKEY: 1.0},
        "last_weights": None,
    }
    return Picture(**(plain | changes))


def conditions(view: Picture, previous: list[dict[str, Any]] | None = None) -> dict[str, tuple[str, str]]:
    status = status_of(view, previous=previous or [], now=NOW)
    return {c.type.value: (c.status.value, c.reason.value) for c in status.conditions}


def test_all_is_well(subnet: Make) -> None:
    assert conditions(picture(subnet())) == {
        "ChainConnected": ("True", "Connected"),
        "Registered": ("True", "Registered"),
        "Permitted": ("True", "PermitHeld"),
        "RoundCurrent": ("True", "RoundComplete"),
        "WeightsCurrent": ("True", "WeightsSet"),
    }


@pytest.mark.parametrize(
    ("facts", "changes", "expected"),
    [
        pytest.param(
            {},
            {"chain_problem": (Reason.CHAIN_STALLED, "silent")},
            {"ChainConnected": ("False", "ChainStalled")},
            id="stalled",
        ),
        pytest.param({"neurons": {}}, {}, {"Registered": ("False", "NotRegistered")}, id="not registered"),
        pytest.param({"me": {"permit": False}}, {}, {"Permitted": ("False", "NoPermit")}, id="no permit"),
        pytest.param({"stake_threshold": 10**20}, {}, {"Permitted": ("False", "StakeTooLow")}, id="little stake"),
        pytest.param(
            None,
            {"subnet_missing": True},
            dict.fromkeys(("Registered", "Permitted", "WeightsCurrent"), ("False", "SubnetNotFound")),
            id="no such subnet",
        ),
        pytest.param(
            None,
            {"verdict": None, "competitions": []},
            {
                "Registered": ("Unknown", "ChainUnreachable"),
                "RoundCurrent": ("Unknown", "Pending"),
                "WeightsCurrent": ("Unknown", "WeightsPending"),
            },
            id="nothing read yet",
        ),
        pytest.param({}, {"suspended": True}, {"WeightsCurrent": ("Unknown", "Suspended")}, id="suspended"),
    ],
)
def test_what_is_wrong(subnet: Make, facts: Any, changes: Any, expected: dict[str, tuple[str, str]]) -> None:
    found = conditions(picture(subnet(**facts) if facts is not None else None, **changes))
    assert {kind: found[kind] for kind in expected} == expected


@pytest.mark.parametrize(
    ("standings", "expected"),
    [
        pytest.param([standing((10, UNFINISHED))], ("True", "RoundInProgress"), id="the present round runs"),
        pytest.param([standing((9, UNFINISHED))], ("False", "RoundInProgress"), id="an older one still runs"),
        pytest.param([standing((10, FAILED))], ("False", "RoundFailed"), id="failed"),
        pytest.param([standing(None)], ("False", "WaitingForEpoch"), id="about to be created"),
        pytest.param([standing(None, current=None)], ("False", "WaitingForEpoch"), id="before the first epoch"),
        pytest.param([standing((9, COMPLETE), problem="refused")], ("False", "Pending"), id="cannot be created"),
        pytest.param(
            [standing((10, COMPLETE)), standing((10, FAILED))], ("False", "RoundFailed"), id="the worst counts"
        ),
    ],
)
def test_rounds(subnet: Make, standings: list[Standing], expected: tuple[str, str]) -> None:
    assert conditions(picture(subnet(), competitions=standings))["RoundCurrent"] == expected


def test_transition_times_move_with_the_status_only(subnet: Make) -> None:
    previous = [
        {"type": "ChainConnected", "status": "True", "reason": "Connected", "lastTransitionTime": EARLIER},
        {"type": "WeightsCurrent", "status": "False", "reason": "WeightsPending", "lastTransitionTime": EARLIER},
        {"type": "Deployed", "status": "True", "reason": "DeploymentAvailable", "lastTransitionTime": EARLIER},
    ]
    status = status_of(picture(subnet()), previous=previous, now=NOW)
    times = {c.type: c.last_transition_time for c in status.conditions}
    assert times[ConditionType.CHAIN_CONNECTED] == datetime.fromisoformat(EARLIER)
    assert times[ConditionType.WEIGHTS_CURRENT] == NOW
    assert ConditionType.DEPLOYED not in times, "that one is the operator's"


def test_the_object_that_is_applied(subnet: Make) -> None:
    other = "5CnxbRk7DKntFz5E8za9NxFmP253fShWWBj3xf5C8L5TnaMF"
    view = picture(subnet(), weights={other: 0.25, HOTKEY: 0.75}, competitions=[standing((10, UNFINISHED))])
    body = manifest(status_of(view, previous=[], now=NOW), name="val", namespace="ns")
    status = body["status"]
    assert (status["uid"], status["hotkey"], status["block"], status["observedGeneration"]) == (0, HOTKEY, 1000, 3)
    assert status["weights"] == [{"hotkey": HOTKEY, "weight": "0.750000"}, {"hotkey": other, "weight": "0.250000"}]
    assert status["currentRounds"] == [{"competition": "fc", "round": "val-fc-10", "epoch": 10, "block": 1000}]
    assert status["message"] == "evaluating val-fc-10 3/5; the chain holds the weights of val-fc-10"
    assert Validator.model_fields["status"].annotation is not None
    assert "lastWeights" not in status, "the API refuses nulls"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"suspended": True}, "suspended: no rounds are started and no weights are set", id="suspended"),
        pytest.param(
            {"chain_problem": (Reason.CHAIN_UNREACHABLE, "gone")}, "gone", id="the first thing that is broken"
        ),
    ],
)
def test_the_sentence_for_people(subnet: Make, changes: Any, message: str) -> None:
    assert status_of(replace(picture(subnet()), **changes), previous=[], now=NOW).message == message
