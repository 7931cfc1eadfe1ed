"""Scorers by name, and the two functions that apply one: `score` gives verdicts, `aggregate` a result.

A package adds a scorer by an entry point of the group `bitagent.scorers` (`bitagent_crds.plugins`), whose name is the
one that `scorer` gives and whose value is a class that implements `Scorer`. A built-in name cannot be replaced. The
result of such a scorer is the mean of its scores, and a task without a response fails.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from bitagent_crds.evaluation import Aggregation, BuiltinScorer, LossParameters, ScorerName
from bitagent_crds.plugins import BrokenPlugin, PluginGroup, check_known, known_names, load
from bitagent_crds.results import Response, Unanswered, Verdict
from bitagent_crds.task_set import Task
from bitagent_evaluator.parsing import AnswerSyntax, ParsedResponse, parse_response
from bitagent_evaluator.parsing.syntaxes import BFCL_SYNTAX
from bitagent_evaluator.scoring.aggregate import Aggregate, summarise
from bitagent_evaluator.scoring.base import Aggregates, Scorer, ScoresMissingResponses
from bitagent_evaluator.scoring.bfcl import BfclScorer, BfclStrictScorer
from bitagent_evaluator.scoring.bitagent.scorer import BitAgent202411Scorer, BitAgent202504Scorer
from bitagent_evaluator.scoring.exact_match import ExactMatchScorer
from bitagent_evaluator.scoring.leaderboard import columns, format_columns
from bitagent_evaluator.scoring.loss import LossScorer

BUILTIN_SCORERS: Mapping[str, type[Scorer]] = {
    BuiltinScorer.BFCL: BfclScorer,
    BuiltinScorer.BFCL_STRICT: BfclStrictScorer,
    BuiltinScorer.BITAGENT_2024_11: BitAgent202411Scorer,
    BuiltinScorer.BITAGENT_2025_04: BitAgent202504Scorer,
    BuiltinScorer.EXACT_MATCH: ExactMatchScorer,
    BuiltinScorer.LOSS: LossScorer,
}


def scorer_names() -> list[str]:
    """Return the built-in names and those that installed packages add, sorted."""
    return known_names(PluginGroup.SCORERS, BUILTIN_SCORERS)


def check_scorer(name: ScorerName) -> None:
    """Raise UnknownName for a name that is not in `scorer_names`. No package's scorer is imported."""
    check_known(PluginGroup.SCORERS, name, BUILTIN_SCORERS)


def load_scorer(name: ScorerName = BuiltinScorer.BFCL) -> Scorer:
    """Return a scorer by its name. Raises UnknownName or BrokenPlugin."""
    create = load(PluginGroup.SCORERS, name, BUILTIN_SCORERS)
    return create() if name in BUILTIN_SCORERS else _PluginScorer(name, create)


class _PluginScorer:
    """A package's scorer, checked at every verdict, so that a mistake in it is not held against a model."""

    def __init__(self, name: str, create: Callable[[], Scorer]) -> None:
        self._name = name
        try:
            self._scorer = create()
        except Exception as error:  # A package's code may raise anything.
            raise BrokenPlugin(f"scorer {name} cannot be used: {type(error).__name__}: {error}") from error
        if not isinstance(self._scorer, Scorer):
            raise BrokenPlugin(f"scorer {name} cannot be used: it has no method `verdicts`")

    def verdicts(self, answers: Iterable[tuple[Task, ParsedResponse]]) -> Iterator[Verdict]:
        """Yield the scorer's verdicts. Raises BrokenPlugin if it fails or gives another verdict than is due."""
        due: deque[Task] = deque()

        def read() -> Iterator[tuple[Task, ParsedResponse]]:
            for task, response in answers:
                due.append(task)
                yield task.model_copy(deep=True), response

        try:
            for verdict in self._scorer.verdicts(read()):
                task = due.popleft() if due else None
                if task is None or (verdict.id, verdict.category) != (task.id, task.category):
                    raise ValueError(f"a verdict on {verdict.id!r}, which is not the task that it was given")
                yield verdict
            if due:
                raise ValueError(f"no verdict on {due[0].id!r}")
        except Exception as error:  # A package's code may raise anything.
            raise BrokenPlugin(f"scorer {self._name} failed: {type(error).__name__}: {error}") from error


def score(
    tasks: Sequence[Task],
    responses: Iterable[Response],
    *,
    scorer: ScorerName = BuiltinScorer.BFCL,
    syntaxes: Sequence[AnswerSyntax] = BFCL_SYNTAX,
) -> list[Verdict]:
    """Return one verdict per task on one model's responses, in the order of the tasks.

    `syntaxes` are those that the prompt format accepts beside BFCL's own. A task without a response fails with error
    `no_response`, unless the scorer has another verdict for it. Responses to other tasks are ignored; of two responses
    to one task the first counts, as in an interrupted run that is resumed. Raises UnknownName or BrokenPlugin.
    """
    answers: dict[str, Response] = {}
    for response in responses:
        answers.setdefault(response.id, response)
    answered = (
        (task, parse_response(answers[task.id], syntaxes, task.language, task.functions, task.variation))
        for task in tasks
        if task.id in answers
    )
    loaded = load_scorer(scorer)
    scored = {verdict.id: verdict for verdict in loaded.verdicts(answered)}
    missing = loaded.missing_response if isinstance(loaded, ScoresMissingResponses) else _no_response
    return [scored.get(task.id) or missing(task) for task in tasks]


def _no_response(task: Task) -> Verdict:
    return Verdict(
        id=task.id,
        category=task.category,
        passed=False,
        error=Unanswered.NO_RESPONSE,
        detail="the model gave no answer",
    )


def aggregate(
    verdicts: Iterable[Verdict],
    *,
    seed: str | None = None,
    scorer: ScorerName = BuiltinScorer.BFCL,
    loss: LossParameters | None = None,
    aggregation: Aggregation = Aggregation.MEAN,
) -> Aggregate:
    """Return the result of the verdicts of a scorer, given in the order of the tasks; `seed` as for `summarise`.

    With aggregation Kinds, verdicts need kinds (`kinds.with_kinds`). `loss` is used by scorer Loss only. The package of
    a scorer that is not built in need not be installed.
    """
    builtin = BUILTIN_SCORERS[scorer]() if scorer in BUILTIN_SCORERS else None
    if isinstance(builtin, Aggregates):
        return builtin.aggregate(list(verdicts), seed=seed, loss=loss or LossParameters(), aggregation=aggregation)
    verdicts = list(verdicts)
    total = summarise(verdicts, seed=seed, aggregation=aggregation)
    if scorer != BuiltinScorer.BFCL:
        return total
    return replace(total, leaderboard=columns(total.categories) | format_columns(verdicts))
