"""Lines `bfcl` of the multi-turn categories: a case with its simulated systems, and the steps of each turn."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field

from bitagent_crds.results import Conversation, Expects, Response, Task
from bitagent_crds.sources import BfclCategory
from bitagent_evaluator.scoring.multi_turn.systems import SYSTEMS
from bitagent_evaluator.scoring.pairs.line import BadLine, read_line
from bitagent_evaluator.scoring.scorer import answer
from bitagent_evaluator.tasks.bfcl import is_long_context


class MultiTurnLine(BaseModel):
    """A case and a conversation. Its functions and questions may be there; verdicts do not depend on them."""

    category: BfclCategory
    ground_truth: Annotated[list[list[str]], Field(min_length=1)]
    """Reference calls of each turn."""
    initial_config: dict[str, Any]
    involved_classes: list[str]
    response: list[list[str]] | str
    """The texts of each step of each turn; a text alone is what stands there when a conversation could not be had."""


def read_conversation(number: int, line: bytes) -> tuple[Task, Response]:
    """The line's task and response. Raises BadLine."""
    case = read_line(number, line, MultiTurnLine)
    if unknown := [name for name in case.involved_classes if name not in SYSTEMS]:
        raise BadLine(f"line {number}: involved_classes: no system {unknown[0]!r}; there are: {', '.join(SYSTEMS)}")
    task = Task(
        id=str(number),
        source="pairs",
        category=case.category,
        messages=[],
        functions=[],
        expects=Expects.STATE,
        conversation=Conversation(
            turns=[[] for _ in case.ground_truth],  # verdicts do not depend on what was asked
            ground_truth=case.ground_truth,
            classes=case.involved_classes,
            initial_state=case.initial_config,
            long_context=is_long_context(case.category),
        ),
    )
    if isinstance(case.response, str):
        return task, answer(task, case.response)
    return task, answer(task, "").model_copy(update={"turns": case.response})
