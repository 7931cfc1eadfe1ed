"""`bitagent-eval score --pairs`: lines in, lines out, and which line is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bitagent_evaluator.cli import score

FUNCTION = {
    "name": "f",
    "parameters": {"type": "dict", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
}
BFCL = {
    "id": "x",
    "category": "simple_python",
    "functions": [FUNCTION],
    "question": [[{"role": "user", "content": "?"}]],
    "ground_truth": [{"f": {"a": [1]}}],
    "response": "f(a=1)",
}
FOLDERS = {"a": {"type": "directory", "contents": {}}, "b": {"type": "directory", "contents": {}}}
CONVERSATION = {
    "id": "c",
    "category": "multi_turn_base",
    "functions": ["cd", "pwd"],
    "question": [[{"role": "user", "content": "Go to a."}], [{"role": "user", "content": "Where am I?"}]],
    "initial_config": {"GorillaFileSystem": {"root": {"home": {"type": "directory", "contents": FOLDERS}}}},
    "involved_classes": ["GorillaFileSystem"],
    "ground_truth": [["cd(folder='a')"], ["pwd()"]],
    "response": [["[cd(folder='a')]", "Done."], ["[pwd()]", "You are in a."]],
}
BITAGENT = {
    "id": "y",
    "ruleset": "v2025_04",
    "with_default": True,
    "expected": {"name": "f", "arguments": {"a": 1}},
    "tools": [{"name": "f", "description": "", "arguments": {"a": {"required": True, "type": "integer"}}}],
    "response": "f(a=1)",
    "timeout": 15.0,
    "process_time": 12.0,
    "axon_status": 200,
    "dendrite_status": 408,
}


def run(folder: Path, lines: list[Any], scorer: str) -> tuple[int, Path]:
    pairs, out = folder / "pairs.jsonl", folder / "out.jsonl"
    pairs.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return score.main(["--pairs", str(pairs), "--scorer", scorer, "--out", str(out)]), out


@pytest.mark.parametrize("name", ["bfcl", "Bfcl"])
def test_bfcl(tmp_path: Path, name: str) -> None:
    irrelevant = BFCL | {"id": "n", "category": "irrelevance", "ground_truth": None}
    code, out = run(tmp_path, [BFCL, BFCL | {"id": "w", "response": "f(a=2)"}, "", irrelevant], name)
    assert code == 0
    assert [json.loads(line) for line in out.read_text().splitlines()] == [
        {"id": "x", "passed": True},
        {"id": "w", "passed": False},
        {"id": "n", "passed": False},
    ]


def test_conversations_may_stand_between_other_lines(tmp_path: Path) -> None:
    wrong = CONVERSATION | {"id": "wrong", "response": [["[cd(folder='b')]"], ["[pwd()]", "Done."]]}
    nothing = CONVERSATION | {"id": "nothing", "response": "Error during inference"}
    code, out = run(tmp_path, [BFCL, CONVERSATION, wrong, BFCL | {"id": "z"}, nothing], "bfcl")
    assert code == 0
    assert [json.loads(line) for line in out.read_text().splitlines()] == [
        {"id": "x", "passed": True},
        {"id": "c", "passed": True},
        {"id": "wrong", "passed": False},
        {"id": "z", "passed": True},
        {"id": "nothing", "passed": False},
    ]


def test_bitagent(tmp_path: Path) -> None:
    code, out = run(tmp_path, [BITAGENT, BITAGENT | {"with_default": False, "expected": None}], "bitagent")
    assert code == 0
    assert [json.loads(line) for line in out.read_text().splitlines()] == [
        {
            "id": "y",
            "criteria": [[0.0, 0.25], [0.25, 0.5], [1.0, 1.0], [3.0, 3.0], [3.0, 3.0], [3.0, 3.0]],
            "total": 10.25,
            "possible": 10.75,
            "normalized": 10.25 / 10.75,
        },
        {"id": "y", "criteria": [[-1.0, 3.0]], "total": -1.0, "possible": 3.0, "normalized": -1.0 / 3.0},
    ]


@pytest.mark.parametrize(
    ("scorer", "lines", "message"),
    [
        ("bfcl", [BFCL, "no json"], "line 2: Invalid JSON"),
        ("bfcl", ["", {**BFCL, "response": None}], "line 2: response: Input should be a valid string"),
        ("bfcl", [BFCL | {"ground_truth": None}], "line 1: ground_truth: category simple_python needs"),
        ("bfcl", [BFCL | {"category": "web_search_base"}], "line 1: category: Input should be"),
        ("bfcl", [BFCL | {"category": "multi_turn_base"}], "line 1: ground_truth.0: Input should be a valid array"),
        (
            "bfcl",
            [CONVERSATION | {"involved_classes": ["WebSearchAPI"]}],
            "line 1: involved_classes: no system 'WebSearchAPI'; there are: GorillaFileSystem, ",
        ),
        ("bitagent", [BITAGENT, BITAGENT | {"ruleset": "v1999"}], "line 2: ruleset: Input should be 'v2024_11'"),
        (
            "bitagent",
            [BITAGENT | {"expected": {"name": "f", "arguments": {"a": 1}, "is_ground_truth": True}}],
            "line 1: expected.arguments: a ground truth lists",
        ),
        ("vibes", [BFCL], "--scorer vibes: with --pairs there are: bfcl, bitagent"),
    ],
    ids=["json", "field", "no ground truth", "category", "no conversation", "system", "rule set", "no list", "scorer"],
)
def test_bad_input_is_2_and_leaves_no_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], scorer: str, lines: list[Any], message: str
) -> None:
    code, out = run(tmp_path, lines, scorer)
    assert code == 2
    assert message in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--pairs", "{0}/none"], "none: No such file"),
        (["--pairs", "p", "--tasks", "t"], "leave --tasks and --responses out"),
        (["--tasks", "t"], "give --tasks and --responses, or --pairs"),
        (["--tasks", "t", "--responses", "r", "--scorer", "bitagent"], "with --tasks there are: Bfcl, BfclStrict,"),
    ],
    ids=["no file", "both", "half", "scorer of lines"],
)
def test_wrong_usage_is_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    filled = [argument.format(tmp_path) for argument in arguments]
    assert score.main([*filled, "--out", str(tmp_path / "o")]) == 2
    assert message in capsys.readouterr().err


def test_an_unwritable_output_is_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text(json.dumps(BFCL))
    assert score.main(["--pairs", str(pairs), "--out", str(tmp_path / "none" / "o")]) == 1
    assert "cannot write" in capsys.readouterr().err
