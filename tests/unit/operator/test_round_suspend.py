"""A round that is suspended, and resumed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make, Plan


def test_jobs_are_suspended_and_none_is_made(make: Make, plan: Plan) -> None:
    job = make.evaluation(make.key("1"), active=1)
    models = [make.model("a", fetched=True), make.model("b", fetched=True, weights="2")]
    found = plan(make.started("a", "b", suspend=True), models, jobs=[job])
    assert found.suspend == ((job.meta.name, True),)
    assert (found.evaluate, found.delete) == ((), ())
    assert found.status.phase == "Suspended"
    assert found.states["b"] == ("Pending", "RoundSuspended")


def test_no_task_set_is_built(make: Make, plan: Plan) -> None:
    assert plan(make.started("a", tasks=False, suspend=True), [make.model("a")]).tasks is None


def test_resumed(make: Make, plan: Plan) -> None:
    job = make.evaluation(make.key("1"), suspended=True)
    found = plan(make.started("a"), [make.model("a", fetched=True)], jobs=[job])
    assert found.suspend == ((job.meta.name, False),)


def test_a_queue_keeps_its_say(make: Make, plan: Plan) -> None:
    job = make.evaluation(make.key("1"), suspended=True)
    queued: dict[str, Any] = {"workload": {"queueName": "gpu"}}
    waiting = plan(make.started("a", **queued), [make.model("a", fetched=True)], jobs=[job])
    assert (waiting.suspend, waiting.states["a"]) == ((), ("Running", "WaitingForSlot"))
    assert waiting.delete == ()
    stopped = plan(make.started("a", suspend=True, **queued), [make.model("a", fetched=True)], jobs=[job])
    assert [d.uid for d in stopped.delete] == [job.meta.uid]
