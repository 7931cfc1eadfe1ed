"""Format sensitivity: official ids, verdicts and spread, by the leaderboard's own runner in every variation."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.task_forms import ReturnFormat
from bitagent_crds.task_set import Task
from bitagent_crds.tasks import BfclCategory, BfclSource
from bitagent_evaluator.conformance import text_response
from bitagent_evaluator.parsing import parse_response
from bitagent_evaluator.parsing.render import render_calls
from bitagent_evaluator.scoring.bfcl import BfclScorer, expected_calls
from bitagent_evaluator.scoring.leaderboard import DEVIATION, MAX_DELTA, format_columns
from bitagent_evaluator.tasks.sources.bfcl import BfclTasks

OFFICIAL = """
import contextlib, io, json, sys, types
from pathlib import Path

def stand_in(name, **members):
    sys.modules[name] = types.ModuleType(name)
    vars(sys.modules[name]).update(members)

same = lambda function: function
stand_in("overrides", final=same, override=same, EnforceOverrides=object)
stand_in("pandas")
config = types.SimpleNamespace(underscore_to_dot=False)
stand_in("bfcl_eval.constants.model_config", MODEL_CONFIG_MAPPING={"m": config})
from bfcl_eval.eval_checker import eval_runner
from bfcl_eval.model_handler.utils import default_decode_ast_prompting
from bfcl_eval.utils import load_dataset_entry, load_ground_truth_entry

answers = json.load(sys.stdin)
category = "format_sensitivity"
prompts = {case["id"]: case for case in load_dataset_entry(category, include_language_specific_hint=False)}
truth = dict(zip(prompts, load_ground_truth_entry(category), strict=True))
given = [{"id": name, "result": text} for name, texts in answers.items() for text in texts]
handler = types.SimpleNamespace(decode_ast=default_decode_ast_prompting)
verdicts = []
evaluate = eval_runner._evaluate_single_ast_entry

def kept(*args, **named):
    verdict = evaluate(*args, **named)
    verdicts.append("" if verdict["valid"] else verdict["error_type"])
    return verdict

eval_runner._evaluate_single_ast_entry = kept
folder = Path(sys.argv[1])
with contextlib.redirect_stdout(io.StringIO()):
    eval_runner.format_sensitivity_runner(
        handler, given, [prompts[one["id"]] for one in given], [truth[one["id"]] for one in given],
        "m", category, folder,
    )
