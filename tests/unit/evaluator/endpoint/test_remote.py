"""Tasks asked through an endpoint: what is sent in which format, what becomes of replies and failures, and the files of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.evaluation import Scorer
from bitagent_crds.fields import PromptFormat
from bitagent_crds.results import Expects, Response, ResultsManifest, Task
from bitagent_evaluator.cli import run as run_verb
from bitagent_evaluator.endpoint import Address, Endpoint
from bitagent_evaluator.endpoint import client as client_module
from bitagent_evaluator.faults import InfrastructureFault
from bitagent_evaluator.formats import prompt_format
from bitagent_evaluator.progress import LogProgress
from bitagent_evaluator.runs.questions import ToolChoice, allowed_names, question
from bitagent_evaluator.runs.remote import RemoteEvaluation, UnsuitedTasks, ask_endpoint, evaluate_endpoint
from bitagent_evaluator.runs.timeline import read_timeline
from bitagent_evaluator.tasks.files import digest_of, encode_tasks

DIGEST = "sha256:" + "1" * 64


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "seconds_before", lambda attempt, **_: 0.0)


def task(number: int, name: str = "add", **more: Any) -> Task:
    parameters = {"type": "dict", "properties": {"a": {"type": "integer", "description": ""}}, "required": ["a"]}
    made: dict[str, Any] = {"id": f"t{number}", "source": "test", "category": "sums"}
    made |= {"messages": [{"role": "user", "content": f"Add {number}."}], "ground_truth": [{name: {"a": [number]}}]}
    made["functions"] = [{"name": name, "description": "Adds.", "parameters": parameters}]
    return Task.model_validate(made | more)


CONVERSATION = {"turns": [[]], "ground_truth": [[]], "classes": ["GorillaFileSystem"], "initial_state": {}}
STATE = {"expects": Expects.STATE, "ground_truth": None, "conversation": CONVERSATION}
TEXT = {"expects": Expects.TEXT, "ground_truth": None, "reference": "yes"}
TASKS = [task(i) for i in range(6)]


def number_in(request: Any) -> int:
    return int(request.question.rpartition("Add ")[2].partition(".")[0])


def evaluation(url: str, out: Path, tasks: list[Task] = TASKS, **more: Any) -> RemoteEvaluation:
    return RemoteEvaluation(
        address=Address(url, "org/m"), tasks=tasks, task_set_digest=DIGEST, out_dir=out, max_tokens=32, **more
    )


def run(url: str, out: Path, tasks: list[Task] = TASKS, **more: Any) -> Any:
    return evaluate_endpoint(evaluation(url, out, tasks, **more), LogProgress())


def test_tools_and_calls(stand_in: Any, script: Any, tmp_path: Path) -> None:
    stand_in.script = lambda r: script.said("I will add.", calls=[("add", json.dumps({"a": number_in(r)}))])
    found = run(stand_in.url, tmp_path)
    assert (found.aggregate.passed, found.aggregate.total, found.prompt_format) == (6, 6, PromptFormat.CHAT_TEMPLATE)
    request = stand_in.requests[0]
    assert request.path == "/v1/chat/completions"
    assert request.body["tools"][0]["function"]["name"] == "add"
    assert (request.body["tool_choice"], request.body["temperature"], request.body["max_tokens"]) == ("auto", 0.0, 32)
    response = Response.model_validate_json((tmp_path / "responses.jsonl").read_bytes().splitlines()[0])
    assert json.loads(response.text)["tool_calls"][0]["function"] == {"name": "add", "arguments": '{"a": 0}'}
    assert (response.finish_reason, response.prompt_tokens, response.completion_tokens) == ("stop", 7, 3)


def test_the_manifest_names_the_endpoint_and_no_secret(stand_in: Any, script: Any, tmp_path: Path) -> None:
    stand_in.script = lambda r: script.said(f"[add(a={number_in(r)})]", cut_off=True)
    address = Address(stand_in.url.replace("http://", "http://me:word@") + "?token=x", "org/m", "secret")
    given = RemoteEvaluation(address=address, tasks=TASKS, task_set_digest=DIGEST, out_dir=tmp_path, max_tokens=32)
    assert evaluate_endpoint(given, LogProgress()).aggregate.passed == 6
    manifest = ResultsManifest.model_validate_json((tmp_path / "manifest.json").read_bytes())
    assert (manifest.repo, manifest.weights_digest, manifest.commit) == ("org/m", None, None)
    assert manifest.device == f"endpoint {stand_in.url}"
    assert manifest.engine == {
        "url": stand_in.url, "model": "org/m", "temperature": 0.0, "max_tokens": 32, "tool_choice": "auto",
    }  # fmt: skip
    assert "openai" in manifest.packages
    written = "".join(path.read_text() for path in tmp_path.iterdir())
    assert "secret" not in written and "word" not in written and "token=x" not in written


@pytest.mark.parametrize("used", [f for f in PromptFormat if f is not PromptFormat.AUTO])
def test_every_format_is_asked_as_it_is(stand_in: Any, script: Any, tmp_path: Path, used: PromptFormat) -> None:
    stand_in.script = lambda r: script.said(f"[add(a={number_in(r)})]")
    assert run(stand_in.url, tmp_path, prompt_format=used).aggregate.passed == 6
    sent, form = stand_in.requests[0], prompt_format(used).chat(TASKS[number_in(stand_in.requests[0])])
    if hasattr(form, "text"):
        assert (sent.path, sent.body["prompt"]) == ("/v1/completions", form.text)
    else:
        assert (sent.path, sent.body["messages"]) == ("/v1/chat/completions", form.messages)
        assert ("tools" in sent.body) is (used is PromptFormat.CHAT_TEMPLATE)


@pytest.mark.parametrize(
    ("names", "sent"),
    [
        (["add"], ["add"]), (["math.add"], ["math_add"]), (["math.add", "math_add"], ["math_add_2", "math_add"]),
        (["a.b", "a/b", "a b"], ["a_b", "a_b_2", "a_b_3"]), (["ü" * 70], ["_" * 64]), (["x" * 70, "x" * 69], ["x" * 64, "x" * 60 + "_2"]),
        ([""], ["_"]),
    ],
)  # fmt: skip
def test_names_that_the_api_allows(names: list[str], sent: list[str]) -> None:
    assert list(map(allowed_names(names).get, names)) == sent


def test_names_come_back_as_the_tasks_have_them(stand_in: Any, script: Any, tmp_path: Path) -> None:
    stand_in.script = lambda r: script.said(None, calls=[("math_add", json.dumps({"a": number_in(r)}))])
    tasks = [task(i, name="math.add") for i in range(3)]
    assert run(stand_in.url, tmp_path, tasks).aggregate.passed == 3
    assert stand_in.requests[0].body["tools"][0]["function"]["name"] == "math_add"
    assert tasks == [task(i, name="math.add") for i in range(3)]


def test_tool_choice_none_leaves_names_and_reads_text(stand_in: Any, script: Any, tmp_path: Path) -> None:
    stand_in.script = lambda r: script.said(f"math.add(a={number_in(r)})")
    found = run(stand_in.url, tmp_path, [task(3, name="math.add")], tool_choice=ToolChoice.NONE)
    assert found.aggregate.passed == 1
    assert stand_in.requests[0].body["tool_choice"] == "none"
    assert stand_in.requests[0].body["tools"][0]["function"]["name"] == "math.add"


def test_a_run_that_was_stopped_goes_on(stand_in: Any, script: Any, tmp_path: Path) -> None:
    right = lambda r: script.said(f"[add(a={number_in(r)})]")  # noqa: E731
    stand_in.script = lambda r: right(r) if len(stand_in.requests) <= 2 else script.problem(401)
    with pytest.raises(InfrastructureFault, match="answered 401"):
        run(stand_in.url, tmp_path, concurrency=1)
    assert not (tmp_path / "manifest.json").exists()
    stand_in.requests.clear()
    stand_in.script = right
    found = run(stand_in.url, tmp_path)
    assert (found.aggregate.passed, found.resumed, len(stand_in.requests)) == (6, 2, 4)
    timeline = read_timeline(tmp_path)
    assert timeline is not None and timeline.answers == [2, 3, 4, 5, 6]
    found = run(stand_in.url, tmp_path)
    assert (found.aggregate.passed, found.resumed, len(stand_in.requests)) == (6, 6, 4)
    assert run(stand_in.url, tmp_path, fresh=True).resumed == 0
    assert run(stand_in.url, tmp_path, tool_choice=ToolChoice.NONE).resumed == 0, "asked otherwise"


def test_a_refused_task_fails_alone(stand_in: Any, script: Any, tmp_path: Path) -> None:
    def answer(request: Any) -> Any:
        number = number_in(request)
        return script.problem(400, "too long") if number == 2 else script.said(f"[add(a={number})]")

    stand_in.script = answer
    found = run(stand_in.url, tmp_path)
    assert (found.aggregate.passed, found.aggregate.total, found.too_long, list(found.refused)) == (5, 6, 0, ["t2"])
    verdicts = [json.loads(line) for line in (tmp_path / "verdicts.jsonl").read_bytes().splitlines()]
    (refused,) = [verdict for verdict in verdicts if verdict["error"] == "prompt_refused"]
    assert refused["id"] == "t2" and refused["detail"].startswith("the endpoint: ") and "too long" in refused["detail"]


@pytest.mark.parametrize(
    ("status", "message"), [(500, "1 tasks got no answer, such as t2: .*; the others are kept"), (503, "answered 503")]
)
def test_a_task_without_an_answer_makes_no_score(
    stand_in: Any, script: Any, tmp_path: Path, status: int, message: str
) -> None:
    def answer(request: Any) -> Any:
        number = number_in(request)
        return script.problem(status) if number == 2 else script.said(f"[add(a={number})]")

    stand_in.script = answer
    with pytest.raises(InfrastructureFault, match=message):
        run(stand_in.url, tmp_path)
    assert not (tmp_path / "manifest.json").exists()


def test_when_all_are_refused_it_is_not_the_models_fault(stand_in: Any, script: Any, tmp_path: Path) -> None:
    stand_in.says(script.problem(400, '"auto" tool choice requires --enable-auto-tool-choice'))
    with pytest.raises(InfrastructureFault, match=r"all 6 tasks were refused: .*--enable-auto-tool-choice"):
        run(stand_in.url, tmp_path)


@pytest.mark.parametrize(
    ("tasks", "more", "message"),
    [
        ([task(1, **STATE)], {}, "task t1 is a conversation; through an endpoint only single questions"),
        ([task(1, **TEXT)], {}, "task t1 has only a reference text"),
        ([task(1)], {"scorer": Scorer.LOSS}, "scorer Loss needs the model itself"),
    ],
    ids=["conversation", "text", "loss"],
)  # fmt: skip
def test_what_an_endpoint_cannot_serve(tmp_path: Path, tasks: list[Task], more: dict[str, Any], message: str) -> None:
    with pytest.raises(UnsuitedTasks, match=message):
        run("http://127.0.0.1:9/v1", tmp_path / "out", tasks, **more)
    assert not (tmp_path / "out").exists()


async def test_asking_without_files(stand_in: Any, script: Any) -> None:
    stand_in.script = lambda r: script.problem(400) if number_in(r) == 1 else script.said("yes")
    kept: list[Response] = []
    questions = [question(t, prompt_format(PromptFormat.BFCL).chat(t), tool_choice=ToolChoice.AUTO) for t in TASKS]
    async with Endpoint(Address(stand_in.url, "m"), timeout_seconds=5) as endpoint:
        failed = await ask_endpoint(endpoint, questions, max_tokens=4, concurrency=2, keep=kept.append)
    assert list(failed) == ["t1"]
    assert sorted(response.id for response in kept) == ["t0", "t2", "t3", "t4", "t5"]


# The command


def command(url: str, tasks: Path, out: Path, *more: str) -> int:
    return run_verb.main(["--endpoint", url, "--model-name", "org/m", "--tasks", str(tasks), "--out", str(out), *more])


@pytest.fixture
def task_file(tmp_path: Path) -> Path:
    """A tasks.jsonl."""
    (tmp_path / "tasks.jsonl").write_bytes(encode_tasks(TASKS))
    return tmp_path / "tasks.jsonl"


def test_the_command(
    stand_in: Any, script: Any, tmp_path: Path, task_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    stand_in.script = lambda r: script.said(f"[add(a={number_in(r) // 2 * 2})]")
    monkeypatch.setenv("MY_KEY", "secret")
    arguments = ["--api-key-env", "MY_KEY", "--concurrency", "2", "--prompt-format", "Bfcl", "--json"]
    assert command(stand_in.url, task_file, tmp_path / "out", *arguments) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["score"], said["passed"], said["total"], said["promptFormat"]) == ("0.500000", 3, 6, "Bfcl")
    assert said["device"] == f"endpoint {stand_in.url}"
    assert said["taskSetDigest"] == digest_of(encode_tasks(TASKS))
    assert stand_in.requests[0].headers["authorization"] == "Bearer secret"
    assert (tmp_path / "out" / "summary.json").exists()
    assert command(stand_in.url, task_file, tmp_path / "out", *arguments[:-1], "--limit", "2") == 0
    assert "org/m: 0.500000" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("url", "more", "code", "message"),
    [
        ("localhost:8000", [], 2, "no http or https URL"),
        ("http://127.0.0.1:9/v1", ["--api-key-env", "NOT_SET_ANYWHERE"], 2, "NOT_SET_ANYWHERE: this variable is not set"),
        ("http://127.0.0.1:9/v1", [], 1, "http://127.0.0.1:9/v1 cannot be reached"),
    ],
    ids=["url", "key", "nobody"],
)  # fmt: skip
def test_the_command_fails(
    tmp_path: Path, task_file: Path, capsys: pytest.CaptureFixture[str], url: str, more: list[str], code: int, message: str
) -> None:  # fmt: skip
    assert command(url, task_file, tmp_path / "out", *more) == code
    assert message in capsys.readouterr().err


def test_the_command_refuses_conversations(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tasks = [task(1, **STATE)]
    (tmp_path / "tasks.jsonl").write_bytes(encode_tasks(tasks))
    assert command("http://127.0.0.1:9/v1", tmp_path / "tasks.jsonl", tmp_path / "out") == 2
    assert "is a conversation" in capsys.readouterr().err
