"""Scorers `BitAgent202411` and `BitAgent202504`: the tool criteria of a rule set for the project's tasks.

A task's score is its points divided by the possible points of the right answer, from 0 to the right answer's score. A
task is passed if it reaches that, because some right answers earn less than all points. What the subnet never had is
scored by BFCL's rule, without criteria: tasks that expect any call, conversations, and tasks that have only a reference
text, which fail.

A text that any of these rules, or BFCL's, reads as a call is none of the answers "no function fits", whatever blanks,
lines and brackets are around it. On the subnet some texts were right with the function and without it.

No answer earns more than the right one. On the subnet two kinds could: a list of all allowed values in place of a value
(`ExpectedCall.accepts_list`), and values of a type to which a criterion cannot be applied, because fewer points are
possible then.

The rules know one expected call. Of a task with several the first counts, as in the subnet's validators, so that the
answer should be that call alone. They know it in two forms: plain, with one value per argument, or as a ground truth,
with a list of allowed values per argument. The subnet marked its BFCL tasks as ground truths; here tasks of source
`bfcl` are, and tasks in which an argument allows several values or a dict.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Protocol

from bitagent_crds.results import Verdict
from bitagent_crds.task_forms import SEVERAL_STEPS, Expects
from bitagent_crds.task_set import Task
from bitagent_evaluator.parsing import ParsedResponse
from bitagent_evaluator.scoring.bfcl import LEFT_OUT, check_answer, first_allowed
from bitagent_evaluator.scoring.bitagent.criteria import (
    CALL_POINTS,
    CriteriaPoints,
    Criterion,
    ExpectedCall,
    MinerResponse,
    Tools,
)
from bitagent_evaluator.scoring.bitagent.reading import PythonCall, holds_call
from bitagent_evaluator.scoring.bitagent.rules_2024_11 import Rules202411
from bitagent_evaluator.scoring.bitagent.rules_2025_04 import Rules202504
from bitagent_evaluator.scoring.multi_turn.simulation import ConversationChecker


class RuleSet(Protocol):
    """The criteria of one month. Created without arguments."""

    def score(
        self, expected: ExpectedCall | None, tools: Tools, answer: MinerResponse, *, with_default: bool
    ) -> CriteriaPoints:
        """Return the points of an answer; raises nothing.

        `expected` is None if no function fits; `with_default` adds the criteria does_not_error and speed.
        """
        ...

    def score_call(self, expected: ExpectedCall, tools: Tools, call: PythonCall) -> CriteriaPoints:
        """Return the points of a call in the tool criteria."""
        ...


GROUND_TRUTH_SOURCE = "bfcl"
_SCALARS = (str, int, float, bool, type(None))


def expected_call(task: Task) -> ExpectedCall | None:
    """Return the expected call; None if no call is expected."""
    if task.expects is not Expects.CALLS or not task.ground_truth:
        return None
    name, arguments = next(iter(task.ground_truth[0].items()))
    if task.source == GROUND_TRUTH_SOURCE or not all(_is_plain(allowed) for allowed in arguments.values()):
        return ExpectedCall(name, arguments, is_ground_truth=True, accepts_list=False)
    return ExpectedCall(name, {argument: allowed[0] for argument, allowed in arguments.items()})


def tools_of(functions: list[dict[str, Any]]) -> Tools:
    """Return the tools of a task from function descriptions in BFCL's form."""
    return {str(function.get("name")): _required(function.get("parameters")) for function in functions}


def best_score(rules: RuleSet, task: Task) -> CriteriaPoints:
    """Return the points of the natural right answer: every argument that has a value, with the first one.

    The rules for a ground truth require all its arguments, even those that can only be left out, so some right answers
    earn less than all points.
    """
    expected = expected_call(task)
    if expected is None:
        return CriteriaPoints({Criterion.IRRELEVANT: (CALL_POINTS, CALL_POINTS)})
    arguments = (task.ground_truth or [])[0][expected.name]
    values = {name: first_allowed(allowed, keep=True) for name, allowed in arguments.items() if allowed != [LEFT_OUT]}
    return rules.score_call(expected, tools_of(task.functions), PythonCall(expected.name, tuple(values.items())))


def _required(parameters: object) -> frozenset[str]:
    required = parameters.get("required") if isinstance(parameters, Mapping) else None
    return frozenset(str(name) for name in required) if isinstance(required, list) else frozenset()


def _is_plain(allowed: list[Any]) -> bool:
    if len(allowed) != 1 or allowed[0] == LEFT_OUT:
        return False
    value = allowed[0]
    return isinstance(value, _SCALARS) or (isinstance(value, list) and all(isinstance(i, _SCALARS) for i in value))


_A_CALL = "f()"
"""What a call is scored as where none is right."""
_BY_BFCL = frozenset({Expects.ANY_CALL, Expects.TEXT})
"""Tasks for which the subnet had no rule."""


class _RuleSetScorer:
    """Scores answers by a rule set, which reads their text itself."""

    rules: ClassVar[RuleSet]

    def verdicts(self, answers: Iterable[tuple[Task, ParsedResponse]]) -> Iterator[Verdict]:
        """Yield one verdict per task with its response, in order."""
        with ConversationChecker() as conversations:
            for task, response in answers:
                if task.expects in SEVERAL_STEPS:
                    yield conversations.check(task, response)
                elif task.expects in _BY_BFCL:
                    yield check_answer(task, response.answer)
                elif task.expects is Expects.NO_CALL and (response.answer.calls or holds_call(response.answer.text)):
                    yield self._verdict(task, _A_CALL)
                else:
                    yield self._verdict(task, response.answer.bfcl_text(task.language))

    def _verdict(self, task: Task, text: str) -> Verdict:
        scored = self.rules.score(
            expected_call(task), tools_of(task.functions), MinerResponse(response=text), with_default=False
        )
        best = best_score(self.rules, task)
        share = scored.total / max(scored.possible, best.possible)
        is_right = share >= best.normalized and _value_points(scored) >= _value_points(best)
        missed = {} if is_right else _missed(scored, best)
        return Verdict(
            id=task.id,
            category=task.category,
            passed=not missed,
            score=min(best.normalized, max(0.0, share)),
            criteria={name.value: points for name, points in scored.criteria.items()},
            error=f"bitagent:{next(iter(missed))}" if missed else "",
            detail="; ".join(missed.values()),
        )


def _value_points(points: CriteriaPoints) -> float:
    """Return the points for the values, which the points of further arguments do not make up for."""
    return points.criteria.get(Criterion.ARGUMENT_VALUES, (0.0, 0.0))[0]


def _missed(scored: CriteriaPoints, best: CriteriaPoints) -> dict[str, str]:
    return {
        name.value: f"{name}: {given:g} of {possible:g} points"
        for name, (given, possible) in scored.criteria.items()
        if (given, possible) != best.criteria[name]
    }


class BitAgent202411Scorer(_RuleSetScorer):
    """The criteria of November 2024."""

    rules = Rules202411()


class BitAgent202504Scorer(_RuleSetScorer):
    """The criteria of April 2025."""

    rules = Rules202504()
