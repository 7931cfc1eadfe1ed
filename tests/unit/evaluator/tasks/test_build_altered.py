"""All alterations on the tasks of all sources: right answers stay right, and a build is the same in every process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.alterations import Alteration as Spec
from bitagent_crds.task_forms import Expects, Language
from bitagent_crds.task_set import Task
from bitagent_crds.tasks import Tasks
from bitagent_evaluator.alterations.rewrite_cache import REWRITES
from bitagent_evaluator.parsing.render import render_calls
from bitagent_evaluator.scoring.bfcl import check_text, expected_calls
from bitagent_evaluator.tasks.build import build_task_set
from bitagent_evaluator.tasks.files import MANIFEST, TASKS, encode_tasks, read_task_set
from bitagent_local.hub import pack

LOCAL = Path(__file__).resolve().parents[4] / "local"
TASK_FILE = LOCAL / "models" / "tasks.jsonl"
CATEGORIES = [
    "simple_python",
    "multiple",
    "parallel",
    "live_multiple",
    "simple_java",
    "simple_javascript",
    "irrelevance",
    "live_relevance",
]
CALLS = {"question": "query", "functions": "tools", "answers": "answers"}
SOURCES: list[dict[str, Any]] = [
    {"jsonl": {"configMap": {"name": "tasks", "key": "tasks.jsonl"}}},
    {"bfcl": {"categories": CATEGORIES}, "weight": 4},
    {"bfcl": {"categories": ["multi_turn_base", "multi_turn_miss_func"]}},
    {"huggingFace": {"repo": "samples/glaive-style", "rows": "Glaive"}},
    {"huggingFace": {"repo": "samples/bitagent-style", "rows": "BitAgent"}},
    {"huggingFace": {"repo": "samples/calls", "split": "test", "rows": "Columns", "columns": CALLS}},
    {
        "huggingFace": {
            "repo": "samples/answers",
            "rows": "Columns",
            "columns": {"question": "prompt", "reference": "response"},
        }
    },
]
FORWARDS = [
    "merge",
    "rewrite",
    "distractorTools",
    "irrelevance",
    "toolShuffle",
    "functionMask",
    "parameterMask",
    "defaultValueMask",
]
PERCENT = 60


@pytest.fixture
def surroundings(fake_endpoint: Any, replies: Any, hub: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A hub with the sample datasets, and a rewriter that keeps everything and adds a few words."""
    listed = LOCAL / "datasets" / "repositories.yaml"
    pack.pack(pack.load(listed), folders=listed.parent, root=hub.root)
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    fake_endpoint.script = lambda request: replies.completion(
        f"Could you please help me out with this: {request.question}"
    )
    return fake_endpoint


def spec(url: str, names: list[str], *, count: int = 120) -> Tasks:
    more = {"rewrite": {"url": url, "model": "rewriter", "tries": 1}}
    alterations = [{name: {"percent": PERCENT, **more.get(name, {})}} for name in names]
    return Tasks.model_validate({"sources": SOURCES, "count": count, "seed": "0xf00d", "alterations": alterations})


def build(made: Tasks, out: Path) -> list[Task]:
    build_task_set(made, files={0: TASK_FILE}, out=out)
    return read_task_set(out)[1]


def right_answer(task: Task) -> str:
    if task.expects is Expects.NO_CALL:
        return "None of these functions can do that."
    if task.expects is Expects.ANY_CALL:
        return f"[{task.functions[0]['name']}()]"
    return render_calls(expected_calls(task), task.language)


def passes(task: Task) -> bool:
    return check_text(task, right_answer(task)).passed


@pytest.mark.parametrize("names", [FORWARDS, FORWARDS[::-1]], ids=["forwards", "backwards"])
def test_right_answers_stay_right(surroundings: Any, tmp_path: Path, names: list[str]) -> None:
    plain = build(spec(surroundings.url, []), tmp_path / "plain")
    altered = build(spec(surroundings.url, names), tmp_path / "altered")
    assert [task.id for task in altered] == [task.id for task in plain]
    for old, new in zip(plain, altered, strict=True):
        if not new.alterations:
            assert encode_tasks([new]) == encode_tasks([old])
            continue
        assert old.expects not in (Expects.STATE, Expects.TEXT)
        assert new.parent == old
        assert (new.id, new.source, new.category, new.language) == (old.id, old.source, old.category, old.language)
        assert old.language is Language.PYTHON or "Merge" not in {record.name for record in new.alterations}
        assert passes(new) or not passes(old), (new.id, right_answer(new), check_text(new, right_answer(new)))
    used = {record.name for task in altered for record in task.alterations}
    assert used == {name[0].upper() + name[1:] for name in names}
    kinds = {(task.source, task.category) for task in altered if len(task.alterations) > 1}
    assert {source for source, _ in kinds} == {"jsonl", "bfcl", "huggingFace"}
    assert {"glaive", "bitagent", "huggingFace"} <= {category for _, category in kinds}
    assert {task.expects for task in altered} == set(Expects) - {Expects.ANSWER}  # of a source of its own


def test_all_of_the_contract_is_tried() -> None:
    assert {field.alias or name for name, field in Spec.model_fields.items()} == set(FORWARDS)


RUN = "import sys; from bitagent_evaluator.cli.app import main; sys.exit(main(sys.argv[1:]))"
SURROUNDINGS = {
    "ascii": {"PYTHONHASHSEED": "1", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "TZ": "UTC"},
    "utf-8": {"PYTHONHASHSEED": "2", "LC_ALL": "C.UTF-8", "TZ": "Asia/Tokyo"},
}


def test_the_same_bytes_in_every_process(surroundings: Any, tmp_path: Path) -> None:
    """Whatever the hash seed, the locale and the time zone are; the second build has only the first one's answers."""
    document = tmp_path / "spec.json"
    document.write_text(json.dumps(spec(surroundings.url, FORWARDS, count=50).to_wire()))
    contents: list[dict[str, bytes]] = []
    asked = 0
    for name, variables in SURROUNDINGS.items():
        out = tmp_path / name
        taken_over = ["--rewrites", str(tmp_path / "ascii" / REWRITES)] if contents else []
        command = ["tasks", "build", "--spec", str(document), "--file", f"0={TASK_FILE}", "--out", str(out)]
        subprocess.run(
            [sys.executable, "-c", RUN, *command, *taken_over],
            env={**os.environ, **variables},
            capture_output=True,
            check=True,
        )
        contents.append({file: (out / file).read_bytes() for file in (TASKS, MANIFEST, REWRITES)})
        if len(contents) == 1:
            asked = len(surroundings.requests)
    assert contents[0] == contents[1]
    assert len(surroundings.requests) == asked > 0
