"""The official cases: complete, with their ground truth, and answerable."""

from __future__ import annotations

import functools
import subprocess
import sys
from typing import Any

import pytest

from bitagent_crds.task_forms import Expects, Language
from bitagent_crds.task_set import PROMPT_VARIATIONS, Task
from bitagent_crds.tasks import MEMORY, MULTI_TURN, BfclCategory, BfclSource
from bitagent_evaluator.scoring.bfcl import check_text
from bitagent_evaluator.scoring.multi_turn.memory import MEMORY_SCENARIOS
from bitagent_evaluator.scoring.multi_turn.systems import SYSTEMS
from bitagent_evaluator.tasks.files import TaskSetError
from bitagent_evaluator.tasks.sources.bfcl import BfclTasks, memory_conversations, variation_of

SIZES = {
    "simple_python": 400,
    "simple_java": 100,
    "simple_javascript": 50,
    "multiple": 200,
    "parallel": 200,
    "parallel_multiple": 200,
    "irrelevance": 240,
    "live_simple": 258,
    "live_multiple": 1053,
    "live_parallel": 16,
    "live_parallel_multiple": 24,
    "live_irrelevance": 884,
    "live_relevance": 16,
    "multi_turn_base": 200,
    "multi_turn_miss_func": 200,
    "multi_turn_miss_param": 200,
    "multi_turn_long_context": 200,
    "memory_kv": 155,
    "memory_vector": 155,
    "memory_rec_sum": 155,
    "format_sensitivity": 5200,
}


@functools.cache
def cases(category: str) -> list[Task]:
    return BfclTasks(BfclSource(categories=[BfclCategory(category)])).tasks()


def answer(task: Task) -> str:
    """The ground truth as an answer: first allowed values, optional arguments left out."""
    functions = {function["name"]: function for function in task.functions}
    calls = []
    for call in task.ground_truth or []:
        for name, arguments in call.items():
            required = functions[name]["parameters"]["required"]
            shown = [
                f"{key}={first(values)!r}" for key, values in arguments.items() if key in required or "" not in values
            ]
            calls.append(f"{name}({', '.join(shown)})")
    return f"[{', '.join(calls)}]"


def first(allowed: list[Any]) -> Any:
    values = [plain(value) for value in allowed if value != ""]
    return values[0] if values else ""


