"""Scorers `BitAgent202411` and `BitAgent202504`: a rule set's tool criteria for the project's tasks.

A task's score is its normalized points, at least 0. It is passed when they reach the points of the right answer: some right answers earn
less than all points. Tasks that only want some call, and conversations, which the subnet never had, are judged by BFCL's rule and have no
criteria; nor has one that has only a reference text, which fails.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bitagent_crds.results import Expects, Response, Task, Verdict
from bitagent_evaluator.scoring.bitagent.criteria import Answer, Score
from bitagent_evaluator.scoring.bitagent.expectation import best_score, expected_call, tools_of
from bitagent_evaluator.scoring.bitagent.rule_sets import RuleSet, rule_set
from bitagent_evaluator.scoring.judgement import judge
from bitagent_evaluator.scoring.multi_turn.judgement import Conversations

_BY_BFCL = frozenset({Expects.ANY_CALL, Expects.TEXT})
"""What the subnet had no rule for."""


class _ByRules:
    def __init__(self, name: str) -> None:
        self._rules: RuleSet = rule_set(name)

    def verdicts(self, answers: Iterable[tuple[Task, Response]]) -> Iterator[Verdict]:
        """One verdict per (task, answer), in order."""
        with Conversations() as conversations:
            for task, response in answers:
                if task.expects is Expects.STATE:
                    yield conversations.judge(task, response)
                else:
                    yield (judge if task.expects in _BY_BFCL else self._verdict)(task, response.text)

    def _verdict(self, task: Task, text: str) -> Verdict:
        scored = self._rules.score(
            expected_call(task), tools_of(task.functions), Answer(response=text), with_default=False
        )
        best = best_score(self._rules, task)
        missed = {} if scored.normalized >= best.normalized else _missed(scored, best)
        return Verdict(
            id=task.id,
            category=task.category,
            passed=not missed,
            score=min(1.0, max(0.0, scored.normalized)),
            criteria={name.value: points for name, points in scored.criteria.items()},
            error=f"bitagent:{next(iter(missed))}" if missed else "",
            detail="; ".join(missed.values()),
        )


def _missed(scored: Score, best: Score) -> dict[str, str]:
    return {
        name.value: f"{name}: {given:g} of {possible:g} points"
        for name, (given, possible) in scored.criteria.items()
        if (given, possible) != best.criteria[name]
    }


class BitAgent202411(_ByRules):
    """The criteria of November 2024."""

    def __init__(self) -> None:
        super().__init__("2024-11")


class BitAgent202504(_ByRules):
    """The criteria of April 2025."""

    def __init__(self) -> None:
        super().__init__("2025-04")
