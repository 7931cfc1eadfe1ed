"""The interface of scorers and their registry."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, runtime_checkable

from bitagent_crds.evaluation import Scorer as ScorerName
from bitagent_crds.results import Response, Task, Verdict
from bitagent_evaluator.registry import Registry

SCORERS = Registry(
    what="scorer",
    group="bitagent.scorers",
    builtin={
        ScorerName.BFCL.value: "bitagent_evaluator.scoring.bfcl_ast:BfclAst",
        ScorerName.BITAGENT_2024_11.value: "bitagent_evaluator.scoring.bitagent.scorer:BitAgent202411",
        ScorerName.BITAGENT_2025_04.value: "bitagent_evaluator.scoring.bitagent.scorer:BitAgent202504",
        ScorerName.EXACT_MATCH.value: "bitagent_evaluator.scoring.exact_match:ExactMatch",
        ScorerName.LOSS.value: "bitagent_evaluator.scoring.loss:Loss",
    },
)


class Scorer(Protocol):
    """Judges answers. Made without arguments."""

    def verdicts(self, answers: Iterable[tuple[Task, Response]]) -> Iterator[Verdict]:
        """One verdict for each task with its answer, in order, each given before the next answer is taken: answers may still be coming.

        No answer makes it raise, hang or execute anything.
        """
        ...


@runtime_checkable
class JudgesSilence(Protocol):
    """A scorer with verdicts of its own on tasks without a response."""

    def unanswered(self, task: Task) -> Verdict:
        """The verdict on such a task."""
        ...


def scorer(name: str = ScorerName.BFCL) -> Scorer:
    """A scorer by its registry name. Raises UnknownName."""
    return _made(name)


def _made(name: str) -> Scorer:
    made: Scorer = SCORERS.load(name)()
    return made


def score(tasks: Sequence[Task], responses: Iterable[Response], *, scorer: str = ScorerName.BFCL) -> list[Verdict]:
    """Judge one model's answers to `tasks` by a registered scorer: one verdict per task, in the order of the tasks.

    A task without a response fails with error `no_response`, unless the scorer has another verdict on it. Responses to other tasks are
    ignored; of two responses to one task the first counts, as it does when an interrupted run goes on.
    """
    answers: dict[str, Response] = {}
    for response in responses:
        answers.setdefault(response.id, response)
    answered = [(task, answers[task.id]) for task in tasks if task.id in answers]
    judge = _made(scorer)
    judged = {verdict.id: verdict for verdict in judge.verdicts(answered)}
    unanswered = judge.unanswered if isinstance(judge, JudgesSilence) else _no_response
    return [judged.get(task.id) or unanswered(task) for task in tasks]


def answer(task: Task, text: str) -> Response:
    """A response of which only the text is known."""
    return Response(id=task.id, text=text, finish_reason="stop", prompt_tokens=0, completion_tokens=0)


def _no_response(task: Task) -> Verdict:
    return Verdict(
        id=task.id, category=task.category, passed=False, error="no_response", detail="the model gave no answer"
    )
