"""Spans of a finished round."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.validator import LastWeights
from bitagent_operator.observed.objects import RoundObject
from bitagent_operator.tracing.spans import Span, round_spans, trace_id, weights_span

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make

UID = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"
SECONDS = {"waiting": "3.0", "pulling": "2.0", "load": "20.0", "generate": "60.0", "score": "0.5", "idle": "4.0"}


def time(make: Make, seconds: float) -> str:
    return make.at(seconds).strftime("%Y-%m-%dT%H:%M:%SZ")


def finished(make: Make, *results: dict[str, Any], **status: Any) -> RoundObject:
    """A round that was created at 0, began at 10, had its tasks at 40 and ended at 200."""
    known = {
        "phase": "Complete",
        "startedAt": time(make, 10),
        "finishedAt": time(make, 200),
        "taskSet": {"digest": make.digest("1"), "count": 200, "uri": "pvc://a/b"},
        "conditions": [make.condition("TasksReady", "True", "TasksReady", at=40)],
        "results": list(results),
    }
    return make.round("r", uid=UID, status=known | status)


def result(make: Make, name: str, **more: Any) -> dict[str, Any]:
    times = {"startedAt": time(make, 40), "finishedAt": time(make, 140)}
    known = {"model": name, "state": "Succeeded", "reason": "Evaluated", "score": "0.500000", "attempts": 1}
    return known | times | {"seconds": SECONDS} | more


def by_name(spans: list[Span]) -> dict[str, Span]:
    return {span.name: span for span in spans}


def interval(make: Make, span: Span) -> tuple[float, float]:
    return (span.start - make.at(0)).total_seconds(), (span.end - make.at(0)).total_seconds()


def test_a_round_is_one_trace_named_by_its_uid(make: Make) -> None:
    spans = round_spans(finished(make, result(make, "a"), result(make, "b")), {})
    assert {span.trace_id for span in spans} == {UID.replace("-", "")}
    assert len({span.span_id for span in spans}) == len(spans)
    root, *others = spans
    assert (root.name, root.parent_id, interval(make, root)) == ("round r", "", (0, 200))
    known = {span.span_id for span in spans}
    assert all(span.parent_id in known for span in others)
    assert all(len(span.trace_id) == 32 and len(span.span_id) == 16 for span in spans)


def test_the_same_status_is_the_same_spans(make: Make) -> None:
    observed = finished(make, result(make, "a"))
    assert round_spans(observed, {}) == round_spans(observed, {})


def test_what_comes_before_the_evaluations(make: Make) -> None:
    spans = by_name(round_spans(finished(make, result(make, "a")), {}))
    assert interval(make, spans["wait for the start"]) == (0, 10)
    assert interval(make, spans["task set"]) == (10, 40)
    assert spans["task set"].attributes["bitagent.tasks"] == 200


def test_phases_follow_one_another_in_their_evaluation(make: Make) -> None:
    spans = by_name(round_spans(finished(make, result(make, "a", node="n-1")), {}))
    evaluation = spans["evaluate a"]
    assert interval(make, evaluation) == (40, 140)
    attributes = {k: evaluation.attributes[f"bitagent.{k}"] for k in ("state", "reason", "score", "attempts")}
    assert attributes == {"state": "Succeeded", "reason": "Evaluated", "score": "0.500000", "attempts": 1}
    assert evaluation.attributes["k8s.node.name"] == "n-1"
    at = 40.0
    for phase, seconds in SECONDS.items():
        assert interval(make, spans[phase]) == (at, at + float(seconds))
        assert spans[phase].parent_id == evaluation.span_id
        at += float(seconds)


@pytest.mark.parametrize(
    ("more", "error"),
    [
        pytest.param({}, None, id="succeeded"),
        pytest.param({"state": "ModelFault", "reason": "OutOfMemory", "message": "m"}, "OutOfMemory: m", id="a fault"),
        pytest.param({"state": "InfraFault", "reason": "NodeLost", "message": "m"}, "NodeLost: m", id="infrastructure"),
    ],
)
def test_a_fault_is_an_error(make: Make, more: dict[str, Any], error: str | None) -> None:
    assert by_name(round_spans(finished(make, result(make, "a", **more)), {}))["evaluate a"].error == error


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({"startedAt": None, "seconds": None, "state": "Rejected"}, id="rejected"),
        pytest.param({"duplicateOf": "b", "state": "Duplicate"}, id="evaluated as another"),
    ],
)
def test_what_was_not_evaluated_has_no_span(make: Make, more: dict[str, Any]) -> None:
    without = {k: v for k, v in (result(make, "a") | more).items() if v is not None}
    assert "evaluate a" not in by_name(round_spans(finished(make, without), {}))


def test_an_evaluation_that_the_end_of_its_round_cut_off(make: Make) -> None:
    cut = result(make, "a", state="NotEvaluated", reason="RoundFailed")
    del cut["finishedAt"], cut["seconds"]
    failed = [make.condition("Failed", "True", "InfrastructureFailed", at=200, message="no")]
    spans = by_name(round_spans(finished(make, cut, phase="Failed", conditions=failed), {}))
    assert interval(make, spans["evaluate a"]) == (40, 200)
    assert spans["round r"].error == "no"


def test_what_happened_meanwhile(make: Make) -> None:
    failures = [{"attempt": 1, "reason": "OutOfMemory", "at": time(make, 90)}]
    more = {"disruptions": [time(make, 50)], "stalls": [time(make, 70)], "failures": failures}
    events = by_name(round_spans(finished(make, result(make, "a", **more)), {}))["evaluate a"].events
    assert [(e.name, (e.at - make.at(0)).total_seconds()) for e in events] == [
        ("disruption", 50),
        ("stall", 70),
        ("failure", 90),
    ]


@pytest.mark.parametrize(
    ("began", "fetched", "expected"),
    [
        pytest.param(3, 30, (3, 30), id="during the round"),
        pytest.param(-60, 5, (-60, 5), id="under way when it was created"),
        pytest.param(-60, -5, None, id="before"),
        pytest.param(210, 220, None, id="after"),
    ],
)
def test_fetches_of_the_round(make: Make, began: float, fetched: float, expected: tuple[float, float] | None) -> None:
    condition = make.condition("Fetched", "True", "Fetched", at=fetched)
    status = {"resolved": make.facts(at=time(make, began)), "conditions": [condition]}
    model = make.model("a", status=status)
    found = by_name(round_spans(finished(make, result(make, "a")), {"a": model})).get("fetch a")
    assert (interval(make, found) if found else None) == expected


def test_weights_join_the_trace_of_their_round(make: Make) -> None:
    observed = finished(make, result(make, "a"))
    written = {"block": 7, "at": time(make, 230), "rounds": ["r"], "digest": make.digest("2"), "extrinsic": "7-2"}
    span = weights_span(observed, "v", LastWeights.model_validate(written | {"hotkeys": 3}))
    root = round_spans(observed, {})[0]
    assert (span.trace_id, span.parent_id, interval(make, span)) == (root.trace_id, root.span_id, (200, 230))
    assert span.attributes["bitagent.weights.extrinsic"] == "7-2"


def test_a_round_that_runs_has_no_trace(make: Make) -> None:
    with pytest.raises(ValueError, match="has not ended"):
        round_spans(make.round("r"), {})


@pytest.mark.parametrize("uid", ["uid-r", "", "0" * 32], ids=["no digits", "empty", "zeros"])
def test_every_uid_has_a_valid_trace(uid: str) -> None:
    found = trace_id(uid)
    assert len(found) == 32
    assert int(found, 16) != 0


def test_a_span_never_ends_before_it_begins(make: Make) -> None:
    odd = finished(make, result(make, "a", startedAt=time(make, 150)))
    assert all(span.end - span.start >= timedelta() for span in round_spans(odd, {}))
