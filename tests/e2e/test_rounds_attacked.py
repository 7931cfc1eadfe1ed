"""Attackers beside honest models in one round: the honest have the same scores and pay, each attacker a reason."""

from __future__ import annotations

from typing import Any

import pytest
from attackers import HONEST, AttackedRound
from kit import result

pytestmark = pytest.mark.e2e

ENDS = {
    "attack-table": ("Rejected", "BadTokenizer"),
    "attack-hungry": ("Rejected", "NeedsTooMuchMemory"),
    "attack-shards": ("Duplicate", "DuplicateWeights"),
    "attack-template": ("ModelFault", "TemplateRefused"),
    "attack-long-prompts": ("ModelFault", "TemplateRefused"),
    "attack-permuted": ("Succeeded", "Evaluated"),
    "attack-endless": ("Succeeded", "Evaluated"),
}


def of_honest(round_: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(r["state"], r["score"], r["answerSketch"]) for r in (result(round_, name) for name in HONEST)]


def test_honest_models_have_the_scores_that_they_have_alone(attacked_round: AttackedRound) -> None:
    assert of_honest(attacked_round.attacked) == of_honest(attacked_round.honest)
    assert result(attacked_round.attacked, HONEST[0])["rank"] == 1


@pytest.mark.parametrize("name", ENDS)
def test_every_attacker_ends_with_its_reason(attacked_round: AttackedRound, name: str) -> None:
    found = result(attacked_round.attacked, name)
    assert (found["state"], found["reason"]) == ENDS[name]


def test_a_copy_names_the_earliest(attacked_round: AttackedRound) -> None:
    assert result(attacked_round.attacked, "attack-shards")["duplicateOf"] == HONEST[1]
    assert result(attacked_round.attacked, "attack-permuted")["nearCopyOf"] == HONEST[1]


def test_answers_without_end_are_worth_less_than_the_same_with_an_end(attacked_round: AttackedRound) -> None:
    endless, same = (result(attacked_round.attacked, name) for name in ("attack-endless", HONEST[1]))
    assert float(endless["score"]) <= float(same["score"])
