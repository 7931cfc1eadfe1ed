"""`bitagent-eval tasks show --model`: the prompt of one task as a model gets it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bitagent_evaluator.cli import tasks
from bitagent_evaluator.prompts.tokenizer import SandboxedTokenizer
from bitagent_evaluator.tasks.files import read_task_set


def shown(built: Path, model: Path, *options: str) -> int:
    task_id = read_task_set(built)[1][0].id
    return tasks.main(["show", str(built), "--id", task_id, "--model", str(model), *options])


def test_the_prompt_has_the_special_tokens_of_the_template(
    built: Path, models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert shown(built, models / "tiny-fc-600", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    prompt, (first, *_) = found["prompt"], read_task_set(built)[1]
    assert found["task"]["id"] == first.id
    assert prompt["promptFormat"] == "ChatTemplate" and list(prompt["endTokens"].values()) == [2]
    assert first.messages[-1]["content"] in prompt["text"] and "<|im_start|>" in prompt["text"]
    with SandboxedTokenizer(models / "tiny-fc-600") as tokenizer:
        tokenizer.load()
        assert tokenizer.decode([prompt["tokenIds"]], special_tokens=True) == [prompt["text"]]


def test_a_repository_is_fetched_as_run_does(
    built: Path, models: Path, tmp_path: Path, hub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add("acme/tiny", models / "tiny-fc-600", "a" * 40)
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    monkeypatch.setenv("BITAGENT_MODEL_CACHE", str(tmp_path / "cache"))
    assert shown(built, Path("acme/tiny")) == 0
    assert (tmp_path / "cache/acme/tiny").is_dir()
    assert shown(built, Path("acme/nothing")) == 78
    assert shown(built, Path("no model")) == 2


def test_another_format_makes_another_prompt(built: Path, models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(built, models / "tiny-fc-600", "--prompt-format", "Vicuna") == 0
    output = capsys.readouterr().out
    assert "format Vicuna" in output and "USER:" in output and "an answer ends at" in output


def test_a_template_that_refuses_the_task_says_why(
    built: Path, checkpoint: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    (checkpoint.path / "chat_template.jinja").write_text("{{ raise_exception('no tools here') }}")
    assert shown(built, checkpoint.path, "--prompt-format", "ChatTemplate") == 0
    assert "no tools here" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("wrong", "code", "message"),
    [
        ("no model", 2, "has no config.json"),
        ("no id", 2, "--id"),
        ("no format", 2, "--prompt-format"),
        ("no template", 78, "TemplateRefused"),
    ],
)
def test_the_exit_code_says_why_not(
    built: Path, checkpoint: Any, capsys: pytest.CaptureFixture[str], wrong: str, code: int, message: str
) -> None:
    if wrong == "no template":
        (checkpoint.path / "chat_template.jinja").write_text("{{ 1 + }}")
    if wrong == "no id":
        assert tasks.main(["show", str(built), "--model", str(checkpoint.path)]) == code
    else:
        model = built if wrong == "no model" else checkpoint.path
        options = ["--prompt-format", "Unknown"] if wrong == "no format" else []
        assert shown(built, model, *options) == code
    assert message in capsys.readouterr().err
