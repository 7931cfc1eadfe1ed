"""When a round starts, and which models its frozen set holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make, Plan


def test_the_set_is_frozen_from_a_fresh_list_only(make: Make, plan: Plan) -> None:
    assert plan(make.round(), [make.model("a")]).questions.selection


def test_the_set_is_sorted_and_pending(make: Make, plan: Plan) -> None:
    models = [make.model("b"), make.model("a"), make.model("c", suspend=True)]
    found = plan(make.round(), models, selected=True)
    assert found.states == {"a": ("Pending", "Pending"), "b": ("Pending", "Pending")}
    assert found.status.started_at == make.at(100)
    assert (found.evaluate, found.tasks) == ((), None)


def test_a_round_that_cannot_start_tells(make: Make, plan: Plan) -> None:
    assert [n.reason for n in plan(make.round(), selected=True).notices] == ["RoundFailed"]


def test_labels_select(make: Make, plan: Plan) -> None:
    models = [make.model("a", labels={"x": "1", "y": "1"}), make.model("b", labels={"x": "2"})]
    found = plan(make.round(models={"matchLabels": {"x": "1"}}), models, selected=True)
    assert list(found.results) == ["a"]


def test_a_listed_name_that_does_not_exist_stays_in_the_set(make: Make, plan: Plan) -> None:
    found = plan(make.round(names=["a", "ghost"]), [make.model("a")], selected=True)
    assert list(found.results) == ["a", "ghost"]


def test_no_models_fail_the_round(make: Make, plan: Plan) -> None:
    found = plan(make.round(), selected=True)
    assert (found.condition("Failed").status, found.condition("Failed").reason) == ("True", "NoModels")
    assert found.status.finished_at is not None


def test_a_suspended_round_does_not_start(make: Make, plan: Plan) -> None:
    found = plan(make.round(suspend=True), [make.model("a")])
    assert not found.questions
    assert (found.status.phase, found.status.started_at) == ("Suspended", None)


def test_models_applied_later_never_enter(make: Make, plan: Plan) -> None:
    found = plan(make.started("a"), [make.model("a", fetched=True), make.model("b", fetched=True)])
    assert list(found.results) == ["a"]
