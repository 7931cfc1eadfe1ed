"""Conversations get the reference's verdict in every row; every official case is solved by its reference calls."""

from __future__ import annotations

import ast
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.results import Response
from bitagent_crds.task_forms import Expects
from bitagent_crds.task_set import Conversation, Task
from bitagent_crds.tasks import MULTI_TURN, BfclCategory, BfclSource
from bitagent_evaluator.parsing import ParsedResponse, parse_response
from bitagent_evaluator.scoring.scorers import load_scorer
from bitagent_evaluator.tasks.sources.bfcl import BfclTasks

if TYPE_CHECKING:
    from tests.golden.conftest import Golden

Rows = list[dict[str, Any]]
Tasks = dict[str, Task]


@pytest.fixture(scope="module")
def rows(golden: Golden) -> Rows:
    return golden("bfcl/multi_turn_rows.jsonl.gz")


@pytest.fixture(scope="module")
def tasks(golden: Golden) -> Tasks:
    return {
        case["id"]: Task(
            id=case["id"],
            source="bfcl",
            category=case["category"],
            messages=case["question"][0],
            functions=[],
            expects=Expects.STATE,
            conversation=Conversation(
                turns=case["question"],
                ground_truth=case["ground_truth"],
                classes=case["involved_classes"],
                initial_state=case["initial_config"],
                long_context=case["category"] == "multi_turn_long_context",
            ),
        )
        for case in golden("bfcl/multi_turn_tasks.jsonl.gz")
    }


def conversation(task: Task, turns: list[list[str]] | str) -> ParsedResponse:
    response = Response(
        id=task.id,
        text=turns if isinstance(turns, str) else "",
        finish_reason="stop",
        prompt_tokens=0,
        completion_tokens=0,
        turns=[] if isinstance(turns, str) else turns,
    )
    return parse_response(response)


def has_positional(conversation: Conversation) -> bool:
    calls = [ast.parse(call, mode="eval").body for turn in conversation.ground_truth for call in turn]
    return any(isinstance(call, ast.Call) and bool(call.args) for call in calls)


def test_the_data_is_complete(rows: Rows, tasks: Tasks) -> None:
    assert len(rows) == 480
    assert Counter(task.category for task in tasks.values()) == dict.fromkeys(MULTI_TURN, 20)


@pytest.mark.parametrize("name", ["Bfcl", "ExactMatch", "BitAgent202411", "BitAgent202504"])
def test_the_verdicts_are_the_same_with_every_scorer(rows: Rows, tasks: Tasks, name: str) -> None:
    pairs = [(tasks[row["id"]], conversation(tasks[row["id"]], row["response"])) for row in rows]
    differences = [
        (row["id"], row["mutation"], verdict.error, verdict.detail)
        for row, verdict in zip(rows, load_scorer(name).verdicts(pairs), strict=True)
        if (verdict.passed, verdict.error) != (row["verdict"], row["error_type"] or "")
    ]
    assert differences == []


@pytest.mark.parametrize("category", sorted(MULTI_TURN))
def test_the_reference_calls_pass(category: BfclCategory) -> None:
    """All 200 official cases, answered with one step per turn and a word at its end.

    The decoder drops positional arguments, which few of the calls have.
    """
    official = BfclTasks(BfclSource(categories=[category])).tasks()
    answered = []
    for task in official:
        assert task.conversation is not None
        steps = [[f"[{', '.join(calls)}]", "Done."] for calls in task.conversation.ground_truth]
        answered.append((task, conversation(task, steps)))
    failed = {verdict.id: verdict.detail for verdict in load_scorer("Bfcl").verdicts(answered) if not verdict.passed}
    positional = {task.id for task in official if task.conversation and has_positional(task.conversation)}
    assert {task_id: detail for task_id, detail in failed.items() if task_id not in positional} == {}
    assert len(failed) < 30
