"""What holds for every alteration, over the official cases and over tasks that hypothesis makes up."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitagent_crds.alterations import Alteration as Spec
from bitagent_crds.results import Expects, Language, Task
from bitagent_crds.sources import BfclCategory, BfclSource
from bitagent_evaluator.alterations import alter_tasks
from bitagent_evaluator.alterations.distractor_tools import plain_name
from bitagent_evaluator.scoring.judgement import judge
from bitagent_evaluator.tasks.bfcl import BfclTasks
from bitagent_evaluator.tasks.files import encode_tasks

NAMES = [name for name in Spec.model_fields if name != "rewrite"]
"""Those that need nothing from outside. What holds for Rewrite too, and on tasks of the other sources, is in endpoint/test_alterations_of_sources."""
CHAINS: dict[str, list[str]] = {name: [name] for name in NAMES} | {
    "all": [
        "merge",
        "distractor_tools",
        "irrelevance",
        "tool_shuffle",
        "function_mask",
        "parameter_mask",
        "default_value_mask",
    ],
    "backwards": [
        "default_value_mask",
        "parameter_mask",
        "function_mask",
        "tool_shuffle",
        "irrelevance",
        "distractor_tools",
        "merge",
    ],
    "twice": ["function_mask", "distractor_tools", "parameter_mask", "function_mask", "parameter_mask"],
}
LEFT_OUT = object()


def specs(names: list[str], percent: int = 100) -> list[Spec]:
    return [Spec.model_validate({name: {"percent": percent}}) for name in names]


def first(value: Any, *, allowed: bool) -> Any:
    """The first allowed value, at every depth; LEFT_OUT where that is to leave the argument out."""
    if allowed and isinstance(value, list):
        return LEFT_OUT if not value or value[0] == "" else first(value[0], allowed=False)
    if isinstance(value, dict):
        chosen = {key: first(entry, allowed=True) for key, entry in value.items()}
        return {key: entry for key, entry in chosen.items() if entry is not LEFT_OUT}
    return [first(entry, allowed=False) for entry in value] if isinstance(value, list) else value


def literal(value: Any, language: Language) -> str:
    return repr(value) if language is Language.PYTHON else json.dumps(value)


def answer(task: Task) -> str:
    if task.expects is Expects.NO_CALL:
        return "None of these functions can do that."
    if task.expects is Expects.ANY_CALL:
        return f"[{task.functions[0]['name'] if task.functions else 'f'}()]"
    calls = []
    for call in task.ground_truth or []:
        for name, arguments in call.items():
            values = first(arguments, allowed=False)
            calls.append(f"{name}({', '.join(f'{k}={literal(v, task.language)}' for k, v in values.items())})")
    return f"[{', '.join(calls)}]"


def passes(task: Task) -> bool:
    return judge(task, answer(task)).passed


@functools.cache
def official() -> tuple[list[Task], frozenset[str]]:
    """Every fourth official case of each category, and the ids of those whose ground truth passes."""
    tasks = [
        task
        for category in BfclCategory
        for task in BfclTasks(BfclSource(categories=[category])).tasks()[:: 4 if "java" not in category else 1]
    ]
    return tasks, frozenset(task.id for task in tasks if passes(task))


def test_most_official_ground_truths_pass_as_rendered() -> None:
    tasks, passing = official()
    assert len(passing) > 0.95 * len(tasks)


@pytest.mark.parametrize("names", CHAINS.values(), ids=CHAINS)
def test_an_altered_ground_truth_passes_where_the_original_did(names: list[str]) -> None:
    tasks, passing = official()
    altered, manifests = alter_tasks(tasks, specs(names), seed="0xfeed")
    assert sum(manifest.applied for manifest in manifests) > 100
    assert [task.id for task in altered if task.id in passing and not passes(task)] == []


@pytest.mark.parametrize("names", CHAINS.values(), ids=CHAINS)
def test_untouched_tasks_stay_byte_equal_and_touched_ones_remember(names: list[str]) -> None:
    tasks, _ = official()
    before = encode_tasks(tasks)
    altered, manifests = alter_tasks(tasks, specs(names, percent=40), seed="s")
    assert encode_tasks(tasks) == before
    records = 0
    for old, new in zip(tasks, altered, strict=True):
        if new.alterations:
            records += len(new.alterations)
            assert new.parent == old
            assert encode_tasks([new.model_copy(update={"alterations": [], "parent": None})]) != encode_tasks([old])
        else:
            assert encode_tasks([new]) == encode_tasks([old])
        assert (new.id, new.source, new.category, new.language) == (old.id, old.source, old.category, old.language)
    assert records == sum(manifest.applied for manifest in manifests)
    assert all(m.applied + sum(m.skipped.values()) == len(tasks) for m in manifests)


def test_distractors_never_clash() -> None:
    tasks, _ = official()
    altered, _ = alter_tasks(tasks, specs(["distractor_tools"]), seed="s")
    languages = {task.id: task.language for task in tasks}
    for task in altered:
        for record in task.alterations:
            added = record.parameters["added"]
            assert 2 <= len(added) <= 6
            assert {languages[owner] for owner in added.values()} == {task.language}
            others = [plain_name(f["name"]) for f in task.functions if f["name"] not in added]
            assert len({*others, *map(plain_name, added)}) == len(set(others)) + len(added)


def test_masked_names_are_gone_from_the_functions() -> None:
    tasks, _ = official()
    altered, _ = alter_tasks(tasks, specs(["function_mask", "parameter_mask"]), seed="s")
    for task in altered:
        names = {f["name"] for f in task.functions}
        assert all(name in names for call in task.ground_truth or [] for name in call)
        for record in task.alterations:
            assert len(set(record.parameters.values())) == len(record.parameters)
            assert not set(record.parameters) & names


MASKS = ["function_mask", "parameter_mask", "default_value_mask"]


@pytest.mark.parametrize("order", [MASKS[::-1], [*MASKS[1:], MASKS[0]]], ids=["backwards", "turned"])
def test_masks_apply_to_the_same_tasks_in_any_order(order: list[str]) -> None:
    tasks, _ = official()
    outcomes = [alter_tasks(tasks, specs(names), seed="s") for names in (MASKS, order)]
    applied = [{task.id: sorted(r.name for r in task.alterations) for task in altered} for altered, _ in outcomes]
    assert applied[0] == applied[1]


def test_irrelevance_applies_to_more_tasks_after_distractors_than_before() -> None:
    tasks, _ = official()
    _, (added, removed) = alter_tasks(tasks, specs(["distractor_tools", "irrelevance"]), seed="s")
    assert removed.skipped.keys() - {"conversation"} == {"expects_no_call", "expects_any_call"}
    _, (removed_first, added_after) = alter_tasks(tasks, specs(["irrelevance", "distractor_tools"]), seed="s")
    assert removed_first.skipped["no_other_function"] > 0
    assert added_after.skipped["expects_no_call"] == added.skipped["expects_no_call"] + removed_first.applied


ONCE = """
import hashlib, sys
from bitagent_crds.alterations import Alteration
from bitagent_crds.sources import BfclCategory, BfclSource
from bitagent_evaluator.alterations import alter_tasks
from bitagent_evaluator.tasks.bfcl import BfclTasks
from bitagent_evaluator.tasks.files import encode_tasks
tasks = BfclTasks(BfclSource(categories=["live_multiple"])).tasks()[:60]
specs = [Alteration.model_validate({name: {"percent": 60}}) for name in sys.argv[1:]]
print(hashlib.sha256(encode_tasks(alter_tasks(tasks, specs, seed="s", available=tasks)[0])).hexdigest())
"""


def test_the_same_bytes_in_every_process() -> None:
    digests = {
        subprocess.run(
            [sys.executable, "-c", ONCE, *CHAINS["all"]],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(digests) == 1


# Made-up tasks

names = st.sampled_from(["get_user", "getUser", "math.add", "math_add", "run", "f", "paint", "a.b.c", "Unit"])
keys = st.sampled_from(["user_id", "unit", "x", "run", "default", "properties", "description", "required"])
words = st.sampled_from(
    ["metric", "Unit", "user_id", "get_user", "run", "2", "a b", "Default is 'metric'.", "defaults to 2."]
)
TYPES: dict[str, st.SearchStrategy[Any]] = {
    "string": words,
    "integer": st.integers(-3, 100),
    "float": st.sampled_from([0.0, 0.5, 2.0, 10.25]),
    "boolean": st.booleans(),
}


@st.composite
def parameters(draw: st.DrawFn, depth: int = 1) -> tuple[dict[str, Any], Any]:
    """A schema, and ground-truth values for it: a list of allowed ones."""
    kind = draw(st.sampled_from([*TYPES, *(["dict", "array"] if depth else [])]))
    described = {"type": kind, "description": " ".join(draw(st.lists(words, max_size=3)))}
    if kind == "dict":
        inner = draw(st.dictionaries(keys, parameters(depth=depth - 1), max_size=3))
        schema = {"properties": {k: s for k, (s, _) in inner.items()}, "required": list(inner)}
        return described | schema, [{k: v for k, (_, v) in inner.items()}]
    if kind == "array":
        item, values = draw(parameters(depth=0))
        return described | {"items": item}, [values[:1]]
    if draw(st.booleans()):
        described["default"] = draw(TYPES[kind])
    allowed = [draw(TYPES[kind])]
    return described, [*allowed, ""] if draw(st.booleans()) and kind != "boolean" else allowed


@st.composite
def made_up(draw: st.DrawFn, number: int) -> Task:
    called: dict[str, Any] = {}
    functions = []
    for name in draw(st.lists(names, min_size=1, max_size=4, unique=True)):
        drawn = draw(st.dictionaries(keys, parameters(), max_size=3))
        called[name] = {key: allowed for key, (_, allowed) in drawn.items()}
        required = [key for key, (_, allowed) in drawn.items() if "" not in allowed]
        schema = {"type": "dict", "properties": {key: s for key, (s, _) in drawn.items()}, "required": required}
        functions.append({"name": name, "description": draw(words), "parameters": schema})
    expected = draw(st.lists(st.sampled_from(list(called)), max_size=2, unique=True))
    return Task(
        id=f"t{number}",
        source="test",
        category="test",
        messages=[{"role": "user", "content": " ".join(draw(st.lists(words, max_size=3)))}],
        functions=functions,
        expects=Expects.CALLS if expected else Expects.NO_CALL,
        ground_truth=[{name: called[name]} for name in expected] or None,
    )


@settings(max_examples=150, deadline=None)
@given(
    tasks=st.tuples(*(made_up(i) for i in range(3))),
    chain=st.lists(st.sampled_from(NAMES), max_size=5),
    percent=st.integers(1, 100),
    seed=st.text(min_size=1, max_size=4),
)
def test_made_up_tasks(tasks: tuple[Task, ...], chain: list[str], percent: int, seed: str) -> None:
    before = encode_tasks(tasks)
    altered, manifests = alter_tasks(tasks, specs(chain, percent), seed=seed)
    assert encode_tasks(tasks) == before
    assert encode_tasks(alter_tasks(tasks, specs(chain, percent), seed=seed)[0]) == encode_tasks(altered)
    assert sum(m.applied for m in manifests) == sum(len(task.alterations) for task in altered)
    for old, new in zip(tasks, altered, strict=True):
        assert new.parent == (old if new.alterations else None)
        assert not passes(old) or passes(new), (answer(new), judge(new, answer(new)))
        assert len({f["name"] for f in new.functions}) == len(new.functions)
