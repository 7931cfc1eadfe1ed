"""Parsing of EvalRounds and of the Validator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bitagent_validator.objects import RoundPhase, parse_round, parse_validator


@pytest.mark.parametrize(
    ("conditions", "phase"),
    [
        pytest.param({}, RoundPhase.UNFINISHED, id="nothing reported"),
        pytest.param({"Complete": "False", "Running": "True"}, RoundPhase.UNFINISHED, id="running"),
        pytest.param({"Complete": "True"}, RoundPhase.COMPLETE, id="complete"),
        pytest.param({"Failed": "True"}, RoundPhase.FAILED, id="failed"),
        pytest.param({"Complete": "True", "Failed": "True"}, RoundPhase.FAILED, id="failed takes precedence"),
    ],
)
def test_the_phase_follows_from_the_conditions(
    eval_round: Callable[..., Any], conditions: dict[str, str], phase: RoundPhase
) -> None:
    round_ = parse_round(eval_round([], **conditions))
    assert (round_.phase, round_.epoch, round_.block, round_.competition) == (phase, 7, 700, "fc")
    assert round_.readable


@pytest.mark.parametrize(
    ("state", "phase"),
    [
        *((state, RoundPhase.FAILED) for state in ("Pending", "Running", "InfraFault", "NotEvaluated")),
        *((s, RoundPhase.COMPLETE) for s in ("Succeeded", "Rejected", "Duplicate", "ModelFault", "Unscored")),
    ],
)
def test_a_round_with_a_result_that_is_not_final_is_not_complete(
    eval_round: Callable[..., Any], state: str, phase: RoundPhase
) -> None:
    """Whatever its condition says, as after a status that was written by hand."""
    results = [
        {"model": "a", "state": "Succeeded", "reason": "Evaluated", "score": "0.500000"},
        {"model": "b", "state": state, "reason": "Evaluated"},
    ]
    assert parse_round(eval_round(results, Complete="True")).phase is phase


@pytest.mark.parametrize(
    ("conditions", "unarchived"),
    [({}, False), ({"Archived": "False"}, True), ({"Archived": "Unknown"}, True), ({"Archived": "True"}, False)],
    ids=["no archive", "waits for it", "not known", "archived"],
)
def test_whether_it_waits_for_its_archive(
    eval_round: Callable[..., Any], conditions: dict[str, str], unarchived: bool
) -> None:
    assert parse_round(eval_round([], Complete="True", **conditions)).unarchived is unarchived


def test_an_unreadable_round_counts_as_running(
    eval_round: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    obj = eval_round([], Complete="True")
    obj["spec"]["surprise"] = 1
    round_ = parse_round(obj)
    assert (round_.readable, round_.phase) == (False, RoundPhase.UNFINISHED)
    assert "surprise" in caplog.text


def test_a_round_of_a_later_version_counts_as_far_as_its_states_are_known(eval_round: Callable[..., Any]) -> None:
    obj = eval_round([], Complete="True")
    obj["status"] |= {"surprise": 1, "results": [{"model": "m", "state": "Succeeded", "reason": "NeverHeardOf"}]}
    assert parse_round(obj).phase is RoundPhase.COMPLETE
    obj["status"]["results"][0]["state"] = "Polished"
    round_ = parse_round(obj)
    assert (round_.readable, round_.phase) == (False, RoundPhase.UNFINISHED)


@pytest.mark.parametrize("annotations", [None, {"bitagent.io/epoch-block": "9" * 5000}], ids=["none", "too long"])
def test_labels_that_are_not_numbers_read_as_zero(eval_round: Callable[..., Any], annotations: Any) -> None:
    obj = eval_round([])
    obj["metadata"] |= {"labels": {"bitagent.io/epoch": "seven"}, "annotations": annotations}
    round_ = parse_round(obj)
    assert (round_.epoch, round_.block, round_.competition, round_.owner) == (0, 0, "", "")


def test_an_unreadable_validator_has_no_spec(caplog: pytest.LogCaptureFixture) -> None:
    me = parse_validator({"metadata": {"name": "v", "namespace": "n", "uid": "u"}, "spec": {"netuid": "x"}})
    assert me.spec is None
    assert "netuid" in caplog.text


@pytest.mark.parametrize(
    ("annotations", "accepts"),
    [
        pytest.param(None, {}, id="none"),
        pytest.param({"bitagent.io/accept-weights": "r-1"}, {None: "r-1"}, id="without a number"),
        pytest.param(
            {"bitagent.io/accept-weights-0": "r-1", "bitagent.io/accept-weights-7": "r-2"},
            {0: "r-1", 7: "r-2"},
            id="of two mechanisms",
        ),
        pytest.param({"bitagent.io/accept-weights-8": "r-1"}, {}, id="of one that no subnet has"),
    ],
)
def test_what_a_person_accepts(annotations: dict[str, str] | None, accepts: dict[int | None, str]) -> None:
    obj = {"metadata": {"name": "v", "namespace": "n", "uid": "u", "annotations": annotations}, "spec": {}}
    assert parse_validator(obj).accepts == accepts
