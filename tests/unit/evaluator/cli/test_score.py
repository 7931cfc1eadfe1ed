"""`bitagent-eval score`: results, prompt formats, unusable input, and verbs that are stopped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.results import Response, Verdict
from bitagent_crds.task_forms import Expects
from bitagent_crds.task_set import Task
from bitagent_evaluator.cli import app, score
from bitagent_evaluator.conformance import text_response
from bitagent_evaluator.scoring.scorers import score as score_responses
from bitagent_evaluator.tasks.files import MANIFEST, TASKS, encode_tasks, read_task_set

FUNCTION = {
    "name": "f",
    "description": "",
    "parameters": {"type": "dict", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
}
TASK = Task(
    id="t", source="jsonl", category="c", messages=[{"role": "user", "content": "?"}], functions=[FUNCTION],
    ground_truth=[{"f": {"a": [1]}}],
)  # fmt: skip
BLOCK = text_response(TASK, '<tool_call>{"name": "f", "arguments": {"a": 1}}</tool_call>')


def passed(tmp_path: Path, responses: Path, capsys: pytest.CaptureFixture[str], *options: str) -> int:
    (tmp_path / "tasks.jsonl").write_bytes(encode_tasks([TASK]))
    arguments = ["--tasks", str(tmp_path / "tasks.jsonl"), "--responses", str(responses), "--json", *options]
    assert score.main([*arguments, "--out", str(tmp_path / "out.jsonl")]) == 0
    return int(json.loads(capsys.readouterr().out)["passed"])


@pytest.fixture
def results(results_directory: Any) -> Path:
    """Results of a run with the model's own chat template."""
    directory: Path = results_directory("run", score_responses([TASK], [BLOCK]), [BLOCK])
    text = (directory / "manifest.json").read_text()
    (directory / "manifest.json").write_text(text.replace('"prompt_format": "Bfcl"', '"prompt_format": "ChatTemplate"'))
    return directory


