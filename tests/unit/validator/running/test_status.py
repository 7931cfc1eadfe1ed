"""The Validator's status."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from bitagent_crds.conditions import ConditionType, Reason
from bitagent_crds.discovery import DiscoveryStatus
from bitagent_crds.policies import Standing
from bitagent_crds.seeds import SeedFrom
from bitagent_validator.chain.facts import Subnet
from bitagent_validator.competitions.rounds import Epoch, RoundPlan
from bitagent_validator.objects import Round, RoundPhase
from bitagent_validator.policy.interface import Pay
from bitagent_validator.running.status import UNPAID_MAX, CompetitionStatus, StatusInputs, compute_status
from bitagent_validator.state.rows import Row
from bitagent_validator.weights.plan import Decision, Step

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
EARLIER = "2026-11-21T11:00:00Z"
HOTKEY = "5CzRdZLnRxWkyWoGZZbfvSCY4mbw1cmsow5q8cgZyGg1aiDq"
UNFINISHED, COMPLETE, FAILED = RoundPhase.UNFINISHED, RoundPhase.COMPLETE, RoundPhase.FAILED
SET = Decision(Step.WAIT, True, Reason.WEIGHTS_SET, "the chain holds the weights of val-fc-10")
Make = Callable[..., Subnet]


def rounds(latest: tuple[int, RoundPhase] | None, *, current: int | None = 10, problem: str = "") -> CompetitionStatus:
    round_ = Round(f"val-fc-{latest[0]}", latest[0], latest[0] * 100, latest[1], progress="3/5") if latest else None
    epoch = Epoch(current, current * 100) if current is not None else None
    return CompetitionStatus(RoundPlan("fc", epoch, round_), problem=problem)


def inputs(subnet: Subnet | None, **changes: Any) -> StatusInputs:
    plain: dict[str, Any] = {
        "generation": 3,
        "hotkey": HOTKEY,
        "block": 1000,
        "chain_problem": None,
        "endpoint": "ws://chain:9944",
        "subnet": subnet,
        "subnet_missing": False,
        "competitions": [rounds((10, COMPLETE))],
        "decision": SET,
        "shares": {HOTKEY: 1.0},
        "accepted": None,
    }
    return StatusInputs(**(plain | changes))


def conditions(given: StatusInputs) -> dict[str, tuple[str, str]]:
    status = compute_status(given, previous=[], now=NOW)
    return {c.type.value: (c.status.value, c.reason.value) for c in status.conditions}


def test_all_is_well(subnet: Make) -> None:
    assert conditions(inputs(subnet())) == {
        "ChainConnected": ("True", "Connected"),
        "Registered": ("True", "Registered"),
        "Permitted": ("True", "PermitHeld"),
        "RoundCurrent": ("True", "RoundComplete"),
        "WeightsCurrent": ("True", "WeightsSet"),
        "PassComplete": ("True", "PassComplete"),
    }


def test_a_discovery_that_can_find_nothing_is_in_a_condition(subnet: Make) -> None:
    given = inputs(subnet(), discovery=DiscoveryStatus(message="spec.discovery names no source"))
    found = {c.type: c.message for c in compute_status(given, previous=[], now=NOW).conditions}
    assert found[ConditionType.PASS_COMPLETE].endswith("spec.discovery names no source")


def test_an_endpoint_that_contradicts_is_in_a_condition(subnet: Make) -> None:
    given = inputs(subnet(), contradiction="ws://two says block 9")
    found = {c.type: (c.status, c.message) for c in compute_status(given, previous=[], now=NOW).conditions}
    assert found[ConditionType.CHAIN_CONNECTED] == ("True", "following ws://chain:9944; ws://two says block 9")


@pytest.mark.parametrize(
    ("facts", "changes", "expected"),
    [
        pytest.param(
            {},
            {"chain_problem": (Reason.CHAIN_STALLED, "silent")},
            {
                "ChainConnected": ("False", "ChainStalled"),
                **dict.fromkeys(
                    ("Registered", "Permitted", "RoundCurrent", "WeightsCurrent"), ("Unknown", "ChainStalled")
                ),
            },
            id="stalled: what is not read now is not known",
        ),
        pytest.param(
            {"neurons": {}},
            {"chain_problem": (Reason.CHAIN_STALLED, "silent")},
            {"Registered": ("Unknown", "ChainStalled")},
            id="stalled, and not registered before",
        ),
        pytest.param(
            {}, {"troubles": "competition fc: it broke"}, {"PassComplete": ("False", "PartFailed")}, id="a part failed"
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
            {"decision": None, "competitions": []},
            {
                "Registered": ("Unknown", "ChainUnreachable"),
                "RoundCurrent": ("Unknown", "Pending"),
                "WeightsCurrent": ("Unknown", "WeightsPending"),
            },
            id="nothing read yet",
        ),
        pytest.param(
            {},
            {"suspended": True},
            dict.fromkeys(("Registered", "Permitted", "WeightsCurrent"), ("Unknown", "Suspended")),
            id="suspended",
        ),
    ],
)
def test_what_is_wrong(subnet: Make, facts: Any, changes: Any, expected: dict[str, tuple[str, str]]) -> None:
    found = conditions(inputs(subnet(**facts) if facts is not None else None, **changes))
    assert {kind: found[kind] for kind in expected} == expected


@pytest.mark.parametrize(
    ("competitions", "expected"),
    [
        pytest.param([rounds((10, UNFINISHED))], ("True", "RoundInProgress"), id="the present round runs"),
        pytest.param([rounds((9, UNFINISHED))], ("False", "RoundInProgress"), id="an older one still runs"),
        pytest.param([rounds((10, FAILED))], ("False", "RoundFailed"), id="failed"),
        pytest.param([rounds(None)], ("False", "WaitingForEpoch"), id="about to be created"),
        pytest.param([rounds(None, current=None)], ("False", "WaitingForEpoch"), id="before the first epoch"),
        pytest.param([rounds((9, COMPLETE), problem="refused")], ("False", "Pending"), id="cannot be created"),
        pytest.param(
            [replace(rounds((9, COMPLETE), problem="no permit"), reason=Reason.ROUNDS_NOT_STARTED)],
            ("False", "RoundsNotStarted"),
            id="not started without a permit",
        ),
        pytest.param([rounds((10, COMPLETE)), rounds((10, FAILED))], ("False", "RoundFailed"), id="the worst counts"),
    ],
)
def test_rounds(subnet: Make, competitions: list[CompetitionStatus], expected: tuple[str, str]) -> None:
    assert conditions(inputs(subnet(), competitions=competitions))["RoundCurrent"] == expected


@pytest.mark.parametrize(
    ("state", "published", "reason"),
    [
        pytest.param({}, False, "FreezingModels", id="the operator has not seen it"),
        pytest.param({"frozen": True}, False, "FreezingModels", id="a model is being resolved"),
        pytest.param({"frozen": True, "models_fixed": True}, False, "WaitingForSeed", id="its block is not final"),
        pytest.param({"frozen": True, "models_fixed": True}, True, "RoundInProgress", id="it has its seed"),
    ],
)
def test_what_a_round_waits_for(subnet: Make, state: dict[str, bool], published: bool, reason: str) -> None:
    known = {"block_hash": "0x" + "0" * 64, "secret": "0" * 64} if published else {}
    seed_from = SeedFrom.model_validate({"block": 1025, "secret_digest": "sha256:" + "0" * 64, **known})
    latest = Round("val-fc-10", 10, 1000, UNFINISHED, seed_from=seed_from, **state)
    waiting = CompetitionStatus(RoundPlan("fc", Epoch(10, 1000), latest))
    assert conditions(inputs(subnet(), competitions=[waiting]))["RoundCurrent"] == ("True", reason)


def test_refused_claims_are_listed_as_many_as_fit(subnet: Make) -> None:
    refused = {f"m{i:02}": "the chain has another" for i in range(30)}
    given = replace(rounds((10, COMPLETE)), refused=refused)
    status = compute_status(inputs(subnet(), competitions=[given]), previous=[], now=NOW)
    assert [claim.model for claim in status.current_rounds[0].refused_claims] == [f"m{i:02}" for i in range(16)]


def test_transition_times_move_with_the_status_only(subnet: Make) -> None:
    previous = [
        {"type": "ChainConnected", "status": "True", "reason": "Connected", "lastTransitionTime": EARLIER},
        {"type": "WeightsCurrent", "status": "False", "reason": "WeightsPending", "lastTransitionTime": EARLIER},
        {"type": "Deployed", "status": "True", "reason": "DeploymentAvailable", "lastTransitionTime": EARLIER},
    ]
    status = compute_status(inputs(subnet()), previous=previous, now=NOW)
    times = {c.type: c.last_transition_time for c in status.conditions}
    assert times[ConditionType.CHAIN_CONNECTED] == datetime.fromisoformat(EARLIER)
    assert times[ConditionType.WEIGHTS_CURRENT] == NOW
    assert ConditionType.DEPLOYED not in times, "that one is the operator's"


def test_the_status_that_is_applied(subnet: Make) -> None:
    other = "5CnxbRk7DKntFz5E8za9NxFmP253fShWWBj3xf5C8L5TnaMF"
    given = inputs(subnet(), shares={other: 0.25, HOTKEY: 0.75}, competitions=[rounds((10, UNFINISHED))])
    status = compute_status(given, previous=[], now=NOW).to_wire()
    assert (status["uid"], status["hotkey"], status["block"], status["rounds"]) == (0, HOTKEY, 1000, "val-fc-10")
    assert "observedGeneration" not in status, "that one is the operator's"
    assert status["weights"] == [{"hotkey": HOTKEY, "weight": "0.750000"}, {"hotkey": other, "weight": "0.250000"}]
    round_ = {"competition": "fc", "round": "val-fc-10", "epoch": 10, "block": 1000, "refusedClaims": []}
    assert status["currentRounds"] == [round_]
    assert status["message"] == "evaluating val-fc-10 3/5; the chain holds the weights of val-fc-10"
    assert "lastWeights" not in status, "the API refuses nulls"


def test_the_last_accepted_weights(subnet: Make) -> None:
    planned = Row.planned({"a": 65535, "b": 3}, ("val-fc-9",))
    accepted = planned.as_pending(since=990, account="20/me", uids={"a": 1, "b": 2}).as_accepted(
        block=993, at=NOW, extrinsic="993-0002"
    )
    status = compute_status(inputs(subnet(), accepted=accepted), previous=[], now=NOW).to_wire()
    assert status["lastWeights"] == {
        "block": 993,
        "at": "2026-11-21T12:00:00Z",
        "rounds": ["val-fc-9"],
        "digest": planned.digest,
        "extrinsic": "993-0002",
        "hotkeys": 2,
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"suspended": True}, "suspended: no rounds are started and no weights are set", id="suspended"),
        pytest.param(
            {"chain_problem": (Reason.CHAIN_UNREACHABLE, "gone")}, "gone", id="the first thing that is broken"
        ),
        pytest.param({"troubles": "wallet: no file"}, f"{SET.message}; failed: wallet: no file", id="a part failed"),
        pytest.param(
            {"contradiction": "ws://two says block 9"},
            f"{SET.message}; endpoints of the chain contradict each other: see ChainConnected",
            id="an endpoint contradicts",
        ),
    ],
)
def test_the_message(subnet: Make, changes: Any, message: str) -> None:
    assert compute_status(replace(inputs(subnet()), **changes), previous=[], now=NOW).message == message


def test_who_earns_nothing_and_why(subnet: Make) -> None:
    """Those with a score first, and no more than the status holds."""
    pays = {f"{HOTKEY[:44]}{number:04d}".replace("0", "1"): Pay(Standing.REJECTED) for number in range(1111, 1411)}
    other = "5CnxbRk7DKntFz5E8za9NxFmP253fShWWBj3xf5C8L5TnaMF"
    pays |= {other: Pay(Standing.NOT_CHOSEN, score=0.4), HOTKEY: Pay(Standing.PAID, 1.0, score=0.5)}
    status = compute_status(inputs(subnet(), pay={"fc": pays}), previous=[], now=NOW).to_wire()
    unpaid = status["unpaid"]
    assert unpaid[0] == {"competition": "fc", "hotkey": other, "reason": "NotChosen"}
    assert {entry["reason"] for entry in unpaid[1:]} == {"Rejected"}
    assert len(unpaid) == min(UNPAID_MAX, len(pays) - 1)
    assert HOTKEY not in {entry["hotkey"] for entry in unpaid}
