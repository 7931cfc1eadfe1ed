"""`bitagent-eval tasks`: exit codes, files and output."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.seeds import mixed_seed, secret_digest
from bitagent_crds.tasks import Tasks
from bitagent_evaluator.cli import tasks as tasks_verb
from bitagent_evaluator.tasks.files import read_task_set

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


SEED_PARTS = ("0x" + "ab" * 32, "cd" * 32)


def test_the_seed_of_a_validators_round(tmp_path: Path, sums: Path) -> None:
    """Given as two parts, or by the round itself, to whom the seed then belongs."""
    block_hash, secret = SEED_PARTS
    seed_from = {"block": 7, "secretDigest": secret_digest(secret), "blockHash": block_hash, "secret": secret}
    spec = {name: value for name, value in TASKS_SPEC.items() if name != "seed"} | {"seedFrom": seed_from}
    (tmp_path / "spec.yaml").write_text(json.dumps(spec))
    by_round = ["--spec", str(tmp_path / "spec.yaml"), "--file", f"1={sums}", "--out", str(tmp_path / "round")]
    assert tasks_verb.main(["build", *by_round]) == 0
    by_parts = ["--seed-from", ":".join(SEED_PARTS), *by_round[:-1], str(tmp_path / "parts")]
    assert tasks_verb.main(["build", *by_parts]) == 0
    made = [read_task_set(tmp_path / name)[0] for name in ("round", "parts")]
    assert made[0].seed == made[1].seed == mixed_seed(*SEED_PARTS)
    assert made[0].digest == made[1].digest
    assert Tasks.model_validate(made[0].spec).known_seed() == made[0].seed, "reproduce reads it from the manifest"


def test_a_round_without_its_seed_has_no_tasks_yet(
    tmp_path: Path, sums: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seed_from = {"block": 7, "secretDigest": secret_digest("cd" * 32)}
    spec = {name: value for name, value in TASKS_SPEC.items() if name != "seed"} | {"seedFrom": seed_from}
    (tmp_path / "spec.yaml").write_text(json.dumps(spec))
    out = ["--file", f"1={sums}", "--out", str(tmp_path / "o")]
    assert tasks_verb.main(["build", "--spec", str(tmp_path / "spec.yaml"), *out]) != 0
    assert "before the hash of block 7" in capsys.readouterr().err


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
    "unknown category": (["--bfcl", "simple"], "--bfcl: no category 'simple'; there are: all, single_turn, non_live"),
    "half a seed": (["--bfcl", "multiple", "--seed-from", "0x12"], "write BLOCKHASH:SECRET"),
    "a seed of other parts": (["--bfcl", "multiple", "--seed-from", "0x12:34"], "64 hex digits each"),
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
    "file of another source": (
        json.dumps(TASKS_SPEC),
        ["--file", "0=x"],
        "--file 0=x: write INDEX=PATH, where INDEX is that of a jsonl source: [1]",
    ),
    "file without index": (json.dumps(TASKS_SPEC), ["--file", "x"], "--file x: write INDEX=PATH"),
}


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
    [(["--id", "unknown"], "has no task 'unknown'"), ([], "is not a task set")],
    ids=["id", "directory"],
)
def test_nothing_to_show_is_2(
    built: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    directory = built if arguments else built.parent
    assert tasks_verb.main(["show", str(directory), *arguments]) == 2
    assert message in capsys.readouterr().err


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


def test_untrusted_text_cannot_steer_the_terminal(
    tmp_path: Path, sums: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task = json.loads(sums.read_text().splitlines()[1]) | {
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