def test_answers_of_a_run_are_read_in_its_format(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert passed(tmp_path, results / "responses.jsonl", capsys) == 1
    assert passed(tmp_path, results / "responses.jsonl", capsys, "--prompt-format", "Bfcl") == 0


def test_calls_of_an_official_result_file_are_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Models that are asked through an API's tools have their calls as objects there, with names without dots."""
    task = TASK.model_copy(
        update={"functions": [FUNCTION | {"name": "math.f"}], "ground_truth": [{"math.f": {"a": [1]}}]}
    )
    (tmp_path / "tasks.jsonl").write_bytes(encode_tasks([task]))
    (tmp_path / "result.json").write_text(json.dumps({"id": "t", "result": [{"math_f": '{"a": 1}'}], "latency": 0.1}))
    arguments = ["--tasks", str(tmp_path / "tasks.jsonl"), "--responses", str(tmp_path / "result.json"), "--json"]
    assert score.main([*arguments, "--out", str(tmp_path / "out.jsonl")]) == 0
    assert json.loads(capsys.readouterr().out)["passed"] == 1


def test_a_manifest_says_nothing_of_other_answers(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    others = results / "others.jsonl"
    others.write_text(Response.model_copy(BLOCK, update={"prompt_tokens": 7}).model_dump_json())
    assert passed(tmp_path, others, capsys) == 0


def test_unknown_and_repeated_ids_are_in_the_diagnosis(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "tasks.jsonl").write_bytes(encode_tasks([TASK]))
    answers = [{"id": task_id, "text": "[f(a=1)]"} for task_id in ("t", "t", "other")]
    (tmp_path / "answers.jsonl").write_text("".join(json.dumps(answer) + "\n" for answer in answers))
    arguments = ["--tasks", str(tmp_path / "tasks.jsonl"), "--responses", str(tmp_path / "answers.jsonl")]
    assert score.main([*arguments, "--out", str(tmp_path / "out.jsonl")]) == 0
    shown = capsys.readouterr().out
    assert "1 of 3 answers belong to no task" in shown and "1 of 3 answers are further ones" in shown


def test_a_stopped_verb_says_so_and_no_more(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(argv: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(score, "main", stopped)
    assert app.main(["score"]) == 1
    assert capsys.readouterr() == ("", "bitagent-eval score: stopped\n")


@pytest.fixture
def responses(built: Path) -> Path:
    path = built.parent / "responses.jsonl"
    answers = [f"[add(a={task.id.removeprefix('sum-')})]" for task in read_task_set(built)[1]]
    texts = [answers[0], "no idea", answers[2]]
    lines = [
        Response(id=task.id, text=text, finish_reason="stop", prompt_tokens=1, completion_tokens=1).model_dump_json()
        for task, text in zip(read_task_set(built)[1], texts, strict=False)
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("tasks", ["", TASKS], ids=["directory", "file"])
def test_the_score_as_json(built: Path, responses: Path, capsys: pytest.CaptureFixture[str], tasks: str) -> None:
    out = built.parent / "verdicts.jsonl"
    assert score.main(["--tasks", str(built / tasks), "--responses", str(responses), "--out", str(out), "--json"]) == 0
    outcome = json.loads(capsys.readouterr().out)
    low, high = outcome["interval"]
    assert low < "0.500000" < high
    assert outcome["categories"]["jsonl"].pop("interval") is not None
    found = [(of["kind"], of["count"], of["of"]) for of in outcome.pop("findings")]
    assert found == [("WithoutCall", 1, 3), ("Absent", 1, 4)]
    assert outcome == {
        "passed": 2,
        "total": 4,
        "score": "0.500000",
        "interval": [low, high],
        "categories": {"jsonl": {"passed": 2, "total": 4, "score": "0.500000"}},
        "absent": 1,
    }
    verdicts = [Verdict.model_validate_json(text) for text in out.read_text().splitlines()]
    assert [verdict.error for verdict in verdicts] == ["", "ast_decoder:decoder_failed", "", "no_response"]


@pytest.mark.parametrize(("prompt_format", "passed"), [("Hammer", True), ("Bfcl", False)])
def test_answers_are_read_as_they_were_asked_for(built: Path, prompt_format: str, passed: bool) -> None:
    first = json.loads((built / "tasks.jsonl").read_text().splitlines()[0])
    calls = [
        {"name": name, "arguments": {key: values[0] for key, values in arguments.items()}}
        for call in first["ground_truth"]
        for name, arguments in call.items()
    ]
    answer = {
        "id": first["id"],
        "text": json.dumps(calls),
        "finish_reason": "stop",
        "prompt_tokens": 1,
        "completion_tokens": 1,
    }
    answers, out = built.parent / "json.jsonl", built.parent / "json-verdicts.jsonl"
    answers.write_text(json.dumps(answer) + "\n")
    words = ["--tasks", str(built), "--responses", str(answers), "--out", str(out), "--prompt-format", prompt_format]
    assert score.main(words) == 0
    verdicts = {v.id: v for v in map(Verdict.model_validate_json, out.read_text().splitlines())}
    assert verdicts[first["id"]].passed is passed


def test_the_score_on_the_terminal(built: Path, responses: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = built.parent / "verdicts.jsonl"
    assert score.main(["--tasks", str(built), "--responses", str(responses), "--out", str(out)]) == 0
    captured = capsys.readouterr()
    assert "0.500000" in captured.out
    assert "50.0%" in captured.out
    assert captured.out.startswith("diagnosis")
    assert "1 of 4 tasks have no answer" in captured.out and not captured.err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("not json\n", "responses.jsonl, line 1: not JSON"),
        ('\n{"id": "x"}\n', "responses.jsonl, line 2: an answer is"),
        ("", "has no response"),
        ('{"id": "other", "text": "x"}\n', "id is 'other'"),
    ],
    ids=["json", "field", "empty", "answers to other tasks"],
)
def test_unusable_responses_are_2(
    built: Path, responses: Path, capsys: pytest.CaptureFixture[str], content: str, message: str
) -> None:
    responses.write_text(content)
    assert score.main(["--tasks", str(built), "--responses", str(responses), "--out", str(built.parent / "v")]) == 2
    assert message in capsys.readouterr().err


def test_a_changed_task_set_is_not_scored(built: Path, responses: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (built / TASKS).write_text("")
    assert (built / MANIFEST).exists()
    assert score.main(["--tasks", str(built), "--responses", str(responses), "--out", str(built.parent / "v")]) == 2
    assert "was changed" in capsys.readouterr().err


def test_kinds_weigh_equally_if_the_option_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One task with a call, not answered, and three without: three quarters of the tasks, half of the kinds."""
    silent = {"functions": [], "expects": Expects.NO_CALL, "ground_truth": None}
    tasks = [TASK, *(TASK.model_copy(update={"id": f"n{n}", **silent}) for n in range(3))]
    (tmp_path / "tasks.jsonl").write_bytes(encode_tasks(tasks))
    lines = [text_response(task, "No function fits.").model_dump_json() for task in tasks[1:]]
    (tmp_path / "responses.jsonl").write_text("\n".join(lines))
    arguments = ["--tasks", str(tmp_path / "tasks.jsonl"), "--responses", str(tmp_path / "responses.jsonl"), "--json"]
    for options, expected in (([], "0.750000"), (["--aggregate", "Kinds"], "0.500000")):
        assert score.main([*arguments, *options, "--out", str(tmp_path / "out.jsonl")]) == 0
        outcome = json.loads(capsys.readouterr().out)
        assert outcome["score"] == expected
        assert ("kinds" in outcome) is bool(options)
    kinds = [json.loads(line)["kind"] for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert kinds == ["simple", "no call", "no call", "no call"]
