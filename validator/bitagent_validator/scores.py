"""What a round says about hotkeys. Pure: EvalRounds and the owners of their models in, standings out."""

from __future__ import annotations

from collections.abc import Mapping

from bitagent_crds.conditions import ConditionStatus, ConditionType
from bitagent_crds.evalround import EvalRound, ResultState
from bitagent_validator.chain.facts import Neuron
from bitagent_validator.policy.interface import Score

SCORED = frozenset({ResultState.SUCCEEDED, ResultState.MODEL_FAULT})
"""States that carry a score. A rejected model has none, nor has a copy: it earns nothing beside its original."""
UNDER_EVALUATION = frozenset({ResultState.PENDING, ResultState.RUNNING, ResultState.SUCCEEDED})

Owners = Mapping[str, str]
"""Hotkeys by the name of their MinerModel; models of nobody are left out."""


def holds(round_: EvalRound, condition: ConditionType) -> bool:
    """Whether the round reports the condition as true."""
    conditions = round_.status.conditions if round_.status else []
    return any(c.type == condition and c.status == ConditionStatus.TRUE for c in conditions)


def is_failed(round_: EvalRound) -> bool:
    """Whether the round can never complete."""
    return holds(round_, ConditionType.FAILED)


def is_complete(round_: EvalRound) -> bool:
    """Whether scores are final and may be paid. A round that also failed is not complete: no weights from a partial round."""
    return holds(round_, ConditionType.COMPLETE) and not is_failed(round_)


def is_finished(round_: EvalRound) -> bool:
    """Whether nothing more will come of the round."""
    return holds(round_, ConditionType.COMPLETE) or is_failed(round_)


def scores_by_hotkey(round_: EvalRound, *, owners: Owners, neurons: Mapping[str, Neuron]) -> dict[str, Score]:
    """The best score of each hotkey in a complete round.

    Raises:
        ValueError: The round is not complete.
    """
    if round_.status is None or not is_complete(round_):
        raise ValueError("scores are taken from complete rounds only")
    best: dict[str, float] = {}
    for result in round_.status.results:
        hotkey = owners.get(result.model)
        if hotkey is None or result.state not in SCORED or result.score is None:
            continue
        best[hotkey] = max(best.get(hotkey, 0.0), float(result.score))
    return {
        hotkey: Score(value, registered_at=neurons[hotkey].registered_at if hotkey in neurons else None)
        for hotkey, value in best.items()
    }


def entrants(round_: EvalRound, *, owners: Owners) -> frozenset[str]:
    """Hotkeys with a model that the running round still evaluates, or has evaluated with success."""
    results = round_.status.results if round_.status else []
    return frozenset(owners[r.model] for r in results if r.state in UNDER_EVALUATION and r.model in owners)
