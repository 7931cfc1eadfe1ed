"""Parameters of policies: who has which, what is given and what is a default."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from bitagent_crds.policies import BuiltinPolicy, PolicyParameters, Standing
from bitagent_crds.schema import manifest
from bitagent_crds.validator import Competition, Validator

HOTKEY = "5CnxbRk7DKntFz5E8za9NxFmP253fShWWBj3xf5C8L5TnaMF"


def competition(**changes: Any) -> Competition:
    template = {
        "models": {"matchLabels": {}},
        "tasks": {"sources": [{"bfcl": {"categories": ["multiple"]}}], "count": 10},
    }
    return Competition.model_validate({"id": "c", "schedule": {"everyBlocks": 100}, "round": template} | changes)


def test_every_built_in_policy_has_parameters_and_a_rule() -> None:
    schema = manifest(Validator)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    entry = schema["properties"]["spec"]["properties"]["competitions"]["items"]
    members = set(entry["properties"]["policyParameters"]["properties"])
    assert members == {"bitAgent", "winRate", "winnerTakesAll", "fixed", "plugin"}
    assert len(members - {"plugin"}) == len(BuiltinPolicy)
    rules = " ".join(rule["rule"] for rule in entry["x-kubernetes-validations"])
    for member in members:
        assert f"has(self.policyParameters.{member})" in rules
    for policy in BuiltinPolicy:
        assert f"self.policy : '{BuiltinPolicy.BITAGENT}') == '{policy}'" in rules


def test_parameters_that_are_not_given_are_not_stored() -> None:
    """So that a stored spec has no member that the applied one lacks, beside plain defaults."""
    assert "policyParameters" not in competition().to_wire()
    given = {"plugin": {"a": "1"}}
    assert competition(policy="Theirs", policyParameters=given).to_wire()["policyParameters"] == given


def test_defaults() -> None:
    parameters = competition(policyParameters={"bitAgent": {}, "winRate": {}, "winnerTakesAll": {}}).to_wire()
    assert parameters["policyParameters"] == {
        "bitAgent": {
            "steepness": 5,
            "winnerPercent": 0,
            "newcomerPercent": 2,
            "onlinePercent": 50,
            "validatorStake": 4096,
        },
        "winRate": {
            "advantagePercent": 1,
            "temperaturePercent": 8,
            "keepPercent": 90,
            "sampleMin": 5,
            "validatorStake": 4096,
        },
        "winnerTakesAll": {"marginPercent": 2, "validatorStake": 4096},
    }
    assert (parameters["smoothing"], parameters["unscored"], parameters["duplicates"]) == (
        {"rounds": 3},
        "CarryForward",
        "Flag",
    )


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"bitAgent": {"newcomerPercent": 21}}, id="more than a fifth for newcomers"),
        pytest.param({"bitAgent": {"steepness": 0}}, id="no slope"),
        pytest.param({"winRate": {"temperaturePercent": 0}}, id="no temperature"),
        pytest.param({"fixed": {"shares": []}}, id="no hotkey"),
        pytest.param({"fixed": {"shares": [{"hotkey": HOTKEY, "share": 0}]}}, id="a share of 0"),
        pytest.param({"plugin": {"a": 1}}, id="a number for a package"),
        pytest.param({"surprise": {}}, id="an unknown member"),
    ],
)
def test_parameters_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PolicyParameters.model_validate(wrong)


def test_who_is_paid() -> None:
    assert {standing.value for standing in Standing if standing.paid} == {"Paid", "CarriedForward", "Newcomer"}