(file,) = folder.rglob("*_score.json")
header = json.loads(file.read_text().splitlines()[0])
json.dump({"ids": list(prompts), "verdicts": verdicts, "header": header}, sys.stdout)
"""
"""Program of a separate process, with stand-ins for clients that are not installed."""

Calls = list[dict[str, dict[str, Any]]]
TYPES = {
    bool: "boolean",
    int: "integer",
    float: "float",
    list: "array",
    tuple: "tuple",
    dict: "dict",
    type(None): "null",
}


def xml_value(value: Any) -> str:
    text = str(value)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")


def written(calls: Calls, form: ReturnFormat) -> str:
    """Calls in the format that a prompt asks for."""
    if form is ReturnFormat.PYTHON:
        return render_calls(calls)  # type: ignore[arg-type]
    if form is ReturnFormat.JSON:
        return json.dumps([{"function": name, "parameters": of} for call in calls for name, of in call.items()])
    functions = ""
    for name, of in (item for call in calls for item in call.items()):
        typed = [(key, xml_value(value), TYPES.get(type(value), "string")) for key, value in of.items()]
        if form is ReturnFormat.VERBOSE_XML:
            inner = "".join(f'<param name="{key}" value="{value}" type="{kind}"/>' for key, value, kind in typed)
            functions += f'<function name="{name}"><params>{inner}</params></function>'
        else:
            inner = "".join(f'<param name="{key}" type="{kind}">{value}</param>' for key, value, kind in typed)
            functions += f'<function name="{name}">{inner}</function>'
    return f"<functions>{functions}</functions>"


def tagged(task: Task, text: str) -> str:
    assert task.variation is not None
    return f"<TOOLCALL>{text}</TOOLCALL>" if task.variation.tool_call_tag else text


def right(task: Task, calls: Calls | None = None) -> str:
    assert task.variation is not None
    return tagged(task, written(expected_calls(task) if calls is None else calls, task.variation.return_format))


def other_value(task: Task) -> Calls:
    calls = expected_calls(task)
    return [{name: dict.fromkeys(of, "?") for name, of in call.items()} for call in calls]


MUTATIONS: dict[str, Callable[[Task], str]] = {
    "right": right,
    "another value": lambda task: right(task, other_value(task)),
    "one call less": lambda task: right(task, expected_calls(task)[1:]),
    "one call more": lambda task: right(task, expected_calls(task) + expected_calls(task)[:1]),
    "fence": lambda task: f"```json\n{right(task)}\n```",
    "xml fence": lambda task: f"```xml\n{right(task)}\n```",
    "prose around": lambda task: f"Sure [1]: {right(task)} That is all [sic].",
    "lines": lambda task: right(task).replace("><", ">\n<").replace('"function"', '\n"function"'),
    "without or with a tag": lambda task: right(task)[10:-11] if "<TOOL" in right(task) else f"<TOOLCALL>{right(task)}",
    "two tags": lambda task: f"{right(task)}\n{right(task)}",
    "tag around a call": lambda task: tagged(task, written(expected_calls(task), ReturnFormat.PYTHON)[1:-1]),
    "json instead": lambda task: tagged(task, written(expected_calls(task), ReturnFormat.JSON)),
    "concise instead": lambda task: tagged(task, written(expected_calls(task), ReturnFormat.CONCISE_XML)),
    "verbose instead": lambda task: tagged(task, written(expected_calls(task), ReturnFormat.VERBOSE_XML)),
    "texts": lambda task: right(task).replace('type="integer"', 'type="string"').replace('type="float"', 'type="text"'),
    "wrong types": lambda task: right(task).replace('type="string"', 'type="integer"').replace('"array"', '"object"'),
    "without names": lambda task: right(task).replace(' name="', ' title="').replace('"parameters"', '"arguments"'),
    "broken off": lambda task: right(task)[: len(right(task)) * 2 // 3],
    "a list of texts": lambda task: tagged(task, '["a", "b"]'),
    "a number": lambda task: tagged(task, "7"),
    "arguments as text": lambda task: tagged(task, '[{"function": "f", "parameters": "{}"}]'),
    "several lists": lambda task: tagged(
        task, '[1] [ {"a": 1} ] [{"b": "}, {"}, 5] [{"function": "f", "parameters": {}}]'
    ),
    "empty list": lambda task: tagged(task, "[]"),
    "nothing": lambda task: "",
}


def answered(task: Task) -> list[str]:
    return [make(task) for make in MUTATIONS.values()]


@pytest.fixture(scope="module")
def tasks() -> list[Task]:
    return BfclTasks(BfclSource(categories=[BfclCategory.FORMAT_SENSITIVITY])).tasks()


def test_ids_verdicts_and_spread_are_the_official_ones(tasks: list[Task], tmp_path: Path) -> None:
    chosen = [task for number, task in enumerate(tasks) if number // 26 % 17 == 0]
    answers = {task.id: answered(task) for task in chosen}
    done = subprocess.run(
        [sys.executable, "-c", OFFICIAL, str(tmp_path / "scores")],
        input=json.dumps(answers).encode(),
        env={**os.environ, "BFCL_PROJECT_ROOT": str(tmp_path)},
        capture_output=True,
        check=True,
    )
    official = json.loads(done.stdout)
    assert [task.id for task in tasks] == official["ids"]
    pairs = [(task, text) for task in chosen for text in answers[task.id]]
    responses = ((task, parse_response(text_response(task, text), variation=task.variation)) for task, text in pairs)
    verdicts = list(BfclScorer().verdicts(responses))
    names = list(MUTATIONS) * len(chosen)
    different = {
        (name, task.variation and task.variation.configuration): (text, verdict.error, error)
        for name, (task, text), verdict, error in zip(names, pairs, verdicts, official["verdicts"], strict=True)
        if verdict.error != error
    }
    assert different == {}
    passed = {name: {v.passed for v, of in zip(verdicts, names, strict=True) if of == name} for name in MUTATIONS}
    assert passed["right"] == {True} and passed["another value"] == {False} and passed["fence"] == {True, False}
    ours = format_columns(verdicts)
    assert 100 * float(ours[MAX_DELTA]) == pytest.approx(official["header"]["accuracy_max_delta"], abs=0.0051)
    assert 100 * float(ours[DEVIATION]) == pytest.approx(official["header"]["accuracy_std"], abs=0.0051)
    for name, share in ours.items():
        if name.startswith("Config "):
            of = official["header"][name.removeprefix("Config ")]
            assert float(share) == pytest.approx(of["accuracy"], abs=1e-6)
