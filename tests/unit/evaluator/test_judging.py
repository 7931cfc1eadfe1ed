"""Judging in processes beside the engine gives what judging here gives."""

from __future__ import annotations

import os

import pytest

from bitagent_crds.fields import PromptFormat
from bitagent_crds.results import Conversation, Expects, Language, Response, Task
from bitagent_evaluator.faults import InfrastructureFault
from bitagent_evaluator.runs.judging import Judging, judges_for
from bitagent_evaluator.scoring import answer

FUNCTION = {
    "name": "add",
    "description": "",
    "parameters": {"type": "dict", "properties": {"x": {"type": "integer"}}, "required": ["x"]},
}


def task(index: int, *, language: Language = Language.PYTHON, expects: Expects = Expects.CALLS) -> Task:
    truth = [{"add": {"x": [index]}}] if expects is Expects.CALLS else None
    return Task(
        id=f"t{index}", source="s", category="c", messages=[], functions=[FUNCTION], language=language,
        expects=expects, ground_truth=truth,
    )  # fmt: skip


def conversation() -> Task:
    talk = Conversation(turns=[[]], ground_truth=[[]], classes=[], initial_state={})
    return task(0).model_copy(update={"expects": Expects.STATE, "conversation": talk})


def replies(tasks: list[Task]) -> list[Response]:
    """Every third answer is wrong, every seventh missing."""
    return [answer(asked, f"[add(x={i if i % 3 else i + 1})]") for i, asked in enumerate(tasks) if i % 7]


@pytest.mark.parametrize(
    ("tasks", "cores", "judges"),
    [
        ([task(i) for i in range(1000)], 8, 0),
        ([task(0)] * 80_000, 8, 4),
        ([task(0, language=Language.JAVA)] * 1000, 8, 2),
        ([conversation()] * 800, 8, 2),
        ([conversation()] * 8000, 8, 8),
        ([], 8, 0),
    ],
    ids=["few Python answers", "many Python answers", "Java", "conversations", "many conversations", "nothing"],
)
def test_processes_follow_from_the_work(tasks: list[Task], cores: int, judges: int) -> None:
    assert judges_for(tasks, cores) == judges


@pytest.mark.parametrize("scorer", ["Bfcl", "BitAgent202504"])
def test_verdicts_do_not_depend_on_the_number_of_processes(scorer: str) -> None:
    tasks = [task(i) for i in range(60)] + [task(i, language=Language.JAVA) for i in range(60, 64)]
    given = replies(tasks)
    seen = []
    for judges in (0, 2):
        with Judging(tasks, PromptFormat.BFCL, scorer, judges=judges) as judging:
            judging.hand(given[:20])
            judging.hand(given[10:40])
            seen.append(judging.verdicts(given))
    assert seen[0] == seen[1]
    assert {verdict.error for verdict in seen[0]} > {"", "no_response"}


def test_answers_are_made_readable_first() -> None:
    asked = task(4)
    reply = answer(asked, '[{"name": "add", "arguments": {"x": 4}}]')
    with Judging([asked], PromptFormat.HAMMER, "Bfcl", judges=1) as judging:
        assert [verdict.passed for verdict in judging.verdicts([reply])] == [True]


def test_the_first_answer_counts() -> None:
    asked = task(4)
    with Judging([asked], PromptFormat.BFCL, "Bfcl", judges=1) as judging:
        judging.hand([answer(asked, "[add(x=4)]")])
        judging.hand([answer(asked, "[add(x=5)]")])
        assert judging.verdicts([])[0].passed


def test_a_lost_process_is_no_ones_verdict() -> None:
    asked = task(4)
    with Judging([asked], PromptFormat.BFCL, "NoSuchScorer", judges=1) as judging:
        judging.hand([answer(asked, "[add(x=4)]")])
        with pytest.raises(InfrastructureFault, match="was lost at one of t4"):
            judging.verdicts([])


def test_leaving_early_ends_the_processes() -> None:
    with Judging([task(1)], PromptFormat.BFCL, "Bfcl", judges=2) as judging:
        processes = [judge._process for judge in judging._judges]
    assert all(process.poll() is not None for process in processes)


def test_a_key_that_stops_the_run_does_not_reach_the_processes() -> None:
    with Judging([task(1)], PromptFormat.BFCL, "Bfcl", judges=1) as judging:
        assert os.getpgid(judging._judges[0]._process.pid) != os.getpgid(0)
