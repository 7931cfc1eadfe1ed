"""Lines `bfcl`: BFCL's cases, judged as by the scorer `Bfcl`. A line's category says whether it is a single-turn case or a conversation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import BaseModel

from bitagent_crds.evaluation import Scorer
from bitagent_crds.results import Expects, Response, Task
from bitagent_crds.sources import MULTI_TURN, BfclCategory
from bitagent_evaluator.scoring.pairs.bfcl_multi_turn import read_conversation
from bitagent_evaluator.scoring.pairs.line import BadLine, read_line
from bitagent_evaluator.scoring.scorer import answer, scorer
from bitagent_evaluator.tasks.bfcl import expects_of, language_of


class CaseLine(BaseModel):
    """What lines of both kinds have."""

    id: str
    category: BfclCategory


class BfclLine(CaseLine):
    """A single-turn case and an answer."""

    functions: list[dict[str, Any]]
    question: list[Any] = []
    """Chat messages by turn. Verdicts do not depend on them."""
    ground_truth: list[dict[str, dict[str, list[Any]]]] | None = None
    """Null where no particular call is expected."""
    response: str


class BfclPairs:
    """See the module."""

    def judge(self, lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
        """`{"id", "passed"}` per line."""
        ids: list[str] = []
        pairs: list[tuple[Task, Response]] = []
        for number, line in enumerate(lines, 1):
            if line.strip():
                case = read_line(number, line, CaseLine)
                ids.append(case.id)
                pairs.append((read_conversation if case.category in MULTI_TURN else _read)(number, line))
        for line_id, verdict in zip(ids, scorer(Scorer.BFCL).verdicts(pairs), strict=True):
            yield {"id": line_id, "passed": verdict.passed}


def _read(number: int, line: bytes) -> tuple[Task, Response]:
    case = read_line(number, line, BfclLine)
    expects = expects_of(case.category)
    if expects is Expects.CALLS and not case.ground_truth:
        raise BadLine(f"line {number}: ground_truth: category {case.category} needs the expected calls")
    task = Task(
        id=str(number),
        source="pairs",
        category=case.category,
        messages=[],
        functions=case.functions,
        expects=expects,
        language=language_of(case.category),
        ground_truth=case.ground_truth if expects is Expects.CALLS else None,
    )
    return task, answer(task, case.response)
