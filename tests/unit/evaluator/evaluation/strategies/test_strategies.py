"""Which generation strategy a task gets."""

from __future__ import annotations

import pytest

from bitagent_crds.evaluation import BuiltinScorer
from bitagent_crds.task_forms import Expects
from bitagent_crds.task_set import Task
from bitagent_evaluator.evaluation.strategies import STRATEGIES, ScoringOptions, StrategyKind, strategy_kind


def test_every_kind_has_a_strategy_in_the_order_of_use() -> None:
    assert list(STRATEGIES) == list(StrategyKind)
    assert len(set(STRATEGIES.values())) == len(StrategyKind)


@pytest.mark.parametrize(
    ("expects", "scorer", "kind"),
    [
        (Expects.CALLS, BuiltinScorer.BFCL, StrategyKind.SINGLE_TURN),
        (Expects.NO_CALL, "ScorerOfAPackage", StrategyKind.SINGLE_TURN),
        (Expects.STATE, BuiltinScorer.BFCL, StrategyKind.CONVERSATIONS),
        (Expects.TEXT, BuiltinScorer.LOSS, StrategyKind.LOSSES),
        (Expects.STATE, BuiltinScorer.LOSS, StrategyKind.LOSSES),
    ],
)
def test_kind_of_generation(expects: Expects, scorer: str, kind: StrategyKind) -> None:
    task = Task.model_construct(expects=expects)
    assert strategy_kind(task, ScoringOptions(scorer)) is kind
