"""Events that a process was killed before it could post: the next one posts what is missing, and nothing twice."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest

from bitagent_kube.errors import ApiError
from bitagent_kube.objects import EventMessage
from bitagent_operator.observed.cache import Cache
from bitagent_operator.observed.objects import RoundObject
from bitagent_operator.reconcilers.context import Context
from bitagent_operator.runtime.late_events import events_of_round, events_of_validator, late_events

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make

Obj = dict[str, Any]
AWAY = ApiError(code=503, reason="Unavailable", message="away")


def reasons(messages: tuple[EventMessage, ...]) -> list[str]:
    return [str(message.reason) for message in messages]


def finished(make: Make) -> Obj:
    """Fields of a round at 1000 s that began at 0, judged one model at 500 s, and rejected one."""
    text = "2026-01-01T00:{}:00Z".format
    done = {"state": "Succeeded", "reason": "Evaluated", "score": "0.500000", "finishedAt": text("08"), "attempts": 1}
    return {
        "startedAt": text("00"),
        "taskSet": make.TASK_SET,
        "results": [
            {"model": "a"} | done,
            {"model": "b", "state": "Rejected", "reason": "BadConfig"},
            {"model": "c", "state": "Running", "reason": "Evaluating"},
        ],
        "conditions": [make.condition("TasksReady", "True", "TasksReady", at=60)],
    }


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        pytest.param(0, ["RoundStarted", "TaskSetBuilt", "ModelEvaluated", "ModelRejected"], id="all of it"),
        pytest.param(30, ["TaskSetBuilt", "ModelEvaluated"], id="an exclusion is of the time of the start"),
        pytest.param(90, ["ModelEvaluated"], id="a verdict"),
        pytest.param(600, [], id="all of it long ago"),
    ],
)
def test_what_a_round_has_recorded(make: Make, since: float, expected: list[str]) -> None:
    found = events_of_round(make.round(status=finished(make)), since=make.at(since))
    assert reasons(found) == expected


def test_its_end_and_its_archive(make: Make) -> None:
    archive = {"uri": "s3://x", "digest": make.digest("1"), "files": 1, "bytes": 1, "at": "2026-01-01T00:20:00Z"}
    ends = [
        make.condition("Complete", "True", "RoundComplete", at=1000),
        make.condition("Archived", "True", "Archived"),
    ]
    ends[1] |= {"lastTransitionTime": "2026-01-01T00:20:00Z"}
    status = finished(make) | {"conditions": ends, "archive": archive, "finishedAt": "2026-01-01T00:16:40Z"}
    assert reasons(events_of_round(make.round(status=status), since=make.at(900))) == ["RoundComplete", "RoundArchived"]
    assert reasons(events_of_round(make.round(status=status), since=make.at(1100))) == ["RoundArchived"]


def test_a_rewriter_and_its_model(make: Make) -> None:
    fetched = make.model_raw("m", fetched=True, at=100)["status"]
    rewriter = {"source": "x", "resolved": fetched["resolved"], "conditions": fetched["conditions"]}
    ready = make.condition("RewriterReady", "True", "RewriterReady", at=200)
    observed = make.validator(conditions=[ready], status={"rewriter": rewriter})
    assert reasons(events_of_validator(observed, since=make.at(50))) == ["ModelFetched", "RewriterReady"]
    assert reasons(events_of_validator(observed, since=make.at(150))) == ["RewriterReady"]
    assert reasons(events_of_validator(make.validator(), since=make.at(0))) == []


class Posted:
    """A context whose API server has these Events, and the Events that are submitted."""

    def __init__(self, make: Make, events: list[Obj] | ApiError) -> None:
        self.events, self.submitted = events, list[str]()
        self.cache, self.client, self._now = Cache(), self, make.at(600)

    def now(self) -> Any:
        return self._now + timedelta(0)

    async def list(self, _resource: object, *, fields: str) -> list[Obj]:
        assert fields == "involvedObject.uid=uid-r"
        if isinstance(self.events, ApiError):
            raise self.events
        return self.events

    def emit_events(self, _key: object, _meta: object, messages: Iterable[EventMessage], **_: object) -> None:
        self.submitted += [str(message.reason) for message in messages]


async def test_only_what_is_missing_is_posted(make: Make) -> None:
    known = events_of_round(make.round(status=finished(make)), since=make.at(0))
    posted = [{"reason": str(m.reason), "message": m.message} for m in known if m.reason != "ModelRejected"]
    context = Posted(make, posted)
    context.cache.put("EvalRound", make.round_raw(status=finished(make)))
    await late_events(cast(Context, context))
    assert context.submitted == ["ModelRejected"]


FAILURE = {"attempt": 1, "reason": "OutOfMemory", "attempts": 3, "at": "2026-01-01T00:05:00Z"}
LASTS = "; it is tried again when the others have ended"


@pytest.mark.parametrize(
    ("result", "posted", "late"),
    [
        pytest.param({"reason": "Crashed", "message": "SIGSEGV"}, [], True, id="a delay"),
        pytest.param({"reason": "Unschedulable", "message": "no GPU", "state": "Pending"}, [], True, id="a wait"),
        pytest.param({"reason": "Crashed", "message": "now"}, ["c: Crashed: then"], False, id="posted in other words"),
        pytest.param({"reason": "Crashed", "message": "m"}, ["c: Evicted: m", "b: Crashed: m"], True, id="others were"),
        pytest.param({"reason": "OutOfMemory", "failures": [FAILURE]}, ["c: OutOfMemory: m"], True, id="a failure"),
        pytest.param({"reason": "OutOfMemory", "failures": [FAILURE]}, [f"c: OutOfMemory{LASTS}"], False, id="known"),
        pytest.param({"reason": "Evaluating"}, [], False, id="it runs"),
        pytest.param({"reason": "Crashed", "startedAt": "2025-12-31T00:00:00Z"}, [], False, id="long ago"),
    ],
)
async def test_delays_that_last(make: Make, result: Obj, posted: list[str], *, late: bool) -> None:
    running = {"model": "c", "state": "Running", "startedAt": "2026-01-01T00:04:00Z"} | result
    status = {"startedAt": "2025-12-31T00:00:00Z", "results": [running]}
    context = Posted(make, [{"reason": "EvaluationDelayed", "message": words} for words in posted])
    context.cache.put("EvalRound", make.round_raw(status=status))
    await late_events(cast(Context, context))
    assert context.submitted == ["EvaluationDelayed"] * late


async def test_without_the_list_of_events_none_of_a_round_is_posted_again(make: Make) -> None:
    context = Posted(make, AWAY)
    context.cache.put("EvalRound", make.round_raw(status=finished(make)))
    await late_events(cast(Context, context))
    assert context.submitted == []


async def test_one_object_does_not_keep_those_of_the_others(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would end the term, and with it the process, whenever one begins."""

    def events(observed: RoundObject, **since: Any) -> tuple[EventMessage, ...]:
        if observed.meta.name == "a":
            raise KeyError("a member that is missing")
        return events_of_round(observed, **since)

    monkeypatch.setattr("bitagent_operator.runtime.late_events.events_of_round", events)
    context = Posted(make, [])
    for name, uid in (("a", "uid-a"), ("r", "uid-r")):
        context.cache.put("EvalRound", make.round_raw(name, uid=uid, status=finished(make)))
    await late_events(cast(Context, context))
    assert context.submitted == ["RoundStarted", "TaskSetBuilt", "ModelEvaluated", "ModelRejected"]
