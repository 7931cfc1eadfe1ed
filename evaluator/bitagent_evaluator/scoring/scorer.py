"""The interface of scorers and their registry."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from bitagent_crds.results import Response, Task, Verdict
from bitagent_evaluator.registry import Registry

DEFAULT_SCORER = "bfcl_ast"

SCORERS = Registry(
    what="scorer",
    group="bitagent.scorers",
    builtin={"bfcl_ast": "bitagent_evaluator.scoring.bfcl_ast:BfclAst"},
)


class Scorer(Protocol):
    """Judges answers. Made without arguments."""

    def verdicts(self, answers: Sequence[tuple[Task, str]]) -> Iterator[Verdict]:
        """One verdict for each (task, answer text), in order. No answer makes it raise, hang or execute anything."""
        ...


def scorer(name: str = DEFAULT_SCORER) -> Scorer:
    """A scorer by its registry name. Raises UnknownName."""
    made: Scorer = SCORERS.load(name)()
    return made


def score(tasks: Sequence[Task], responses: Iterable[Response], *, by: str = DEFAULT_SCORER) -> list[Verdict]:
    """Judge one model's answers to `tasks`: one verdict per task, in the order of the tasks.

    A task without a response fails with error `no_response`. Responses to other tasks are ignored; of two responses to one task the
    first counts, as it does when an interrupted run goes on.
    """
    texts: dict[str, str] = {}
    for response in responses:
        texts.setdefault(response.id, response.text)
    answered = [(task, texts[task.id]) for task in tasks if task.id in texts]
    judged = {verdict.id: verdict for verdict in scorer(by).verdicts(answered)}
    return [judged.get(task.id) or _no_response(task) for task in tasks]


def _no_response(task: Task) -> Verdict:
    return Verdict(
        id=task.id, category=task.category, passed=False, error="no_response", detail="the model gave no answer"
    )
