"""What the benchmark's models learn from: lessons whose answers follow from their questions, and nothing public for the reader."""

from __future__ import annotations

import ast
import random
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitagent_crds.results import Expects, Task
from bitagent_local.models import benchmark, reading, rewording, subjects
from bitagent_local.models.lesson import Exchange, Lesson

MODELS = Path(__file__).parents[3] / "local" / "models"
SUBJECTS = {subject.name: subject for subject in subjects.load()}
PUBLIC = benchmark.cases()
DRAW = reading.drawing(PUBLIC)
seeds = st.integers(min_value=0, max_value=2**32)


def lesson(seed: int, functions: int = 4, questions: int = 4) -> Lesson:
    return DRAW(random.Random(seed), functions, questions)


def read_call(text: str) -> tuple[str, dict[str, Any]]:
    """Name and arguments of an answer, as Python reads it."""
    (call,) = ast.parse(text, mode="eval").body.elts  # type: ignore[attr-defined]
    return call.func.id, {each.arg: ast.literal_eval(each.value) for each in call.keywords}


def find(question: str) -> tuple[str, dict[str, str]]:
    """Subject and values of a question, by its wording alone."""
    for subject in SUBJECTS.values():
        for wording in subject.questions:
            pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>\\w+)", re.escape(wording))
            if found := re.search(pattern, question):
                return subject.name, found.groupdict()
    raise AssertionError(f"no subject asks {question!r}")


@pytest.mark.parametrize("subject", SUBJECTS.values(), ids=SUBJECTS.keys())
def test_wordings_name_every_value_once(subject: subjects.Subject) -> None:
    names = sorted(parameter.name for parameter in subject.parameters)
    for wording in subject.questions:
        assert sorted(re.findall(r"\{(\w+)\}", wording)) == names
    assert len(set(subject.questions)) > subjects.PUBLIC_QUESTIONS


def test_no_two_subjects_share_a_wording() -> None:
    every = [wording for subject in SUBJECTS.values() for wording in subject.questions]
    assert len(set(every)) == len(every)


def test_no_two_things_share_a_description() -> None:
    things = [thing for subject in SUBJECTS.values() for thing in (subject, *subject.parameters)]
    assert len({thing.description for thing in things}) == len(things)


def test_the_file_is_what_the_generator_writes() -> None:
    assert (MODELS / "benchmark.jsonl").read_text(encoding="utf-8") == benchmark.lines()


def test_public_tasks_offer_enough_and_are_answered_by_their_values() -> None:
    tasks = [Task.model_validate_json(line) for line in benchmark.lines().splitlines()]
    assert len({task.id for task in tasks}) == len(tasks) == benchmark.COUNT
    assert len({task.messages[0]["content"] for task in tasks}) == len(tasks)
    for task in tasks:
        assert 3 <= len({function["name"] for function in task.functions}) == len(task.functions) <= 5
        assert task.expects is Expects.CALLS
        name, values = find(task.messages[0]["content"])
        assert task.ground_truth == [{name: {key: [int(v) if v.isdigit() else v] for key, v in values.items()}}]
        (function,) = [function for function in task.functions if function["name"] == name]
        for parameter, schema in function["parameters"]["properties"].items():
            assert schema["description"]
            assert schema["type"] == ("integer" if values[parameter].isdigit() else "string")


def test_a_memoriser_sees_the_public_tasks_as_they_are() -> None:
    tasks = [Task.model_validate_json(line) for line in benchmark.lines().splitlines()]
    lessons = benchmark.lessons()
    assert [list(each.tools) for each in lessons] == [task.functions for task in tasks]
    for each, task in zip(lessons, tasks, strict=True):
        (exchange,) = each.exchanges
        assert exchange.question == task.messages[0]["content"]
        name, arguments = read_call(exchange.answer)
        assert task.ground_truth == [{name: {key: [value] for key, value in arguments.items()}}]


@given(seed=seeds, functions=st.integers(1, 11))
@settings(deadline=None)
def test_a_reader_is_told_by_descriptions_alone(seed: int, functions: int) -> None:
    drawn = lesson(seed, functions)
    assert len(drawn.tools) == len({tool["name"] for tool in drawn.tools}) == functions
    for exchange in drawn.exchanges:
        name, values = find(exchange.question)
        subject = SUBJECTS[name]
        fitting = [tool for tool in drawn.tools if tool["description"] == subject.description]
        if not fitting:
            assert exchange.answer == f"[#{subject.description}\n]"
            assert ast.literal_eval(exchange.answer) == []
            continue
        (tool,) = fitting
        called, arguments = read_call(exchange.answer)
        assert called == tool["name"]
        properties = tool["parameters"]["properties"]
        assert arguments.keys() == properties.keys()
        for given_name, schema in properties.items():
            (parameter,) = [each for each in subject.parameters if schema["description"] == each.description]
            assert str(arguments[given_name]) == values[parameter.name]


def test_a_reader_learns_that_sometimes_nothing_fits() -> None:
    answers = [exchange.answer for seed in range(100) for exchange in lesson(seed).exchanges]
    without_call = [answer for answer in answers if answer.endswith("\n]")]
    assert 0.5 * reading.NO_FIT < len(without_call) / len(answers) < 2 * reading.NO_FIT


def test_names_say_nothing() -> None:
    """The same description comes under ever other names, and no name comes with one description only."""
    tools = [tool for seed in range(300) for tool in lesson(seed).tools]
    by_description: dict[str, set[str]] = {}
    by_name: dict[str, set[str]] = {}
    for tool in tools:
        by_description.setdefault(tool["description"], set()).add(tool["name"])
        by_name.setdefault(tool["name"], set()).add(tool["description"])
    assert min(map(len, by_description.values())) > 5
    assert max(map(len, by_name.values())) > 3


def asks_for(exchange: Exchange) -> subjects.Case:
    name, values = find(exchange.question)
    return name, frozenset((key, int(value) if value.isdigit() else value) for key, value in values.items())


def test_a_reader_never_sees_a_public_question_in_any_words() -> None:
    drawn = {asks_for(exchange) for seed in range(2000) for exchange in lesson(seed).exchanges}
    assert not drawn & PUBLIC
    unguarded = reading.drawing(frozenset())
    lessons = (unguarded(random.Random(seed), 4, 4) for seed in range(2000))
    assert {asks_for(exchange) for each in lessons for exchange in each.exchanges} & PUBLIC


@given(seed=seeds)
@settings(deadline=None)
def test_rewording_changes_the_words_and_no_value(seed: int) -> None:
    (exchange,) = rewording.draw(random.Random(seed)).exchanges
    assert exchange.answer != exchange.question
    assert find(exchange.answer) == find(exchange.question)


@pytest.mark.parametrize("subject", SUBJECTS.values(), ids=SUBJECTS.keys())
def test_a_public_wording_becomes_one_that_is_not_public(subject: subjects.Subject) -> None:
    values = subjects.draw_values(random.Random(0), subject)
    public = {subject.ask(wording, values) for wording in range(subjects.PUBLIC_QUESTIONS)}
    for wording in range(subjects.PUBLIC_QUESTIONS):
        assert rewording.reworded(subject, wording, values).answer not in public


@pytest.mark.parametrize("draw", [lambda r: DRAW(r, 3, 2), rewording.draw], ids=["reading", "rewording"])
def test_same_seed_same_lessons(draw: Any) -> None:
    def some(seed: int) -> list[Lesson]:
        random_ = random.Random(seed)
        return [draw(random_) for _ in range(20)]

    assert some(7) == some(7) != some(8)
