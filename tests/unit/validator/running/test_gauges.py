"""The gauges that follow from a pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bitagent_crds.conditions import ConditionStatus, ConditionType, Reason
from bitagent_crds.validator import ValidatorSpec
from bitagent_kube.conditions import ConditionValue
from bitagent_validator.chain.facts import MechanismFacts
from bitagent_validator.chain.follower import Down, Up
from bitagent_validator.metrics import Metrics
from bitagent_validator.running.gauges import Gauges

UP = Up(None, 1000)  # type: ignore[arg-type]
DOWN = Down(Reason.CHAIN_UNREACHABLE, "away")


def value(status: ConditionStatus, reason: Reason) -> ConditionValue:
    return ConditionValue(ConditionType.ONLINE_CURRENT, status, reason, "m")


@pytest.fixture
def measured(competition: Callable[..., Any]) -> Callable[..., Metrics]:
    def measure(**changes: Any) -> Metrics:
        wire = {
            "netuid": 20,
            "chain": {"endpoints": ["ws://one"]},
            "wallet": {"hotkeySecretRef": {"name": "s", "key": "k"}},
            "competitions": [competition().to_wire()],
            "suspend": changes.pop("suspend", False),
            "weights": {"mode": changes.pop("mode", "Set")},
        }
        metrics = Metrics()
        gauges = Gauges(metrics)
        facts: dict[str, Any] = {"chain": UP, "subnet": None, "decision": None, "paid": 0, "pays_of": {}}
        facts |= {"account": None, "reconnects": 0}
        old = value(ConditionStatus.FALSE, Reason.POOL_PENDING)
        spec = ValidatorSpec.model_validate(wire)
        gauges.measure(spec, **(facts | {"online": old, "foreign": True}))
        gauges.measure(spec, **(facts | changes))
        return metrics

    return measure


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        pytest.param(
            {"online": value(ConditionStatus.FALSE, Reason.EXAMINER_UNAVAILABLE)}, ["ExaminerUnavailable"], id="stopped"
        ),
        pytest.param({"online": value(ConditionStatus.TRUE, Reason.POOL_PENDING)}, [], id="it goes again"),
        pytest.param({"online": value(ConditionStatus.UNKNOWN, Reason.POOL_PENDING)}, [], id="not known"),
        pytest.param({}, [], id="no competition asks miners"),
        pytest.param(
            {"online": value(ConditionStatus.FALSE, Reason.POOL_PENDING), "chain": DOWN}, [], id="the chain is away"
        ),
        pytest.param(
            {"online": value(ConditionStatus.FALSE, Reason.POOL_PENDING), "suspend": True}, [], id="suspended"
        ),
    ],
)
def test_why_online_evaluation_stands_still(measured: Any, changes: Any, reasons: list[str]) -> None:
    found = measured(**changes).online_problem.collect()[0].samples
    assert [sample.labels["reason"] for sample in found if sample.value] == reasons


@pytest.mark.parametrize(
    ("changes", "foreign"),
    [({"foreign": True}, 1), ({"foreign": False}, 0), ({"foreign": True, "chain": DOWN}, 0)],
    ids=["seen", "quiet again", "the chain is away"],
)
def test_another_writer_is_a_metric(measured: Any, changes: Any, foreign: int) -> None:
    (sample,) = measured(**changes).foreign_weights.collect()[0].samples
    assert sample.value == foreign


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, 1, id="sets"),
        pytest.param({"mode": "DryRun"}, 0, id="computes only"),
        pytest.param({"mode": "Off"}, 0, id="off"),
        pytest.param({"suspend": True}, 0, id="suspended"),
        pytest.param({"chain": DOWN}, 1, id="the chain is away"),
    ],
)
def test_whether_weights_are_to_be_set(measured: Any, changes: Any, expected: int) -> None:
    """Alerts about weights are silent where none are to be set."""
    (sample,) = measured(**changes).sets_weights.collect()[0].samples
    assert sample.value == expected


@pytest.mark.parametrize("contradicting", [{}, {"ws://two": 9, "ws://three": 8}], ids=["none", "two"])
def test_how_many_endpoints_contradict(measured: Any, contradicting: dict[str, int]) -> None:
    chain = Up(None, 1000, contradicting=contradicting)  # type: ignore[arg-type]
    (sample,) = measured(chain=chain).contradicting_endpoints.collect()[0].samples
    assert sample.value == len(contradicting)


@pytest.mark.parametrize(
    ("mechanisms", "count", "left"),
    [
        pytest.param({}, None, 4500, id="the first alone"),
        pytest.param({0: 900, 1: 300}, 2, 4300, id="another one is older"),
        pytest.param({0: 900, 1: 0}, 1, 4900, id="the subnet lacks the other"),
        pytest.param({0: 900, 1: 0}, 2, 4000, id="never set"),
    ],
)
def test_when_the_chain_ignores_the_validator_in_a_mechanism(
    measured: Any, subnet: Any, mechanisms: dict[int, int], count: int | None, left: int
) -> None:
    facts = {number: MechanismFacts(last_update=block) for number, block in mechanisms.items()}
    metrics = measured(subnet=subnet(mechanisms=facts, mechanism_count=count, me={"last_update": 500}))
    (sample,) = metrics.blocks_until_inactive.collect()[0].samples
    assert sample.value == left
