"""The story of an object."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

import pytest

from bitagent_cli.explanation.story import Known, document, story
from bitagent_cli.output.terminal import Terminal

NOW = datetime(2026, 1, 1, 1, tzinfo=UTC)


def a_round(results: list[dict[str, Any]]) -> dict[str, Any]:
    failed = {"type": "Failed", "status": "True", "reason": "InfrastructureFaults", "message": "1 Crashed"}
    ready = {"type": "Ready", "status": "False", "reason": "InfrastructureFaults", "message": "1 \x1b[2JCrashed"}
    return {
        "kind": "EvalRound",
        "metadata": {"name": "r", "namespace": "ns", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "status": {"phase": "Failed", "conditions": [ready, failed], "results": results},
    }


RESULTS = [
    {"model": "a", "state": "Succeeded", "score": "0.5", "seconds": {"load": "1"}},
    {"model": "b", "state": "InfraFault", "reason": "Crashed", "message": "signal \x1b[31m9"},
]


def story_of(known: Known, *, every: bool = False, colours: bool = False) -> str:
    return "\n".join(story(known, Terminal(io.StringIO(), io.StringIO(), colours), every=every))


def test_a_failed_round() -> None:
    text = story_of(Known("er", a_round(RESULTS), NOW, unread=("Events: forbidden",)))
    assert text.startswith("EvalRound r in namespace ns, 1h old: Failed\n  1 \\x1b[2JCrashed\n\nwhat to do\n")
    for title in ("where the time went", "what happened", "conditions", "models", "seconds of each model", "not read"):
        assert f"\n{title}\n" in text
    assert "`kubectl bitagent retry r`" in text
    assert "\x1b" not in text


def test_what_others_wrote_has_no_colours_of_its_own() -> None:
    results = [{"model": "\x1b[31mred", "state": "Running"}]
    assert "\x1b[31mred" not in story_of(Known("er", a_round(results), NOW), colours=True)


def test_a_large_round_shows_what_is_not_well() -> None:
    results = [{"model": f"m{i}", "state": "Succeeded"} for i in range(60)] + RESULTS
    text = story_of(Known("er", a_round(results), NOW))
    assert "m7 " not in text
    assert "61 more, with --all" in text
    assert "signal" in text
    assert "m7 " in story_of(Known("er", a_round(results), NOW), every=True)


@pytest.mark.parametrize("kind", ["mm", "val"])
def test_other_kinds_have_no_course(kind: str) -> None:
    obj = {"kind": "X", "metadata": {"name": "x", "namespace": "ns", "creationTimestamp": "2026-01-01T00:00:00Z"}}
    assert "where the time went" not in story_of(Known(kind, obj, NOW))
    assert document(Known(kind, obj, NOW))["spent"] == {}


def test_the_document() -> None:
    found = document(Known("er", a_round(RESULTS), NOW))
    assert found["ready"]["reason"] == "InfrastructureFaults"
    assert {each["reason"] for each in found["advice"]} == {"InfrastructureFaults", "Crashed"}
    assert found["spent"]["phases"][2] == {"part": "load", "seconds": 1.0, "share": 1.0}
    assert found["moments"][0]["at"] == "2026-01-01T00:00:00Z"
