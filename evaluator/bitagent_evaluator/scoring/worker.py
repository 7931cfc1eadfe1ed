"""A scorer in a sandbox: one that scores answers while others still arrive."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from bitagent_crds.results import Response
from bitagent_crds.task_set import Task
from bitagent_evaluator.parsing import AnswerSyntax, ParsedResponse, parse_response
from bitagent_evaluator.scoring.scorers import load_scorer


class ScorerWorker:
    """Answers the blobs `tasks` and `responses`, a JSON document a line each, with `{"verdicts": [...]}` in order.

    The scorer stays in use from one request to the next, and with it the processes that it may have started.
    """

    def __init__(self, scorer: str, *syntaxes: str) -> None:
        """Load the scorer; `syntaxes` are accepted beside BFCL's own. Raises UnknownName or BrokenPlugin."""
        self._syntaxes = [AnswerSyntax(name) for name in syntaxes]
        self._pending: deque[tuple[Task, ParsedResponse]] = deque()
        self._verdicts = load_scorer(scorer).verdicts(self._next_answers())

    def _next_answers(self) -> Iterator[tuple[Task, ParsedResponse]]:
        while True:
            if not self._pending:
                raise RuntimeError("the scorer reads an answer before it has yielded the verdict on the last one")
            yield self._pending.popleft()

    def handle(self, body: dict[str, Any], blobs: Mapping[str, bytes]) -> dict[str, Any]:
        """Return the verdicts as JSON types."""
        tasks = [Task.model_validate_json(line) for line in blobs["tasks"].splitlines()]
        responses = [Response.model_validate_json(line) for line in blobs["responses"].splitlines()]
        for task, response in zip(tasks, responses, strict=True):
            self._pending.append(
                (task, parse_response(response, self._syntaxes, task.language, task.functions, task.variation))
            )
        return {"verdicts": [next(self._verdicts).model_dump(mode="json") for _ in tasks]}
