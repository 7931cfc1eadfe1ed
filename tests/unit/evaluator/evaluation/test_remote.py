"""Runs of a model behind an endpoint: requests, failures, and the files of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.unit.evaluator.endpoint_runs import DIGEST, STATE, TASKS, number_in, run, task

from bitagent_crds.evaluation import BuiltinScorer, RunSpec, Thinking
from bitagent_crds.results import Response, ResultsManifest, Unanswered
from bitagent_crds.task_forms import BuiltinPromptFormat, Expects
from bitagent_crds.task_set import Task
from bitagent_evaluator.engines.openai import Address, Endpoint
from bitagent_evaluator.evaluation.endpoint_prompts import ToolChoice, endpoint_request
from bitagent_evaluator.evaluation.remote import RemoteEvaluation, UnsuitedTasks, ask_endpoint, evaluate_endpoint
from bitagent_evaluator.evaluation.timeline import read_timeline
from bitagent_evaluator.prompts import prompt_format
from bitagent_evaluator.support.faults import InfrastructureFault
from bitagent_evaluator.support.progress import LogProgress


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bitagent_evaluator.support.http.backoff_delay", lambda failures, **_: 0.0)


TEXT = {"expects": Expects.TEXT, "ground_truth": None, "reference": "yes"}


def test_tools_and_calls(fake_endpoint: Any, replies: Any, tmp_path: Path) -> None:
    fake_endpoint.script = lambda r: replies.completion("I will add.", calls=[("add", json.dumps({"a": number_in(r)}))])
    found = run(fake_endpoint.url, tmp_path)
    assert (found.aggregate.passed, found.aggregate.total, found.run.prompt_format) == (
        6,
        6,
        BuiltinPromptFormat.CHAT_TEMPLATE,
    )
    request = fake_endpoint.requests[0]
    assert request.path == "/v1/chat/completions"
    assert request.body["tools"][0]["function"]["name"] == "add"
    assert (request.body["tool_choice"], request.body["temperature"], request.body["max_tokens"]) == ("auto", 0.0, 32)
    response = Response.model_validate_json((tmp_path / "responses.jsonl").read_bytes().splitlines()[0])
    assert json.loads(response.text)["tool_calls"][0]["function"] == {"name": "add", "arguments": '{"a": 0}'}
    assert (response.finish_reason, response.prompt_tokens, response.completion_tokens) == ("stop", 7, 3)


def test_the_manifest_names_the_endpoint_and_no_secret(fake_endpoint: Any, replies: Any, tmp_path: Path) -> None:
    fake_endpoint.script = lambda r: replies.completion(f"[add(a={number_in(r)})]", cut_off=True)
    address = Address(fake_endpoint.url.replace("http://", "http://me:word@") + "?token=x", "org/m", "secret")
    run = RunSpec(repo="org/m", task_set_digest=DIGEST, max_tokens=32)
    given = RemoteEvaluation(run=run, address=address, tasks=TASKS, out_dir=tmp_path)
    assert evaluate_endpoint(given, LogProgress()).aggregate.passed == 6
    manifest = ResultsManifest.model_validate_json((tmp_path / "manifest.json").read_bytes())
    assert (manifest.repo, manifest.weights_digest, manifest.commit) == ("org/m", None, None)
    assert manifest.device == f"endpoint {fake_endpoint.url}"
    assert manifest.engine == {
        "url": fake_endpoint.url, "model": "org/m", "temperature": 0.0, "max_tokens": 32, "tool_choice": "auto",
    }  # fmt: skip
    assert "openai" in manifest.packages
    written = "".join(path.read_text() for path in tmp_path.iterdir())
    assert "secret" not in written and "word" not in written and "token=x" not in written


def test_an_endpoint_is_told_to_think_and_has_room_for_it(fake_endpoint: Any, replies: Any, tmp_path: Path) -> None:
    fake_endpoint.script = lambda r: replies.completion(f"<think>Hm.</think>[add(a={number_in(r)})]")
    found = run(fake_endpoint.url, tmp_path, thinking=Thinking.ON, max_thought_tokens=1000)
    assert found.aggregate.passed == 6
    switches = {"enable_thinking": True, "thinking": True}
    body = fake_endpoint.requests[0].body
    assert (body["max_tokens"], body["chat_template_kwargs"]) == (1032, switches)
    manifest = ResultsManifest.model_validate_json((tmp_path / "manifest.json").read_bytes())
    assert (manifest.thinking, manifest.max_tokens, manifest.max_thought_tokens) == ("On", 32, 1000)
    assert (manifest.engine["max_tokens"], manifest.engine["chat_template_kwargs"]) == (1032, switches)


def test_a_format_of_finished_texts_asks_no_template_to_think(
    fake_endpoint: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run(fake_endpoint.url, tmp_path, thinking=Thinking.OFF, prompt_format="ChatML")
    assert "chat_template_kwargs" not in fake_endpoint.requests[0].body
    assert sum("uses no chat template" in record.message for record in caplog.records) == 1


def test_a_run_that_was_stopped_goes_on(fake_endpoint: Any, replies: Any, tmp_path: Path) -> None:
    right = lambda r: replies.completion(f"[add(a={number_in(r)})]")  # noqa: E731
    fake_endpoint.script = lambda r: right(r) if len(fake_endpoint.requests) <= 2 else replies.error(401)
    with pytest.raises(InfrastructureFault, match="answered 401"):
        run(fake_endpoint.url, tmp_path, concurrency=1)
    assert not (tmp_path / "manifest.json").exists()
    fake_endpoint.requests.clear()
    fake_endpoint.script = right
    found = run(fake_endpoint.url, tmp_path)
    assert (found.aggregate.passed, found.resumed, len(fake_endpoint.requests)) == (6, 2, 4)
    timeline = read_timeline(tmp_path)
    assert timeline is not None and timeline.answers == [2, 3, 4, 5, 6]
    found = run(fake_endpoint.url, tmp_path)
    assert (found.aggregate.passed, found.resumed, len(fake_endpoint.requests)) == (6, 6, 4)
    assert run(fake_endpoint.url, tmp_path, fresh=True).resumed == 0
    assert run(fake_endpoint.url, tmp_path, tool_choice=ToolChoice.NONE).resumed == 0, "asked otherwise"


def test_a_refused_task_fails_alone(fake_endpoint: Any, replies: Any, tmp_path: Path) -> None:
    def answer(request: Any) -> Any:
        number = number_in(request)
        return replies.error(400, "too long") if number == 2 else replies.completion(f"[add(a={number})]")

    fake_endpoint.script = answer
    found = run(fake_endpoint.url, tmp_path)
    assert (found.aggregate.passed, found.aggregate.total, found.too_long, list(found.refused)) == (5, 6, 0, ["t2"])
    verdicts = [json.loads(line) for line in (tmp_path / "verdicts.jsonl").read_bytes().splitlines()]
    (refused,) = [verdict for verdict in verdicts if verdict["error"] == "prompt_refused"]
    assert refused["id"] == "t2" and refused["detail"].startswith("the endpoint: ") and "too long" in refused["detail"]


@pytest.mark.parametrize(
    "body",
    [
        {"choices": [{"message": {"content": {"odd": 1}}}]},
        {"error": {"message": "the prompt is odd"}},
        b"<h1>Oops</h1>",
    ],
    ids=["content", "error", "page"],
)
def test_an_answer_that_cannot_be_read_costs_one_task(
    fake_endpoint: Any, replies: Any, tmp_path: Path, body: Any
) -> None:
    def answer(request: Any) -> Any:
        number = number_in(request)
        return replies.raw(body=body) if number == 2 else replies.completion(f"[add(a={number})]")

    fake_endpoint.script = answer
    found = run(fake_endpoint.url, tmp_path)
    assert (found.aggregate.passed, found.aggregate.total, list(found.refused)) == (5, 6, ["t2"])


def errors(out: Path) -> list[str]:
    return [json.loads(line)["error"] for line in (out / "verdicts.jsonl").read_text().splitlines()]


def test_tasks_after_the_budget_are_not_asked(fake_endpoint: Any, replies: Any, tmp_path: Path) -> None:
    fake_endpoint.script = lambda request: replies.completion(f"[add(a={number_in(request)})]")
    bounds = {"mean_answer_tokens": 1, "concurrency": 1, "tool_choice": ToolChoice.NONE}
    outcome = run(fake_endpoint.url, tmp_path, **bounds)
    assert errors(tmp_path) == ["", ""] + ["budget_exceeded"] * 4, "six tokens are two answers of three"
    assert (len(fake_endpoint.requests), dict(outcome.unanswered)) == (2, {Unanswered.BUDGET_EXCEEDED: 4})
    again = run(fake_endpoint.url, tmp_path, **bounds)
    assert (len(fake_endpoint.requests), again.result_digest) == (2, outcome.result_digest)


def test_prompts_that_the_endpoint_counts_as_too_long_fail(fake_endpoint: Any, replies: Any, tmp_path: Path) -> None:
    fake_endpoint.script = lambda request: replies.completion(f"[add(a={number_in(request)})]")
    outcome = run(fake_endpoint.url, tmp_path, max_prompt_tokens=6)
    assert (errors(tmp_path), outcome.aggregate.passed) == (["prompt_too_long"] * 6, 0)


def test_prompts_that_no_one_counts_are_pointed_out(
    fake_endpoint: Any, replies: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fake_endpoint.reply_with(replies.raw(body={"choices": [{"message": {"content": "[add(a=1)]"}}]}))
    assert run(fake_endpoint.url, tmp_path, max_prompt_tokens=6).aggregate.passed == 1
    assert [record.args for record in caplog.records if "count" in record.msg] == [(6,)]


@pytest.mark.parametrize(
    ("status", "words", "message"),
    [
        (500, "no", "1 tasks got no answer, such as t2: .*; the others are kept"),
        (503, "no", "answered 503"),
        (402, "no", "see to the account"),
        (400, "Your credit balance is too low", "credit balance"),
        (400, "Model unloaded.", "Model unloaded"),
        (200, "no credits left", "answered 402"),
    ],
    ids=["an error", "overloaded", "an account", "an account, as bad request", "no model", "an error in a reply"],
)
def test_a_task_without_an_answer_makes_no_score(
    fake_endpoint: Any, replies: Any, tmp_path: Path, status: int, words: str, message: str
) -> None:
    def answer(request: Any) -> Any:
        number = number_in(request)
        if number != 2:
            return replies.completion(f"[add(a={number})]")
        return replies.raw(status=status, body={"error": {"message": words, "code": 402 if status == 200 else None}})

    fake_endpoint.script = answer
    with pytest.raises(InfrastructureFault, match=message):
        run(fake_endpoint.url, tmp_path)
    assert not (tmp_path / "manifest.json").exists()


def test_when_all_are_refused_it_is_not_the_models_fault(fake_endpoint: Any, replies: Any, tmp_path: Path) -> None:
    fake_endpoint.reply_with(replies.error(400, '"auto" tool choice requires --enable-auto-tool-choice'))
    with pytest.raises(InfrastructureFault, match="--enable-auto-tool-choice"):
        run(fake_endpoint.url, tmp_path)


@pytest.mark.parametrize(
    ("tasks", "more", "message"),
    [
        ([task(1, **STATE)], {}, "task t1 is a conversation; through an endpoint only single questions"),
        ([task(1, **TEXT)], {}, "task t1 has only a reference text"),
        ([task(1)], {"scorer": BuiltinScorer.LOSS}, "scorer Loss needs the model itself"),
    ],
    ids=["conversation", "text", "loss"],
)  # fmt: skip
def test_what_an_endpoint_cannot_serve(tmp_path: Path, tasks: list[Task], more: dict[str, Any], message: str) -> None:
    with pytest.raises(UnsuitedTasks, match=message):
        run("http://127.0.0.1:9/v1", tmp_path / "out", tasks, **more)
    assert not (tmp_path / "out").exists()


async def test_asking_without_files(fake_endpoint: Any, replies: Any) -> None:
    fake_endpoint.script = lambda r: replies.error(400) if number_in(r) == 1 else replies.completion("yes")
    kept: list[Response] = []
    questions = [
        endpoint_request(t, prompt_format(BuiltinPromptFormat.BFCL).build_prompt(t), tool_choice=ToolChoice.AUTO)
        for t in TASKS
    ]
    async with Endpoint(Address(fake_endpoint.url, "m"), timeout_seconds=5) as endpoint:
        failed = await ask_endpoint(endpoint, questions, max_tokens=4, concurrency=2, keep=kept.append)
    assert list(failed) == ["t1"]
    assert sorted(response.id for response in kept) == ["t0", "t2", "t3", "t4", "t5"]


@pytest.mark.usefixtures("example_plugin")
def test_a_packages_format_is_sent_and_its_syntaxes_are_read(fake_endpoint: Any, replies: Any, tmp_path: Path) -> None:
    fake_endpoint.script = lambda r: replies.completion(f'[{{"name": "add", "arguments": {{"a": {number_in(r)}}}}}]')
    found = run(fake_endpoint.url, tmp_path, prompt_format="MarkdownTools")
    assert (found.run.prompt_format, found.aggregate.passed) == ("MarkdownTools", 6)
    system, question = fake_endpoint.requests[0].body["messages"]
    assert system["content"].startswith("# Tools\n- `add`: ") and question["role"] == "user"
    manifest = ResultsManifest.model_validate_json((tmp_path / "manifest.json").read_bytes())
    assert (manifest.prompt_format, manifest.syntaxes) == ("MarkdownTools", ["JsonList"])


def test_a_format_of_no_package_is_an_infrastructure_fault(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureFault, match="no prompt format 'MarkdownTools'; there are: Alpaca, "):
        run("http://127.0.0.1:9/v1", tmp_path / "out", prompt_format="MarkdownTools")
    assert not (tmp_path / "out").exists()
