"""How tasks are put to an engine: generation strategies, and which one a task gets.

    base              the interface of generation strategies, and the encoder of prompts that they share
    single_turn       one prompt, one answer
    conversations     several turns, whose calls are executed on simulated systems; `dialogue` has the rules of one
    memories        conversations that fill a memory, and questions that are answered from it
    losses            nothing is generated: a given text is measured

A strategy first prepares everything that needs no engine: prompts are encoded while the engine's import still runs. It
reports the lengths of its sequences, and then generates what the journal lacks. What a prompt looks like is
`bitagent_evaluator.prompts`; scoring responses is `bitagent_evaluator.scoring`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

from bitagent_crds.conditions import Reason
from bitagent_crds.evaluation import BuiltinScorer
from bitagent_crds.task_forms import Expects
from bitagent_crds.task_set import Task
from bitagent_evaluator.evaluation.strategies.base import (
    GenerationStrategy,
    PromptEncoder,
    ScoringOptions,
    open_encoder,
    resolve_format,
)
from bitagent_evaluator.evaluation.strategies.conversations import ConversationStrategy
from bitagent_evaluator.evaluation.strategies.losses import LossStrategy
from bitagent_evaluator.evaluation.strategies.memories import MemoryStrategy
from bitagent_evaluator.evaluation.strategies.single_turn import SingleTurnStrategy
from bitagent_evaluator.support.faults import ModelFault

__all__ = [
    "STRATEGIES",
    "GenerationStrategy",
    "PromptEncoder",
    "ScoringOptions",
    "open_encoder",
    "prepare_strategies",
    "resolve_format",
]


class StrategyKind(StrEnum):
    """Kinds of generation. Their order is the order in which a run's strategies are used."""

    CONVERSATIONS = "conversations"
    MEMORIES = "memories"
    LOSSES = "losses"
    SINGLE_TURN = "single_turn"


STRATEGIES: Mapping[StrategyKind, type[GenerationStrategy]] = {
    StrategyKind.CONVERSATIONS: ConversationStrategy,
    StrategyKind.MEMORIES: MemoryStrategy,
    StrategyKind.LOSSES: LossStrategy,
    StrategyKind.SINGLE_TURN: SingleTurnStrategy,
}


def strategy_kind(task: Task, options: ScoringOptions) -> StrategyKind:
    """Return the kind of generation that a task needs."""
    if options.scorer == BuiltinScorer.LOSS:
        return StrategyKind.LOSSES
    if task.expects is Expects.ANSWER:
        return StrategyKind.MEMORIES
    return StrategyKind.CONVERSATIONS if task.expects is Expects.STATE else StrategyKind.SINGLE_TURN


def prepare_strategies(
    tasks: Sequence[Task], encoder: PromptEncoder, options: ScoringOptions
) -> list[GenerationStrategy]:
    """Prepare all tasks, one strategy for each kind. Raises ModelFault, also if the template refuses every task."""
    kinds: dict[StrategyKind, list[Task]] = {kind: [] for kind in StrategyKind}
    for task in tasks:
        kinds[strategy_kind(task, options)].append(task)
    strategies = [STRATEGIES[kind](of_kind, encoder, options) for kind, of_kind in kinds.items() if of_kind]
    refusal = next((message for strategy in strategies for message in strategy.refused.values()), None)
    if refusal is not None and not any(s.task_ids or s.too_long or s.over_limit for s in strategies):
        raise ModelFault(Reason.TEMPLATE_REFUSED, refusal)
    return strategies
