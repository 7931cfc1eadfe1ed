"""Properties of every alteration, on the official cases and on random tasks."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.schema_strategies import examples

from bitagent_crds.alterations import Alteration as Spec
from bitagent_crds.task_forms import Expects
from bitagent_crds.task_set import AlterationManifest, Task
from bitagent_crds.tasks import BfclCategory
from bitagent_evaluator.alterations.pipeline import alter_tasks
from bitagent_evaluator.alterations.tools import normalise_name
from bitagent_evaluator.parsing.render import render_calls
from bitagent_evaluator.scoring.bfcl import check_text, expected_calls
from bitagent_evaluator.tasks.files import encode_tasks

PURE = [name for name in Spec.model_fields if name != "rewrite"]
"""Alterations without an external service. Rewrite, and tasks of other sources, are in tasks/test_build_altered."""
ALL = [
    "merge",
    "distractor_tools",
    "irrelevance",
    "tool_shuffle",
    "function_mask",
    "parameter_mask",
    "default_value_mask",
]
CHAINS: dict[str, list[str]] = {name: [name] for name in PURE} | {
    "all": ALL,
    "backwards": ALL[::-1],
    "twice": ["function_mask", "distractor_tools", "parameter_mask", "function_mask", "parameter_mask"],
}
MASKS = ["function_mask", "parameter_mask", "default_value_mask"]

Result = tuple[list[Task], list[AlterationManifest]]


def specs(names: list[str], percent: int = 100) -> list[Spec]:
    return [Spec.model_validate({name: {"percent": percent}}) for name in names]


def answer(task: Task) -> str:
    """Return a right answer: the first allowed values."""
    if task.expects is Expects.NO_CALL:
        return "None of these functions can do that."
    if task.expects is Expects.ANY_CALL:
        return f"[{task.functions[0]['name'] if task.functions else 'f'}()]"
    return render_calls(expected_calls(task), task.language)


def passes(task: Task) -> bool:
    return check_text(task, answer(task)).passed


@pytest.fixture(scope="session")
def cases(official_cases: Callable[[str], list[Task]]) -> list[Task]:
    """Every eighth official case of each category, and every second in Java and JavaScript."""
    steps = {category: 2 if "java" in category else 8 for category in BfclCategory} | {"format_sensitivity": 201}
    return [task for category, step in steps.items() for task in official_cases(category)[::step]]


@pytest.fixture(scope="session")
def altered(cases: list[Task]) -> Callable[..., Result]:
    """Alter all cases by some alterations in order, once in a session for each list."""

    @functools.cache
    def alter(*names: str) -> Result:
        return alter_tasks(cases, specs(list(names)), seed="0xfeed")

    return alter


@pytest.fixture(scope="session")
def passing(cases: list[Task]) -> frozenset[str]:
    """The ids of the cases whose ground truth passes before any alteration."""
    return frozenset(task.id for task in cases if passes(task))


def test_most_official_ground_truths_pass(cases: list[Task], passing: frozenset[str]) -> None:
    assert len(passing) > 0.95 * len(cases)


@pytest.mark.parametrize("names", CHAINS.values(), ids=CHAINS)
def test_an_altered_ground_truth_passes_where_the_original_did(
    altered: Callable[..., Result], passing: frozenset[str], names: list[str]
) -> None:
    tasks, manifests = altered(*names)
    assert sum(manifest.applied for manifest in manifests) > 100
    assert [task.id for task in tasks if task.id in passing and not passes(task)] == []


def check_records(before: list[Task], result: Result) -> None:
    """Check that unaltered tasks stay byte-equal, and that altered ones record what was done and their parent."""
    tasks, manifests = result
    records = 0
    for old, new in zip(before, tasks, strict=True):
        if new.alterations:
            records += len(new.alterations)
            assert new.parent == old
            assert encode_tasks([new.model_copy(update={"alterations": [], "parent": None})]) != encode_tasks([old])
        else:
            assert encode_tasks([new]) == encode_tasks([old])
        assert (new.id, new.source, new.category, new.language) == (old.id, old.source, old.category, old.language)
    assert records == sum(manifest.applied for manifest in manifests)
    assert all(manifest.applied + sum(manifest.skipped.values()) == len(before) for manifest in manifests)


@pytest.mark.parametrize("names", CHAINS.values(), ids=CHAINS)
def test_unaltered_tasks_stay_byte_equal_and_altered_ones_have_records(
    cases: list[Task], altered: Callable[..., Result], names: list[str]
) -> None:
    check_records(cases, altered(*names))
    some = cases[::4]
    before = encode_tasks(some)
    check_records(some, alter_tasks(some, specs(names, percent=40), seed="s"))
    assert encode_tasks(some) == before, "the given tasks were modified"


def test_distractors_never_clash(cases: list[Task], altered: Callable[..., Result]) -> None:
    languages = {task.id: task.language for task in cases}
    for task in altered("distractor_tools")[0]:
        for record in task.alterations:
            added = record.parameters["added"]
            assert 2 <= len(added) <= 6
            assert {languages[owner] for owner in added.values()} == {task.language}
            others = [normalise_name(f["name"]) for f in task.functions if f["name"] not in added]
            assert len({*others, *map(normalise_name, added)}) == len(set(others)) + len(added)


def test_masked_names_are_gone_from_the_functions(altered: Callable[..., Result]) -> None:
    for task in altered(*MASKS[:2])[0]:
        names = {f["name"] for f in task.functions}
        assert all(name in names for call in task.ground_truth or [] for name in call)
        for record in task.alterations:
            assert len(set(record.parameters.values())) == len(record.parameters)
            assert not set(record.parameters) & names


@pytest.mark.parametrize("order", [MASKS[::-1], [*MASKS[1:], MASKS[0]]], ids=["backwards", "rotated"])
def test_masks_apply_to_the_same_tasks_in_any_order(altered: Callable[..., Result], order: list[str]) -> None:
    applied = [
        {task.id: sorted(record.name for record in task.alterations) for task in altered(*names)[0]}
        for names in (MASKS, order)
    ]
    assert applied[0] == applied[1]


def test_irrelevance_applies_to_more_tasks_after_distractors_than_before(altered: Callable[..., Result]) -> None:
    _, (added, removed) = altered("distractor_tools", "irrelevance")
    assert removed.skipped.keys() - {"conversation"} == {"expects_no_call", "expects_any_call"}
    _, (removed_first, added_after) = altered("irrelevance", "distractor_tools")
    assert removed_first.skipped["no_other_function"] > 0
    assert "expects_no_call" not in added.skipped | added_after.skipped


def test_distractors_hide_whether_a_call_is_right(altered: Callable[..., Result]) -> None:
    tasks, _ = altered("distractor_tools", "irrelevance")
    few = [task for task in tasks if task.expects is Expects.NO_CALL and len(task.functions) < 2]
    assert len(few) <= 0.02 * sum(task.expects is Expects.NO_CALL for task in tasks)


ONCE = """
import hashlib, sys
from bitagent_crds.alterations import Alteration
from bitagent_crds.tasks import BfclCategory, BfclSource
from bitagent_evaluator.alterations.pipeline import alter_tasks
from bitagent_evaluator.tasks.sources.bfcl import BfclTasks
from bitagent_evaluator.tasks.files import encode_tasks
tasks = BfclTasks(BfclSource(categories=["live_multiple"])).tasks()[:60]
specs = [Alteration.model_validate({name: {"percent": 60}}) for name in sys.argv[1:]]
print(hashlib.sha256(encode_tasks(alter_tasks(tasks, specs, seed="s", available=tasks)[0])).hexdigest())
"""


def test_the_same_bytes_in_every_process() -> None:
    digests = {
        subprocess.run(
            [sys.executable, "-c", ONCE, *ALL],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(digests) == 1


# Random tasks

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
    """Draw a schema and a list of allowed values for it."""
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
def random_tasks(draw: st.DrawFn, number: int) -> Task:
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


@examples(50)
@given(
    tasks=st.tuples(*(random_tasks(i) for i in range(3))),
    chain=st.lists(st.sampled_from(PURE), max_size=5),
    percent=st.integers(1, 100),
    seed=st.text(min_size=1, max_size=4),
)
def test_random_tasks(tasks: tuple[Task, ...], chain: list[str], percent: int, seed: str) -> None:
    before = encode_tasks(tasks)
    altered, manifests = alter_tasks(tasks, specs(chain, percent), seed=seed)
    assert encode_tasks(tasks) == before
    assert encode_tasks(alter_tasks(tasks, specs(chain, percent), seed=seed)[0]) == encode_tasks(altered)
    assert sum(m.applied for m in manifests) == sum(len(task.alterations) for task in altered)
    for old, new in zip(tasks, altered, strict=True):
        assert new.parent == (old if new.alterations else None)
        assert not passes(old) or passes(new), (answer(new), check_text(new, answer(new)))
        assert len({f["name"] for f in new.functions}) == len(new.functions)
