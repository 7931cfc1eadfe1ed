"""Lines `bfcl`: BFCL's single-turn cases, judged as by the scorer `Bfcl`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import BaseModel

from bitagent_crds.evalround import Scorer
from bitagent_crds.results import Expects, Task
from bitagent_crds.sources import BfclCategory
from bitagent_evaluator.scoring.pairs.line import BadLine, read_lines
from bitagent_evaluator.scoring.scorer import answer, scorer
from bitagent_evaluator.tasks.bfcl import expects_of, language_of


class BfclLine(BaseModel):
    """A case and an answer."""

    id: str
    category: BfclCategory
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
        read = [(line.id, _task(number, line), line.response) for number, line in read_lines(lines, BfclLine)]
        verdicts = scorer(Scorer.BFCL).verdicts((task, answer(task, response)) for _, task, response in read)
        for (line_id, _, _), verdict in zip(read, verdicts, strict=True):
            yield {"id": line_id, "passed": verdict.passed}


def _task(number: int, line: BfclLine) -> Task:
    expects = expects_of(line.category)
    if expects is Expects.CALLS and not line.ground_truth:
        raise BadLine(f"line {number}: ground_truth: category {line.category} needs the expected calls")
    return Task(
        id=str(number),
        source="pairs",
        category=line.category,
        messages=[],
        functions=line.functions,
        expects=expects,
        language=language_of(line.category),
        ground_truth=line.ground_truth if expects is Expects.CALLS else None,
    )
