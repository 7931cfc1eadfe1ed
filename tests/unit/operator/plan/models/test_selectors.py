"""A model that no round or competition would admit is not downloaded; it is once one would."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.conditions import ConditionType
from bitagent_kube.conditions import find
from bitagent_operator.observed.objects import ModelObject
from bitagent_operator.plan.models.model import plan as plan_model
from bitagent_operator.plan.models.selectors import MAX_RULES, admissions_for

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make, Plan

SMALL, LARGE = {"maxParameters": 10}, {"maxParameters": 10**6}


def competition(labels: dict[str, str], admission: dict[str, Any]) -> dict[str, Any]:
    tasks = {"sources": [{"bfcl": {"categories": ["simple_python"]}}], "count": 200}
    template = {"models": {"matchLabels": labels}, "tasks": tasks, "admission": admission}
    return {"id": "main", "schedule": {"everyBlocks": 360}, "round": template}


@pytest.mark.parametrize(
    ("rounds", "competitions", "expected"),
    [
        pytest.param([], [], None, id="nothing selects it"),
        pytest.param([], [({}, SMALL)], [10], id="a competition"),
        pytest.param([], [({"track": "x"}, SMALL)], None, id="a competition of other models"),
        pytest.param([{"state": "waits"}], [({}, SMALL)], [10**6, 10], id="a round, and a competition"),
        pytest.param([{"state": "waits"}], [({}, LARGE)], [10**6], id="equal rules count once"),
        pytest.param([{"state": "not begun"}], [], [10**6], id="a round that has not frozen its set"),
        pytest.param([{"state": "others"}], [], None, id="a round of others"),
        pytest.param([{"state": "admitted"}], [], None, id="a round that has admitted it"),
    ],
)
def test_whose_rules_count(
    make: Make,
    rounds: list[dict[str, str]],
    competitions: list[tuple[dict[str, str], dict[str, Any]]],
    expected: list[int] | None,
) -> None:
    made = {
        "waits": make.started("a", admission=LARGE),
        "not begun": make.round(names=["a"], admission=LARGE),
        "others": make.round(names=["b"], admission=LARGE),
        "admitted": make.started("a", results={"a": make.admitted("a")}, admission=LARGE),
    }
    validators = [make.validator(f"v{n}", competitions=[competition(*each)]) for n, each in enumerate(competitions)]
    found = admissions_for(make.model("a"), rounds=[made[each["state"]] for each in rounds], validators=validators)
    assert (None if found is None else [each.max_parameters for each in found]) == expected


def test_a_validator_that_is_suspended_judges_nothing(make: Make) -> None:
    validator = make.validator(competitions=[competition({}, SMALL)], suspend=True)
    assert admissions_for(make.model("a"), rounds=[], validators=[validator]) is None


def test_many_rules_are_not_handed_over(make: Make) -> None:
    rules = [competition({}, {"maxParameters": n}) | {"id": f"c{n}"} for n in range(1, MAX_RULES + 2)]
    validators = [make.validator(f"v{n}", competitions=[rule]) for n, rule in enumerate(rules)]
    assert admissions_for(make.model("a"), rounds=[], validators=validators[1:]) is not None
    assert admissions_for(make.model("a"), rounds=[], validators=validators) is None


def refused(make: Make) -> ModelObject:
    """A model whose files were not fetched, because it has a thousand parameters."""
    raw = make.model_raw("a", fetched="TooManyParameters")
    raw["status"]["resolved"] = make.facts() | {"weightsDigest": None, "at": "2026-01-01T00:00:00Z"}
    return ModelObject.parse(raw)


@pytest.mark.parametrize(
    ("admission", "fetches", "state"),
    [
        pytest.param(SMALL, False, ("Rejected", "TooManyParameters"), id="it refuses it too"),
        pytest.param(LARGE, True, ("Pending", "WaitingForModel"), id="it admits it"),
        pytest.param({}, True, ("Pending", "WaitingForModel"), id="it has no rules"),
    ],
)
def test_a_round_that_admits_it_has_its_files_fetched(
    make: Make, plan: Plan, admission: dict[str, Any], *, fetches: bool, state: tuple[str, str]
) -> None:
    model, observed = refused(make), make.started("a", at=50, admission=admission)
    found = plan_model(model, jobs=[], pods=[], rounds=[observed], pass_=make.pass_(now=100))
    assert (found.fetch is not None) == fetches
    assert plan(observed, [model]).states["a"] == state


def test_without_a_round_nothing_is_fetched_again(make: Make) -> None:
    assert plan_model(refused(make), jobs=[], pods=[], rounds=[], pass_=make.pass_(now=10**6)).fetch is None


def test_a_model_that_is_refused_is_sound_all_the_same(make: Make) -> None:
    job = make.fetch("a", ended="Failed", reason="PodFailurePolicy")
    summary = make.fetched().replace('"Fetched"', '"TooManyParameters"')
    pods = [make.pod(job, code=78, message=summary)]
    pass_ = make.pass_(now=100, listed=[job])
    found = plan_model(make.model("a"), jobs=[job], pods=pods, rounds=[], pass_=pass_)
    states = {}
    for kind in (ConditionType.RESOLVED, ConditionType.SAFE, ConditionType.FETCHED):
        condition = find(found.status.conditions, kind)
        states[kind.value] = condition.status.value if condition is not None else ""
    assert states == {"Resolved": "True", "Safe": "True", "Fetched": "False"}
    assert found.status.resolved is not None, "its facts are shown"
