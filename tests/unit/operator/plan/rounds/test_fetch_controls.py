"""Whose trouble a fetch is that gave up while no other model was fetched: a model is fetched again as a control."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from bitagent_operator.observed.objects import ModelObject, RoundObject
from bitagent_operator.plan.models.fetch import fetch_result, needed_fetch, urgent
from bitagent_operator.plan.models.model import plan as plan_model
from bitagent_operator.plan.rounds.round import plan as plan_round

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make, Plan

LONG_AGO = -7200
CONTROL = {"model": "b", "since": "2026-01-01T00:01:00Z"}


def started(make: Make, *controls: dict[str, str], of: dict[str, str] | None = None, **more: Any) -> RoundObject:
    """A round in which `b` and `c` have succeeded, and the fetch of `x` gave up; `of`: hotkeys by model."""
    results: dict[str, Any] = {}
    for name, weights in (("b", "2"), ("c", "3")):
        results[name] = make.admitted(name, weights=weights) | {"state": "Succeeded", "score": "0.500000"}
    results["x"] = {"state": "Pending", "reason": "Crashed"}
    for name, hotkey in (of or {}).items():
        results[name]["hotkey"] = make.hotkey(hotkey)
    status = {"fetchControls": list(controls)} if controls else {}
    return make.started("b", "c", "x", results=results, status=status, **more)


def models(make: Make, **changes: dict[str, Any]) -> list[ModelObject]:
    made: dict[str, dict[str, Any]] = {
        "b": {"fetched": True, "at": LONG_AGO, "weights": "2"},
        "c": {"fetched": True, "at": LONG_AGO, "weights": "3"},
        "x": {"fetched": "Crashed", "at": 30},
    }
    return [make.model(name, **(usual | changes.get(name, {}))) for name, usual in made.items()]


@pytest.mark.parametrize(
    ("of", "control"),
    [
        pytest.param({}, "b", id="the first by name"),
        pytest.param({"b": "m", "x": "m"}, "c", id="never of the same hotkey"),
        pytest.param({"b": "m"}, "c", id="one without a miner first"),
        pytest.param({"b": "m", "c": "m", "x": "m"}, None, id="all are of one hotkey"),
    ],
)
def test_which_model_is_fetched_again(make: Make, plan: Plan, of: dict[str, str], control: str | None) -> None:
    found = plan(started(make, of=of), models(make, **{name: {"hotkey": hotkey} for name, hotkey in of.items()}))
    assert [c.model for c in found.status.fetch_controls] == ([control] if control else [])
    assert found.states["x"] == ("Pending" if control else "InfraFault", "Crashed")


def test_a_miner_cannot_choose_the_controls_by_the_names_of_its_models(make: Make, plan: Plan) -> None:
    chosen = set()
    for number in range(16):
        observed = started(make, of={"b": "m", "c": "n"})
        assert observed.status.task_set is not None
        other = observed.status.task_set.model_copy(update={"digest": make.digest(f"{number:x}")})
        observed = replace(observed, status=observed.status.model_copy(update={"task_set": other}))
        found = plan(observed, models(make, b={"hotkey": "m"}, c={"hotkey": "n"}))
        chosen |= {control.model for control in found.status.fetch_controls}
    assert chosen == {"b", "c"}


@pytest.mark.parametrize(
    ("control", "state", "controls"),
    [
        pytest.param({"fetched": True, "at": LONG_AGO}, "Pending", ["b"], id="not fetched yet"),
        pytest.param({"fetched": False}, "Pending", ["b"], id="it is being fetched"),
        pytest.param({"fetched": True, "at": 70}, "Unscored", ["b"], id="it was fetched"),
        pytest.param({"fetched": "Crashed", "at": 70}, "Pending", ["b", "c"], id="it failed: another one"),
        pytest.param({"fetched": "RepositoryNotFound", "at": 70}, "Pending", ["b", "c"], id="it is gone: another one"),
        pytest.param({"fetched": True, "at": LONG_AGO, "suspend": True}, "Pending", ["b", "c"], id="it is suspended"),
    ],
)
def test_what_a_control_decides(
    make: Make, plan: Plan, control: dict[str, Any], state: str, controls: list[str]
) -> None:
    found = plan(started(make, CONTROL), models(make, b=control))
    assert found.results["x"].state == state
    assert [c.model for c in found.status.fetch_controls] == controls
    if state == "Unscored":
        assert found.status.phase == "Complete"


def test_no_more_than_three_are_fetched_again(make: Make, plan: Plan) -> None:
    names = [f"m{n}" for n in range(5)]
    results: dict[str, Any] = {
        name: make.admitted(name, weights=str(n)) | {"state": "Succeeded", "score": "0.500000"}
        for n, name in enumerate(names, start=2)
    }
    results["x"] = {"state": "Pending", "reason": "Crashed"}
    begun = [{"model": name, "since": f"2026-01-01T00:01:0{n}Z"} for n, name in enumerate(names[:3])]
    observed = make.started(*results, results=results, status={"fetchControls": begun})
    failed = [make.model(name, fetched="Crashed", at=80, weights=str(n)) for n, name in enumerate(names, start=2)]
    found = plan(observed, [*failed, make.model("x", fetched="Crashed", at=30)])
    assert found.results["x"].state == "InfraFault"


def test_after_controls_that_failed_the_infrastructure_is_at_fault(make: Make, plan: Plan) -> None:
    again = {"model": "c", "since": "2026-01-01T00:01:20Z"}
    failed = {"fetched": "Crashed", "at": 85}
    found = plan(started(make, CONTROL, again), models(make, b=failed, c=failed))
    assert found.states["x"] == ("InfraFault", "Crashed")
    assert found.status.phase == "Failed"


def test_a_control_of_an_earlier_series_counts_no_longer(make: Make, plan: Plan) -> None:
    retried = {"fetchControls": [CONTROL], "retriedAt": "2026-01-01T00:01:30Z"}
    observed = started(make)
    observed = replace(observed, status=type(observed.status).model_validate(observed.status.to_wire() | retried))
    found = plan(observed, models(make, x={"at": 95}), now=100)
    assert [c.since for c in found.status.fetch_controls] == [make.at(100)]


@pytest.mark.parametrize(
    ("name", "at", "fetches"),
    [
        pytest.param("b", LONG_AGO, True, id="the control"),
        pytest.param("b", 70, False, id="it was fetched since"),
        pytest.param("c", LONG_AGO, False, id="another model"),
    ],
)
def test_a_control_is_fetched_and_hashed(make: Make, name: str, at: float, *, fetches: bool) -> None:
    observed, model = started(make, CONTROL), make.model(name, fetched=True, at=at)
    found = plan_model(model, jobs=[], pods=[], rounds=[observed], pass_=make.pass_(now=100)).fetch
    assert (found is not None and found.verify) == fetches
    assert urgent(model, [observed]) == (name == "b")
    if found is not None:
        assert (found.commit, found.since) == ("a" * 40, make.at(60))


@pytest.mark.parametrize("change", [{"suspend": True}, {"status": {"finishedAt": "2026-01-01T00:02:00Z"}}])
def test_a_round_that_does_not_wait_needs_no_control(make: Make, change: dict[str, Any]) -> None:
    status = {"fetchControls": [CONTROL]} | change.pop("status", {})
    observed = make.started("b", results={"b": make.admitted("b")}, status=status, **change)
    model = make.model("b", fetched=True, at=LONG_AGO)
    result = fetch_result(model.status, generation=1)
    assert needed_fetch(model, result, [observed]) is None


def test_fetches_of_other_rounds_decide_without_a_control(make: Make, plan: Plan) -> None:
    found_models = {m.meta.name: m for m in models(make)}
    pass_ = replace(make.pass_(now=100), last_fetched=make.at(20))
    found = plan_round(started(make), models=found_models, jobs=[], pods=[], pass_=pass_)
    assert {r.model: r.state.value for r in found.status.results}["x"] == "Unscored"
    assert found.status.fetch_controls == []
