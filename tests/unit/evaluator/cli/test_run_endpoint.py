"""`bitagent-eval run --endpoint`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.unit.evaluator.endpoint_runs import STATE, TASKS, number_in, task

from bitagent_crds.texts import digest_of
from bitagent_evaluator.cli import run as run_verb
from bitagent_evaluator.cli import score as score_verb
from bitagent_evaluator.tasks.files import encode_tasks


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bitagent_evaluator.support.http.backoff_delay", lambda failures, **_: 0.0)


def command(url: str, tasks: Path, out: Path, *more: str) -> int:
    return run_verb.main(["--endpoint", url, "--model-name", "org/m", "--tasks", str(tasks), "--out", str(out), *more])


@pytest.fixture
def task_file(tmp_path: Path) -> Path:
    """A tasks.jsonl."""
    (tmp_path / "tasks.jsonl").write_bytes(encode_tasks(TASKS))
    return tmp_path / "tasks.jsonl"


def test_the_command(
    fake_endpoint: Any,
    replies: Any,
    tmp_path: Path,
    task_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fake_endpoint.script = lambda r: replies.completion(f"[add(a={number_in(r) // 2 * 2})]")
    monkeypatch.setenv("MY_KEY", "secret\n")
    arguments = ["--api-key-env", "MY_KEY", "--concurrency", "2", "--prompt-format", "Bfcl", "--json"]
    arguments = ["--thinking", "Off", "--max-thought-tokens", "100", *arguments]
    assert command(fake_endpoint.url, task_file, tmp_path / "out", *arguments) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["score"], said["passed"], said["total"], said["promptFormat"]) == ("0.500000", 3, 6, "Bfcl")
    assert said["device"] == f"endpoint {fake_endpoint.url}"
    assert said["taskSetDigest"] == digest_of(encode_tasks(TASKS))
    assert fake_endpoint.requests[0].headers["authorization"] == "Bearer secret"
    assert fake_endpoint.requests[0].body["chat_template_kwargs"]["enable_thinking"] is False
    assert fake_endpoint.requests[0].body["max_tokens"] == 256 + 100
    assert (tmp_path / "out" / "summary.json").exists()
    assert command(fake_endpoint.url, task_file, tmp_path / "out", *arguments[:-1], "--limit", "2") == 0
    assert "org/m: 0.500000" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("url", "more", "code", "message"),
    [
        ("localhost:8000", [], 2, "not an http or https URL"),
        (
            "http://127.0.0.1:9/v1",
            ["--api-key-env", "NOT_SET_ANYWHERE"],
            2,
            "NOT_SET_ANYWHERE: this variable is not set",
        ),
        ("http://127.0.0.1:9/v1", [], 1, "http://127.0.0.1:9/v1 cannot be reached"),
        ("http://127.0.0.1:9/v1", ["--api-key-env", "A_KEY_OF_TWO_WORDS"], 2, "characters that a key cannot have"),
        ("http://[::1/v1", [], 2, "not an http or https URL"),
        ("http://127.0.0.1:port/v1", [], 2, "not an http or https URL"),
        ("http:///v1", [], 2, "and a host"),
        ("http://127.0.0.1:9/v1 ", [], 2, "a blank"),
        ("http://127.0.0.1:9/v1/chat/completions/", [], 2, "leave out /chat/completions"),
        ("http://127.0.0.1:9/api/chat", [], 2, "leave out /api/chat"),
    ],
    ids=["url", "key", "unreachable", "a broken key", "half an address", "port", "host", "blank", "path", "Ollama's"],
)
def test_the_command_fails(
    tmp_path: Path,
    task_file: Path,
    capsys: pytest.CaptureFixture[str],
    url: str,
    more: list[str],
    code: int,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("A_KEY_OF_TWO_WORDS", "two words")
    assert command(url, task_file, tmp_path / "out", *more) == code
    assert message in capsys.readouterr().err


def test_the_command_refuses_conversations(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tasks = [task(1, **STATE)]
    (tmp_path / "tasks.jsonl").write_bytes(encode_tasks(tasks))
    assert command("http://127.0.0.1:9/v1", tmp_path / "tasks.jsonl", tmp_path / "out") == 2
    assert "is a conversation" in capsys.readouterr().err


def test_an_unknown_format_is_wrong_usage(tmp_path: Path, task_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        command("http://127.0.0.1:9/v1", task_file, tmp_path / "out", "--prompt-format", "MarkdownTools")
    assert stopped.value.code == 2
    assert "ChatTemplate, Hammer" in capsys.readouterr().err


@pytest.mark.usefixtures("example_plugin")
def test_a_packages_format_is_run_and_scored_again(
    fake_endpoint: Any, replies: Any, tmp_path: Path, task_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_endpoint.script = lambda r: replies.completion(f'[{{"name": "add", "arguments": {{"a": {number_in(r)}}}}}]')
    out = tmp_path / "out"
    assert command(fake_endpoint.url, task_file, out, "--prompt-format", "MarkdownTools", "--json") == 0
    first = json.loads(capsys.readouterr().out)
    assert (first["promptFormat"], first["score"]) == ("MarkdownTools", "1.000000")
    again = ["--tasks", str(task_file), "--responses", str(out / "responses.jsonl"), "--out", str(tmp_path / "again")]
    for chosen in ([], ["--prompt-format", "MarkdownTools"]):
        assert score_verb.main([*again, *chosen, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["score"] == "1.000000"
