"""Tasks as requests to an endpoint, and its replies as responses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.evaluation import RunSpec
from bitagent_crds.fields import BuiltinPromptFormat, PromptFormatName
from bitagent_crds.task_set import Task
from bitagent_evaluator.engines.openai import Address
from bitagent_evaluator.evaluation.endpoint_prompts import ToolChoice, allowed_names
from bitagent_evaluator.evaluation.remote import RemoteEvaluation, evaluate_endpoint
from bitagent_evaluator.prompts import prompt_format
from bitagent_evaluator.support.progress import LogProgress

DIGEST = "sha256:" + "1" * 64


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bitagent_evaluator.support.http.backoff_delay", lambda failures, **_: 0.0)


def task(number: int, name: str = "add", **more: Any) -> Task:
    parameters = {"type": "dict", "properties": {"a": {"type": "integer", "description": ""}}, "required": ["a"]}
    made: dict[str, Any] = {"id": f"t{number}", "source": "test", "category": "sums"}
    made |= {"messages": [{"role": "user", "content": f"Add {number}."}], "ground_truth": [{name: {"a": [number]}}]}
    made["functions"] = [{"name": name, "description": "Adds.", "parameters": parameters}]
    return Task.model_validate(made | more)


TASKS = [task(i) for i in range(6)]


def number_in(request: Any) -> int:
    return int(request.question.rpartition("Add ")[2].partition(".")[0])


def evaluation(url: str, out: Path, tasks: list[Task] = TASKS, **more: Any) -> RemoteEvaluation:
    chosen = {name: more.pop(name) for name in list(more) if name in RunSpec.model_fields}
    run = RunSpec(repo="org/m", task_set_digest=DIGEST, max_tokens=32, **chosen)
    return RemoteEvaluation(run=run, address=Address(url, "org/m"), tasks=tasks, out_dir=out, **more)


def run(url: str, out: Path, tasks: list[Task] = TASKS, **more: Any) -> Any:
    return evaluate_endpoint(evaluation(url, out, tasks, **more), LogProgress())


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
