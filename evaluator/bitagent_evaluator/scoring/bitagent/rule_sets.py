"""The interface of rule sets and their registry, by the month in which each was in force."""

from __future__ import annotations

from typing import Protocol

from bitagent_evaluator.registry import Registry
from bitagent_evaluator.scoring.bitagent.criteria import Answer, Expected, Score, Tools
from bitagent_evaluator.scoring.bitagent.reading import Call


class RuleSet(Protocol):
    """The criteria of one month. Made without arguments."""

    def score(self, expected: Expected | None, tools: Tools, answer: Answer, *, with_default: bool) -> Score:
        """Judge an answer. `expected` is None where no function fits; `with_default` adds does_not_error and speed. Raises nothing."""
        ...

    def score_call(self, expected: Expected, tools: Tools, call: Call) -> Score:
        """The tool criteria for a call that was read already."""
        ...


RULE_SETS = Registry(
    what="BitAgent rule set",
    group="bitagent.rule_sets",
    builtin={
        "2024-11": "bitagent_evaluator.scoring.bitagent.rules_2024_11:Rules202411",
        "2025-04": "bitagent_evaluator.scoring.bitagent.rules_2025_04:Rules202504",
    },
)


def rule_set(name: str) -> RuleSet:
    """A rule set by its registry name. Raises UnknownName."""
    made: RuleSet = RULE_SETS.load(name)()
    return made
