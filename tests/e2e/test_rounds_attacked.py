"""Attackers beside honest models in one round: the honest have the same scores and pay, each attacker a reason."""

from __future__ import annotations

from typing import Any

import pytest
from attackers import HONEST, AttackedRound
from kit import result

from bitagent_crds.model_result import ModelResult
from bitagent_crds.policies import Standing
from bitagent_crds.validator import Competition
from bitagent_validator.chain.facts import Neuron
from bitagent_validator.competitions.scores import record
from bitagent_validator.objects import Round, RoundPhase
from bitagent_validator.policy.eligibility import Standings
from bitagent_validator.policy.interface import Pay
from bitagent_validator.policy.registry import pay
from bitagent_validator.state.scores import Submission

pytestmark = pytest.mark.e2e

ENDS = {
    "attack-table": ("Rejected", "BadTokenizer"),
    "attack-normalizer": ("Rejected", "BadTokenizer"),
    "attack-markers": ("Rejected", "BadTokenizer"),
    "attack-decoder": ("Rejected", "BadTokenizer"),
    "attack-padded-loss": ("Rejected", "BadTokenizer"),
    "attack-hungry": ("Rejected", "NeedsTooMuchMemory"),
    "attack-shards": ("Duplicate", "DuplicateWeights"),
    "attack-template": ("ModelFault", "TemplateRefused"),
    "attack-long-prompts": ("ModelFault", "TemplateRefused"),
    "attack-permuted": ("Succeeded", "Evaluated"),
    "attack-endless": ("Succeeded", "Evaluated"),
    "attack-silent": ("Succeeded", "Evaluated"),
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


def paid(round_: dict[str, Any]) -> dict[str, Pay]:
    """What each model's hotkey earns by the round; the earlier in its list was committed first."""
    status = round_["status"]
    tasks = {key: value for key, value in round_["spec"]["tasks"].items() if key != "seed"}
    results = tuple(ModelResult.model_validate(r) for r in status["results"])
    wire = {
        "id": "attacked",
        "schedule": {"everyBlocks": 100},
        "round": {"models": {"matchLabels": {}}, "tasks": tasks},
        "policy": "BitAgent",
        "duplicates": "EarliestEarns",
    }
    competition = Competition.model_validate(wire)
    names = [*HONEST, *sorted({r.model for r in results} - set(HONEST))]
    neurons = {
        name: Neuron(uid=uid, hotkey=name, stake=0, permit=False, registered_at=1, last_update=1)
        for uid, name in enumerate(names)
    }
    complete = Round("r", 1, 100, RoundPhase.COMPLETE, results=results, baseline=status["taskSet"]["baseline"])
    submissions = {name: Submission(hotkey=name, block=block) for block, name in enumerate(names)}
    scored = record(None, complete, competition=competition, submissions=submissions, neurons=neurons)
    return pay(competition, Standings(scored), neurons)


def test_honest_models_are_paid_what_they_earn_alone(attacked_round: AttackedRound) -> None:
    alone, beside = paid(attacked_round.honest), paid(attacked_round.attacked)
    assert {name: beside[name].share for name in HONEST} == {name: alone[name].share for name in HONEST}
    assert all(not found.share for name, found in beside.items() if name not in HONEST)
    assert beside["attack-silent"].standing is Standing.AT_BASELINE
    assert beside["attack-permuted"].standing is Standing.NEAR_COPY