def plain(value: Any) -> Any:
    """A dict of allowed values as one dict; lists of them likewise."""
    if isinstance(value, dict):
        return {key: first(entry) for key, entry in value.items() if isinstance(entry, list) and "" not in entry}
    return [plain(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("category", BfclCategory)
def test_every_category_is_complete(category: BfclCategory) -> None:
    tasks = cases(category)
    assert len(tasks) == SIZES[category]
    assert {task.category for task in tasks} == {category.value}
    assert all(task.id.startswith(f"{category}_") and task.source == "bfcl" for task in tasks)
    assert all(task.messages and task.messages[-1]["role"] == "user" for task in tasks)
    expected = (
        {Expects.STATE}
        if category in MULTI_TURN
        else {Expects.ANSWER}
        if category in MEMORY
        else {Expects.NO_CALL}
        if "irrelevance" in category
        else {Expects.ANY_CALL}
        if "relevance" in category
        else {Expects.CALLS}
    )
    assert {task.expects for task in tasks} == expected
    assert all((task.ground_truth is not None) == (task.expects is Expects.CALLS) for task in tasks)


@pytest.mark.parametrize(
    ("category", "language"), [("simple_java", Language.JAVA), ("simple_javascript", Language.JAVASCRIPT)]
)
def test_languages(category: str, language: Language) -> None:
    assert {task.language for task in cases(category)} == {language}


@pytest.mark.parametrize(
    "category", ["simple_python", "multiple", "parallel", "parallel_multiple", "live_simple", "live_multiple"]
)
def test_the_ground_truth_passes(category: str) -> None:
    tasks = cases(category)
    failed = [task.id for task in tasks if not check_text(task, answer(task)).passed]
    assert len(failed) <= len(tasks) * 0.02, (
        failed
    )  # the official data holds some cases whose own answers miss a required argument


@pytest.mark.parametrize("category", sorted(MULTI_TURN))
def test_conversations(category: str) -> None:
    for task in cases(category):
        conversation = task.conversation
        assert conversation is not None
        assert conversation.turns[0] == task.messages
        assert len(conversation.ground_truth) == len(conversation.turns)
        assert set(conversation.classes) <= set(SYSTEMS)
        assert conversation.long_context == (category == "multi_turn_long_context")
        late = [function["name"] for functions in conversation.held_back.values() for function in functions]
        assert bool(late) == (category == "multi_turn_miss_func")
        assert not {function["name"] for function in task.functions} & set(late)
        assert all(conversation.turns[int(turn)] == [] for turn in conversation.held_back)


def test_format_sensitivity_is_cases_of_other_categories_in_every_variation() -> None:
    tasks = cases("format_sensitivity")
    assert [task.variation for task in tasks[:26]] == list(PROMPT_VARIATIONS)
    assert all(task.variation == variation_of(task.id) for task in tasks)
    originals = {task.id: task for name in ("simple_python", "live_multiple") for task in cases(name)}
    for task in tasks[:: 13 * 26]:
        if original := originals.get(task.id.split(":")[2]):
            same = {"id": task.id, "category": task.category, "variation": task.variation}
            assert task == original.model_copy(update=same)
    assert len({task.id.split(":")[2] for task in tasks}) == 200


@pytest.mark.parametrize("category", sorted(MEMORY))
def test_questions_about_a_memory(category: str) -> None:
    tasks = cases(category)
    assert {task.memory.scenario for task in tasks if task.memory} == set(MEMORY_SCENARIOS)
    assert all(task.memory and f"memory_{task.memory.backend}" == category for task in tasks)
    assert all([message["role"] for message in task.messages] == ["system", "user"] for task in tasks)
    assert all("'answer': A short" in task.messages[0]["content"] and task.functions for task in tasks)
    first = tasks[0]
    assert first.memory and (first.id, first.memory.answers) == (f"{category}_0-customer-0", ["Michael"])


def test_conversations_before_the_questions() -> None:
    sizes = {name: len(memory_conversations(name)) for name in MEMORY_SCENARIOS}
    assert sizes == {"student": 10, "customer": 10, "finance": 7, "healthcare": 5, "notetaker": 5}
    assert {m["role"] for turns in memory_conversations("student") for turn in turns for m in turn} == {"user"}
    with pytest.raises(TaskSetError):
        memory_conversations("unknown-person")


@pytest.mark.parametrize("case_id", ["simple_python_1", "format_sensitivity_0:ret_fmt=yaml:simple_python_1"])
def test_an_id_without_a_variation(case_id: str) -> None:
    with pytest.raises(LookupError):
        variation_of(case_id)


def test_functions_that_a_case_excludes_are_shown_as_the_leaderboard_shows_them() -> None:
    task = next(task for task in cases("multi_turn_miss_func") if task.id == "multi_turn_miss_func_0")
    names = [function["name"] for function in task.functions]
    assert names[0] == "authenticate_twitter"  # the first system's functions come first
    assert "cp" in names  # `excluded_function`
    assert "sort" not in names  # `missed_function`
    assert task.conversation is not None
    assert [function["name"] for function in task.conversation.held_back["3"]] == ["sort"]


def test_reading_cases_writes_nothing_and_needs_no_handlers() -> None:
    code = """
import sys
from bitagent_crds.tasks import BfclSource
from bitagent_evaluator.tasks.sources.bfcl import BfclTasks, variation_of
assert BfclTasks(BfclSource(categories=["multiple"])).tasks()
forbidden = ("bfcl_eval.model_handler", "bfcl_eval.utils", "bfcl_eval.constants.eval_config")
print([name for name in sys.modules if name.startswith(forbidden)])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == "[]"
