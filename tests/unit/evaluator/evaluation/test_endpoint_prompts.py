"""Tasks as requests to an endpoint, and its replies as responses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.unit.evaluator.endpoint_runs import TASKS, number_in, run, task

from bitagent_crds.fields import PromptFormatName
from bitagent_crds.task_forms import BuiltinPromptFormat
from bitagent_evaluator.evaluation.endpoint_prompts import ToolChoice, allowed_names
from bitagent_evaluator.evaluation.findings import FindingKind
from bitagent_evaluator.prompts import prompt_format


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bitagent_evaluator.support.http.backoff_delay", lambda failures, **_: 0.0)


@pytest.mark.parametrize("used", [f for f in BuiltinPromptFormat if f != BuiltinPromptFormat.AUTO])
def test_every_format_is_asked_as_it_is(
    fake_endpoint: Any, replies: Any, tmp_path: Path, used: PromptFormatName
) -> None:
    fake_endpoint.script = lambda r: replies.completion(f"[add(a={number_in(r)})]")
    assert run(fake_endpoint.url, tmp_path, prompt_format=used).aggregate.passed == 6
    sent, form = (
        fake_endpoint.requests[0],
        prompt_format(used).build_prompt(TASKS[number_in(fake_endpoint.requests[0])]),
    )
    if hasattr(form, "text"):
        assert (sent.path, sent.body["prompt"]) == ("/v1/completions", form.text)
    else:
        assert (sent.path, sent.body["messages"]) == ("/v1/chat/completions", form.messages)
        assert ("tools" in sent.body) is (used == BuiltinPromptFormat.CHAT_TEMPLATE)


@pytest.mark.parametrize(
    ("names", "sent"),
    [
        (["add"], ["add"]),
        (["math.add"], ["math_add"]),
        (["math.add", "math_add"], ["math_add_2", "math_add"]),
        (["a.b", "a/b", "a b"], ["a_b", "a_b_2", "a_b_3"]),
        (["ü" * 70], ["_" * 64]),
        (["x" * 70, "x" * 69], ["x" * 64, "x" * 60 + "_2"]),
        ([""], ["_"]),
    ],
)
def test_names_that_the_api_allows(names: list[str], sent: list[str]) -> None:
    assert list(map(allowed_names(names).get, names)) == sent


def test_names_come_back_as_the_tasks_have_them(fake_endpoint: Any, replies: Any, tmp_path: Path) -> None:
    fake_endpoint.script = lambda r: replies.completion(None, calls=[("math_add", json.dumps({"a": number_in(r)}))])
    tasks = [task(i, name="math.add") for i in range(3)]
    assert run(fake_endpoint.url, tmp_path, tasks).aggregate.passed == 3
    assert fake_endpoint.requests[0].body["tools"][0]["function"]["name"] == "math_add"
    assert tasks == [task(i, name="math.add") for i in range(3)]


def test_tool_choice_none_leaves_names_and_reads_text(fake_endpoint: Any, replies: Any, tmp_path: Path) -> None:
    fake_endpoint.script = lambda r: replies.completion(f"math.add(a={number_in(r)})")
    found = run(fake_endpoint.url, tmp_path, [task(3, name="math.add")], tool_choice=ToolChoice.NONE)
    assert found.aggregate.passed == 1
    assert fake_endpoint.requests[0].body["tool_choice"] == "none"
    assert fake_endpoint.requests[0].body["tools"][0]["function"]["name"] == "math.add"


@pytest.mark.parametrize(
    ("reason", "kind"), [("stop", FindingKind.ONLY_THOUGHT), ("length", FindingKind.CUT_IN_THOUGHT)]
)
@pytest.mark.parametrize("member", ["reasoning_content", "reasoning"])
def test_a_thought_without_an_answer_is_diagnosed_and_not_searched_for_calls(
    fake_endpoint: Any, replies: Any, tmp_path: Path, member: str, reason: str, kind: FindingKind
) -> None:
    def answer(request: Any) -> Any:
        found = replies.completion(None)
        thought = f"I call [add(a={number_in(request)})]"
        found.body["choices"][0] |= {"message": {"content": None, member: thought}, "finish_reason": reason}
        return found

    fake_endpoint.script = answer
    found = run(fake_endpoint.url, tmp_path)
    assert found.aggregate.passed == 0
    assert [(finding.kind, finding.count) for finding in found.findings] == [(kind, 6)]
