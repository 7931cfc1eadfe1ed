"""Each attack model is stopped, at the place and for the reason of the catalogue."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from attack_models.catalogue import ATTACKS, Place
from attack_models.files import BASE

from bitagent_crds.conditions import Reason
from bitagent_crds.evalround import Admission
from bitagent_crds.evaluation import Evaluation
from bitagent_crds.memory import excess, limits_of
from bitagent_crds.minermodel import EngineChoices
from bitagent_crds.model_result import ModelResult, ResultState
from bitagent_crds.policies import Standing
from bitagent_crds.sketches import AnswerSketch, WeightsSketch
from bitagent_crds.validator import Competition
from bitagent_evaluator.models.digests import weights_digest
from bitagent_evaluator.models.preflight import check_directory
from bitagent_evaluator.models.similarity import similarity_sketch
from bitagent_operator.plan.rounds.copies import Candidate, near_copies
from bitagent_validator.chain.facts import Neuron
from bitagent_validator.competitions.scores import record
from bitagent_validator.objects import Round, RoundPhase
from bitagent_validator.policy.eligibility import Standings
from bitagent_validator.policy.interface import Pay
from bitagent_validator.policy.registry import pay
from bitagent_validator.state.scores import Submission

Build = Callable[[str], Path]
Outcomes = Mapping[str, dict[str, Any]]
HONEST = "tiny-fc-400"


def at(place: Place, *states: object) -> list[str]:
    return [
        name
        for name, attack in ATTACKS.items()
        if attack.place is place and attack.reason in (states or {attack.reason})
    ]


def sketch(folder: Path) -> WeightsSketch:
    text = similarity_sketch(folder)
    assert text is not None
    return WeightsSketch.decode(text)


@pytest.mark.parametrize("name", at(Place.CHECK))
def test_refused_by_files_and_headers(built: Build, name: str) -> None:
    found = check_directory(built(name), scan_values=False)
    assert (found.reason, found.exit_code) == (ATTACKS[name].reason, 78), found.message


@pytest.mark.parametrize("name", ["copy-two-shards", "copy-float32", "hungry", "endless", "long-prompts", "silent"])
def test_the_others_are_sound_by_their_files(built: Build, name: str) -> None:
    """Else they would show nothing about the place where they are stopped. Other copies have the same small files."""
    assert check_directory(built(name), scan_values=False).reason is Reason.SAFE


@pytest.mark.parametrize("name", at(Place.ADMISSION, ResultState.DUPLICATE))
def test_other_files_of_the_same_weights_have_their_digest(built: Build, name: str) -> None:
    """The operator makes duplicates of equal digests (tests/unit/operator/plan/rounds/test_evaluations.py)."""

    def of_files(folder: Path) -> set[str]:
        return {hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.safetensors")}

    assert weights_digest(built(name)) == weights_digest(BASE)
    if name != "copy-renamed-file":
        assert not of_files(built(name)) & of_files(BASE)


@pytest.mark.parametrize("name", at(Place.ADMISSION, Reason.NEEDS_TOO_MUCH_MEMORY))
def test_more_memory_than_any_known_shape_of_its_size(built: Build, name: str) -> None:
    def rejected(folder: Path) -> str:
        facts = check_directory(folder, scan_values=False).facts
        assert facts is not None and facts.memory is not None
        return excess(facts.memory, facts.parameters, EngineChoices(), Evaluation(), limits_of(Admission()))

    assert rejected(built(name)) and not rejected(BASE)


@pytest.mark.parametrize("name", ["copy-permuted", "copy-scaled"])
def test_other_forms_of_the_same_function_have_its_sketch(built: Build, name: str) -> None:
    assert weights_digest(built(name)) != weights_digest(BASE)
    assert sketch(BASE).distance(sketch(built(name))) < 1e-4


def found_copies(outcomes: Outcomes, built: Build, names: Iterable[str]) -> dict[str, str]:
    """The near copies among an honest model, the base and others, in this order of seniority, by the model copied."""
    folders = {HONEST: BASE.parent / HONEST, BASE.name: BASE} | {name: built(name) for name in names}
    candidates = [
        Candidate(
            name,
            sketch(folder),
            AnswerSketch.decode(outcomes[name]["answerSketch"]),
            outcomes[name]["total"] - outcomes[name]["passed"],
        )
        for name, folder in folders.items()
    ]
    return {name: of for name, (of, _) in near_copies(candidates).items()}


SLOW = pytest.mark.timeout(1200)
"""The first of these tests runs the engine."""


@SLOW
@pytest.mark.engine
def test_near_copies_by_weights_and_answers(outcomes: Outcomes, built: Build) -> None:
    expected = {"copy-permuted": BASE.name, "copy-with-noise": HONEST}
    assert found_copies(outcomes, built, expected) == expected


@SLOW
@pytest.mark.engine
@pytest.mark.parametrize("name", at(Place.BUDGET))
def test_answers_beyond_the_budget_do_not_count(outcomes: Outcomes, name: str) -> None:
    assert outcomes[name]["unanswered"].keys() == {ATTACKS[name].reason}
    assert outcomes[name]["exitCode"] == 0


@SLOW
@pytest.mark.engine
@pytest.mark.parametrize("name", at(Place.PROMPTS))
def test_refused_by_the_prompts_of_the_round(outcomes: Outcomes, name: str) -> None:
    found = outcomes[name]
    assert (found["reason"], found["exitCode"], float(found["score"])) == (ATTACKS[name].reason, 78, 0)


@SLOW
@pytest.mark.engine
def test_who_says_nothing_is_paid_nothing_and_the_honest_all(outcomes: Outcomes) -> None:
    assert paid(outcomes, [HONEST])[HONEST].share == 1
    found = paid(outcomes, [HONEST, *at(Place.POLICY), *at(Place.BUDGET), *at(Place.PROMPTS)])
    assert found[HONEST].share == 1
    for name in at(Place.POLICY):
        assert found[name].standing is ATTACKS[name].reason, found[name]


def paid(outcomes: Outcomes, names: Iterable[str]) -> dict[str, Pay]:
    """What each earns by one complete round, as if each were a hotkey of its own."""
    names = list(names)
    template = {
        "models": {"matchLabels": {}},
        "tasks": {"sources": [{"bfcl": {"categories": ["multiple"]}}], "count": 9},
    }
    wire = {"id": "c", "schedule": {"everyBlocks": 100}, "round": template, "policy": "BitAgent"}
    competition = Competition.model_validate(wire)
    states = {0: ResultState.SUCCEEDED, 78: ResultState.MODEL_FAULT}
    results = tuple(
        ModelResult(model=name, state=states[outcomes[name]["exitCode"]], score=outcomes[name]["score"])
        for name in names
    )
    baseline = outcomes[HONEST]["baseline"]["score"]
    round_ = Round("r", 1, 100, RoundPhase.COMPLETE, results=results, baseline=baseline)
    neurons = {
        name: Neuron(uid=uid, hotkey=name, stake=0, permit=False, registered_at=1, last_update=1)
        for uid, name in enumerate(names)
    }
    submissions = {name: Submission(hotkey=name, block=block) for block, name in enumerate(names)}
    scored = record(None, round_, competition=competition, submissions=submissions, neurons=neurons)
    return pay(competition, Standings(scored), neurons)


def test_the_catalogue_has_every_place() -> None:
    assert {attack.place for attack in ATTACKS.values()} == set(Place)
    assert Standing.NEAR_COPY in {attack.reason for attack in ATTACKS.values()}
