"""Alterations in task sets: the built files, `tasks build --alter`, `tasks show` and `tasks diff`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.tasks import Tasks
from bitagent_evaluator.cli import tasks as tasks_verb
from bitagent_evaluator.cli.task_spec import SpecError, alteration_of
from bitagent_evaluator.tasks.build import build_task_set
from bitagent_evaluator.tasks.files import MANIFEST, TASKS, TaskSetError, read_task_set

BFCL = {"bfcl": {"categories": ["multiple", "irrelevance"]}}


def spec(*alterations: dict[str, Any], **more: Any) -> Tasks:
    return Tasks.model_validate({"sources": [BFCL], "count": 30, "seed": "s", "alterations": alterations, **more})


def build(out: Path, *arguments: str) -> int:
    return tasks_verb.main(
        ["build", "--bfcl", "multiple,irrelevance", "--count", "30", "--seed", "s", "--out", str(out), *arguments]
    )


def test_a_built_set_tells_what_was_altered(tmp_path: Path) -> None:
    altered = spec({"functionMask": {}}, {"irrelevance": {"percent": 50}})
    manifest = build_task_set(altered, files={}, out=tmp_path / "a")
    read_back, tasks = read_task_set(tmp_path / "a")
    assert read_back == manifest
    assert [(m.name, m.parameters) for m in manifest.alterations] == [
        ("FunctionMask", {"percent": 100}),
        ("Irrelevance", {"percent": 50}),
    ]
    records = [record.name for task in tasks for record in task.alterations]
    assert {m.name: m.applied for m in manifest.alterations} == {name: records.count(name) for name in set(records)}
    again = build_task_set(altered, files={}, out=tmp_path / "b")
    assert again == manifest
    assert (tmp_path / "a" / TASKS).read_bytes() == (tmp_path / "b" / TASKS).read_bytes()
    assert (tmp_path / "a" / MANIFEST).read_bytes() == (tmp_path / "b" / MANIFEST).read_bytes()


def test_alterations_do_not_change_what_is_drawn(tmp_path: Path) -> None:
    build_task_set(spec(), files={}, out=tmp_path / "plain")
    build_task_set(spec({"parameterMask": {}}, {"distractorTools": {}}), files={}, out=tmp_path / "altered")
    _, plain = read_task_set(tmp_path / "plain")
    _, altered = read_task_set(tmp_path / "altered")
    assert [task.parent or task for task in altered] == plain


def test_the_order_of_a_files_lines_does_not_matter(tmp_path: Path) -> None:
    build_task_set(spec(), files={}, out=tmp_path)
    lines = (tmp_path / TASKS).read_text().splitlines(keepends=True)
    digests = []
    for name, ordered in (("forwards", lines), ("backwards", lines[::-1])):
        (tmp_path / name).write_text("".join(ordered))
        source = {"jsonl": {"volume": {"claimName": "c", "path": "p"}}}
        given = spec({"distractorTools": {}}, {"irrelevance": {"percent": 30}}, sources=[source], count=10)
        digests.append(build_task_set(given, files={0: tmp_path / name}, out=tmp_path / f"{name}-set").digest)
    assert digests[0] == digests[1]


def test_a_spec_without_sense_fails_the_task_set(tmp_path: Path) -> None:
    with pytest.raises(TaskSetError, match="minimum 3 is above maximum 1"):
        build_task_set(spec({"distractorTools": {"minimum": 3, "maximum": 1}}), files={}, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("function-mask", {"function_mask": {}}),
        ("FunctionMask", {"function_mask": {}}),
        ("toolShuffle:percent=5", {"tool_shuffle": {"percent": "5"}}),
        ("distractor_tools:minimum=1, maximum=3", {"distractor_tools": {"minimum": "1", "maximum": "3"}}),
        ("rewrite:url=http://h:1/v1?a=b,model=m", {"rewrite": {"url": "http://h:1/v1?a=b", "model": "m"}}),
    ],
)
def test_alter(text: str, expected: dict[str, Any]) -> None:
    assert alteration_of(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mask", "no alteration 'mask'; there are: tool-shuffle, distractor-tools"),
        ("", "no alteration ''"),
        ("irrelevance:25", "write NAME:key=value"),
        ("irrelevance:percent=", "write NAME:key=value"),
        ("irrelevance:=3", "write NAME:key=value"),
    ],
)
def test_a_wrong_alter_is_named(text: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        alteration_of(text)


@pytest.mark.parametrize(
    ("alter", "message"),
    [
        ("irrelevance:percent=101", "alterations.0.irrelevance.percent: Input should be less than or equal to 100"),
        ("irrelevance:share=1", "alterations.0.irrelevance.share: Extra inputs are not permitted"),
        ("irrelevance:percent=half", "alterations.0.irrelevance.percent: Input should be a valid integer"),
    ],
    ids=["bound", "unknown", "no number"],
)
def test_wrong_parameters_are_2(tmp_path: Path, capsys: pytest.CaptureFixture[str], alter: str, message: str) -> None:
    assert build(tmp_path / "out", "--alter", alter) == 2
    assert message in capsys.readouterr().err


def test_contradicting_parameters_are_78(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert build(tmp_path / "out", "--alter", "distractor-tools:minimum=9") == 78
    assert "tasks.alterations[0] (DistractorTools): minimum 9 is above maximum 6" in capsys.readouterr().err


def test_alter_comes_after_the_specs_own(tmp_path: Path) -> None:
    (tmp_path / "spec.json").write_text(json.dumps(spec({"irrelevance": {}}).to_wire()))
    arguments = ["--spec", str(tmp_path / "spec.json"), "--alter", "tool-shuffle", "--out", str(tmp_path / "out")]
    assert tasks_verb.main(["build", *arguments]) == 0
    assert [m.name for m in read_task_set(tmp_path / "out")[0].alterations] == ["Irrelevance", "ToolShuffle"]


def test_build_and_show_tell_what_was_altered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert build(tmp_path / "out", "--alter", "function-mask", "--alter", "irrelevance:percent=100") == 0
    shown = capsys.readouterr().out
    assert "FunctionMask: 30 tasks" in shown
    calls = read_task_set(tmp_path / "out")[0].categories["multiple"]
    assert f"Irrelevance: {calls} tasks, expects_no_call {30 - calls}" in shown
    assert tasks_verb.main(["show", str(tmp_path / "out")]) == 0
    assert "altered by" in capsys.readouterr().out
    task = next(task for task in read_task_set(tmp_path / "out")[1] if len(task.alterations) == 2)
    assert tasks_verb.main(["show", str(tmp_path / "out"), "--id", task.id]) == 0
    shown = capsys.readouterr().out
    assert "altered by FunctionMask" in shown
    assert '"removed": [' in shown


def test_diff(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build(tmp_path / "a")
    build(tmp_path / "b", "--alter", "irrelevance:percent=100")
    capsys.readouterr()
    assert tasks_verb.main(["diff", str(tmp_path / "a"), str(tmp_path / "b"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    calls = read_task_set(tmp_path / "a")[0].categories["multiple"]
    assert (found["same"], len(found["changed"]), found["only_first"], found["only_second"]) == (
        30 - calls,
        calls,
        [],
        [],
    )
    assert not found["reordered"]
    for change in found["changed"]:
        assert change["fields"] == ["functions", "expects", "ground_truth"]
        assert change["alterations"] == [[], ["Irrelevance"]]
        assert change["parent_is_other"]


def test_diff_for_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build(tmp_path / "a")
    build(tmp_path / "b", "--alter", "irrelevance:percent=100", "--count", "20")
    capsys.readouterr()
    assert tasks_verb.main(["diff", str(tmp_path / "a"), str(tmp_path / "b"), "--limit", "2"]) == 0
    shown = capsys.readouterr().out
    calls = read_task_set(tmp_path / "b")[0].categories["multiple"]
    assert "Irrelevance" in shown and f"2 of {calls} changed" in shown
    assert "…" in next(line for line in shown.splitlines() if "only in" in line)


def test_diff_notices_another_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed in ("a", "b"):
        everything = ["--bfcl", "live_relevance", "--count", "16", "--seed", seed, "--out", str(tmp_path / seed)]
        assert tasks_verb.main(["build", *everything]) == 0
    capsys.readouterr()
    assert tasks_verb.main(["diff", str(tmp_path / "a"), str(tmp_path / "b")]) == 0
    assert "another order" in capsys.readouterr().out


def test_diff_of_equal_sets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build(tmp_path / "a")
    capsys.readouterr()
    assert tasks_verb.main(["diff", str(tmp_path / "a"), str(tmp_path / "a")]) == 0
    shown = capsys.readouterr().out
    assert "the same" in shown and "30" in shown and "differs in" not in shown


def test_diff_of_no_task_set_is_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build(tmp_path / "a")
    assert tasks_verb.main(["diff", str(tmp_path / "a"), str(tmp_path)]) == 2
    assert "is not a task set" in capsys.readouterr().err
