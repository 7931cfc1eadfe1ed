"""`bitagent-eval tasks` and `score`: exit codes, files and what people read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.results import Response, Verdict
from bitagent_evaluator.cli import score as score_verb
from bitagent_evaluator.cli import tasks as tasks_verb
from bitagent_evaluator.tasks import MANIFEST, TASKS, read_task_set


def line(i: int) -> str:
    parameters = {"type": "dict", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    task = {
        "id": f"sum-{i}",
        "messages": [{"role": "user", "content": f"Question {i}"}],
        "functions": [{"name": "add", "parameters": parameters}],
        "ground_truth": [{"add": {"a": [i]}}],
    }
    return json.dumps(task) + "\n"


@pytest.fixture
def sums(tmp_path: Path) -> Path:
    path = tmp_path / "sums.jsonl"
    path.write_text("".join(line(i) for i in range(6)))
    return path


@pytest.fixture
def built(tmp_path: Path, sums: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    out = tmp_path / "set"
    assert tasks_verb.main(["build", "--jsonl", str(sums), "--count", "4", "--seed", "s", "--out", str(out)]) == 0
    capsys.readouterr()
    return out


TASKS_SPEC: dict[str, Any] = {
    "sources": [{"bfcl": {"categories": ["live_relevance"]}}, {"jsonl": {"volume": {"claimName": "c", "path": "p"}}}],
    "count": 4,
    "seed": "spec",
}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("spec.json", json.dumps(TASKS_SPEC)),
        (
            "round.yaml",
            json.dumps({"apiVersion": "bitagent.io/v1alpha1", "kind": "EvalRound", "spec": {"tasks": TASKS_SPEC}}),
        ),
    ],
    ids=["tasks", "round"],
)
def test_build_from_a_spec(
    tmp_path: Path, sums: Path, capsys: pytest.CaptureFixture[str], name: str, content: str
) -> None:
    (tmp_path / name).write_text(content)
    out = tmp_path / "out"
    assert (
        tasks_verb.main(["build", "--spec", str(tmp_path / name), "--file", f"1={sums}", "--out", str(out), "--json"])
        == 0
    )
    manifest, tasks = read_task_set(out)
    assert json.loads(capsys.readouterr().out) == manifest.model_dump(mode="json")
    assert (manifest.seed, len(tasks), [source.count for source in manifest.sources]) == ("spec", 4, [2, 2])


def test_flags_win_over_the_spec(tmp_path: Path, sums: Path) -> None:
    (tmp_path / "spec.yaml").write_text(json.dumps(TASKS_SPEC))
    arguments = [
        "--spec",
        str(tmp_path / "spec.yaml"),
        "--file",
        f"1={sums}",
        "--count",
        "6",
        "--seed",
        "flag",
        "--out",
        str(tmp_path / "o"),
    ]
    assert tasks_verb.main(["build", *arguments]) == 0
    manifest, tasks = read_task_set(tmp_path / "o")
    assert (manifest.seed, len(tasks)) == ("flag", 6)


def test_build_tells_what_it_built(tmp_path: Path, sums: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        tasks_verb.main(["build", "--jsonl", str(sums), "--bfcl", "all", "--count", "10", "--out", str(tmp_path / "o")])
        == 0
    )
    captured = capsys.readouterr()
    assert "10 tasks" in captured.out
    assert "bfcl (bfcl-eval 2026.3.23): 5 tasks" in captured.out
    assert [line.split(" ", 1)[1] for line in captured.err.splitlines()] == ["building the task set"]


USAGE = {
    "no source": ([], "name a source: --bfcl CATEGORY,..., --jsonl FILE, --url"),
    "unknown category": (["--bfcl", "simple"], "--bfcl: no category 'simple'; there are: all, simple_python"),
    "no number": (["--bfcl", "multiple", "--count", "0"], "flags: count: Input should be greater than or equal to 1"),
    "spec and flags": (["--bfcl", "multiple", "--spec", "x"], "--spec already names the sources"),
    "no spec": (["--spec", "gone.yaml"], "gone.yaml: No such file or directory"),
    "file without spec": (["--bfcl", "multiple", "--file", "0=x"], "--file belongs to --spec"),
}


@pytest.mark.parametrize(("arguments", "message"), USAGE.values(), ids=USAGE)
def test_wrong_usage_is_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert tasks_verb.main(["build", *arguments, "--out", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


SPECS = {
    "no YAML": ("{", [], "is neither YAML nor JSON"),
    "no object": ("[]", [], "expected an EvalRound with spec.tasks"),
    "round without tasks": ("kind: EvalRound", [], "expected an EvalRound with spec.tasks"),
    "unknown field": (json.dumps(TASKS_SPEC | {"number": 3}), [], "number: Extra inputs are not permitted"),
    "file not given": (json.dumps(TASKS_SPEC), [], "say where its file is with --file 1=PATH"),
    "file of another source": (json.dumps(TASKS_SPEC), ["--file", "0=x"], "--file 0=x: write INDEX=PATH, where INDEX is that of a jsonl source: [1]"),
    "file without index": (json.dumps(TASKS_SPEC), ["--file", "x"], "--file x: write INDEX=PATH"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "arguments", "message"), SPECS.values(), ids=SPECS)
def test_a_wrong_spec_is_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, arguments: list[str], message: str
) -> None:
    (tmp_path / "spec.yaml").write_text(content)
    assert (
        tasks_verb.main(["build", "--spec", str(tmp_path / "spec.yaml"), *arguments, "--out", str(tmp_path / "out")])
        == 2
    )
    assert message in capsys.readouterr().err


def test_a_spec_that_cannot_be_met_is_78(tmp_path: Path, sums: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tasks_verb.main(["build", "--jsonl", str(sums), "--count", "7", "--out", str(tmp_path / "out")]) == 78
    assert "tasks.count is 7, but the sources have 6 tasks" in capsys.readouterr().err


def test_an_unwritable_place_is_1(tmp_path: Path, sums: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert (
        tasks_verb.main(["build", "--jsonl", str(sums), "--count", "2", "--out", str(tmp_path / "file" / "out")]) == 1
    )
    assert "cannot write" in capsys.readouterr().err


def test_show_lists(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tasks_verb.main(["show", str(built), "--limit", "3"]) == 0
    shown = capsys.readouterr().out
    assert "3 of 4 tasks" in shown
    assert shown.count("add(a=") == 3


def test_show_one_in_full(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task = read_task_set(built)[1][2]
    assert tasks_verb.main(["show", str(built), "--id", task.id]) == 0
    shown = capsys.readouterr().out
    assert f"user: {task.messages[0]['content']}" in shown
    assert '"properties"' in shown


def test_show_as_json(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest, tasks = read_task_set(built)
    assert tasks_verb.main(["show", str(built), "--limit", "2", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown == {
        "manifest": manifest.model_dump(mode="json"),
        "tasks": [task.model_dump(mode="json") for task in tasks[:2]],
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--id", "nobody"], "has no task 'nobody'"), ([], "is not a task set")],
    ids=["id", "directory"],
)
def test_nothing_to_show_is_2(
    built: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    directory = built if arguments else built.parent
    assert tasks_verb.main(["show", str(directory), *arguments]) == 2
    assert message in capsys.readouterr().err


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
def test_score(built: Path, responses: Path, capsys: pytest.CaptureFixture[str], tasks: str) -> None:
    out = built.parent / "verdicts.jsonl"
    assert (
        score_verb.main(["--tasks", str(built / tasks), "--responses", str(responses), "--out", str(out), "--json"])
        == 0
    )
    outcome = json.loads(capsys.readouterr().out)
    low, high = outcome["interval"]
    assert low < "0.500000" < high
    assert outcome["categories"]["jsonl"].pop("interval") is not None
    assert outcome == {
        "passed": 2,
        "total": 4,
        "score": "0.500000",
        "interval": [low, high],
        "categories": {"jsonl": {"passed": 2, "total": 4, "score": "0.500000"}},
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
    assert score_verb.main(words) == 0
    verdicts = {v.id: v for v in map(Verdict.model_validate_json, out.read_text().splitlines())}
    assert verdicts[first["id"]].passed is passed


def test_score_for_people(built: Path, responses: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = built.parent / "verdicts.jsonl"
    assert score_verb.main(["--tasks", str(built), "--responses", str(responses), "--out", str(out)]) == 0
    captured = capsys.readouterr()
    assert "0.500000" in captured.out
    assert "50.0%" in captured.out
    assert captured.err == ""


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("not json\n", "responses.jsonl, line 1: Invalid JSON"),
        ('\n{"id": "x"}\n', "responses.jsonl, line 2: text: Field required"),
        ("", "no response of"),
    ],
    ids=["json", "field", "empty"],
)
def test_unusable_responses_are_2(
    built: Path, responses: Path, capsys: pytest.CaptureFixture[str], content: str, message: str
) -> None:
    responses.write_text(content)
    assert (
        score_verb.main(["--tasks", str(built), "--responses", str(responses), "--out", str(built.parent / "v")]) == 2
    )
    assert message in capsys.readouterr().err


def test_a_changed_task_set_is_not_scored(built: Path, responses: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (built / TASKS).write_text("")
    assert (built / MANIFEST).exists()
    assert (
        score_verb.main(["--tasks", str(built), "--responses", str(responses), "--out", str(built.parent / "v")]) == 2
    )
    assert "was changed" in capsys.readouterr().err


def test_the_line_in_the_help_is_a_task(tmp_path: Path) -> None:
    example = tasks_verb.EPILOG[tasks_verb.EPILOG.index("{") : tasks_verb.EPILOG.rindex("}") + 1]
    (tmp_path / "example.jsonl").write_text(" ".join(example.split()))
    assert (
        tasks_verb.main(
            ["build", "--jsonl", str(tmp_path / "example.jsonl"), "--count", "1", "--out", str(tmp_path / "o")]
        )
        == 0
    )


HOSTILE = "x\x1b[2J\u202e[/red]"


def test_what_strangers_wrote_cannot_steer_a_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task = json.loads(line(1)) | {
        "id": HOSTILE,
        "category": HOSTILE,
        "messages": [{"role": "user", "content": HOSTILE}],
    }
    task["functions"][0] |= {"name": HOSTILE, "description": HOSTILE}
    task["ground_truth"] = [{HOSTILE: {"a": [1]}}]
    (tmp_path / "in.jsonl").write_text(json.dumps(task) + "\n")
    sets = [str(tmp_path / name) for name in ("a", "b")]
    for out, alter in zip(sets, ([], ["--alter", "function-mask"]), strict=True):
        given = ["build", "--jsonl", str(tmp_path / "in.jsonl"), "--count", "1", "--seed", "[/]", "--out", out, *alter]
        assert tasks_verb.main(given) == 0
    for arguments in (["show", sets[0]], ["show", sets[1], "--id", HOSTILE], ["diff", *sets]):
        assert tasks_verb.main(arguments) == 0
    shown = capsys.readouterr().out
    assert "\x1b" not in shown and "\u202e" not in shown
    assert r"x\x1b[2J\u202e[/red]" in shown
