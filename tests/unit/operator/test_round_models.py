"""How a model gets into an evaluation, or is turned away, and what becomes of it when it changes or goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make, Plan


@pytest.mark.parametrize(
    ("model", "state"),
    [
        pytest.param({}, ("Pending", "WaitingForModel"), id="not fetched yet"),
        pytest.param({"fetched": True}, ("Pending", "WaitingForTasks"), id="fetched"),
        pytest.param(
            {"fetched": True, "revision": "main", "at": -61}, ("Pending", "WaitingForModel"), id="branch, not anew"
        ),
        pytest.param({"fetched": "CorruptWeights"}, ("Rejected", "CorruptWeights"), id="unsafe"),
        pytest.param({"fetched": "HubUnavailable"}, ("InfraFault", "HubUnavailable"), id="hub down"),
        pytest.param({"fetched": "HubUnavailable", "at": -1}, ("Pending", "WaitingForModel"), id="hub was down"),
        pytest.param({"suspend": True}, ("Rejected", "Suspended"), id="suspended meanwhile"),
        pytest.param({"fetched": True, "generation": 2}, ("Pending", "WaitingForModel"), id="spec changed"),
    ],
)
def test_way_to_admission(make: Make, plan: Plan, model: dict[str, Any], state: tuple[str, str]) -> None:
    found = plan(make.started("a", "z", tasks=False), [make.model("a", **model), make.model("z")])
    assert found.states["a"] == state


def test_deleted_is_only_believed_after_a_live_look(make: Make, plan: Plan) -> None:
    assert plan(make.started("a")).questions.models == {"a"}
    assert plan(make.started("a"), gone=["a"]).states == {"a": ("Rejected", "ModelDeleted")}


def test_a_deleted_model_keeps_its_evaluation(make: Make, plan: Plan) -> None:
    done = {
        "a": {
            "state": "Succeeded",
            "reason": "Evaluated",
            "score": "0.500000",
            "weightsDigest": "sha256:" + "1" * 64,
        }
    }
    found = plan(make.started("a", results=done))
    assert found.results["a"].score == "0.500000"
    assert found.status.phase == "Complete"


def test_a_running_evaluation_of_a_deleted_model_is_stopped(make: Make, plan: Plan) -> None:
    running = {"a": {"state": "Running", "commit": "a" * 40, "weightsDigest": make.digest("1")}}
    job = make.evaluation(make.key("1"))
    found = plan(make.started("a", "b", results=running), [make.model("b")], jobs=[job], gone=["a"])
    assert found.states["a"] == ("Rejected", "ModelDeleted")
    assert [d.uid for d in found.delete] == [job.meta.uid]


def test_an_admitted_model_stays_while_another_round_fetches_it_anew(make: Make, plan: Plan) -> None:
    fetching = {"conditions": [make.condition("Fetched", "Unknown", "Fetching")]}
    admitted = {"a": {"commit": "a" * 40, "weightsDigest": make.digest("1")}}
    found = plan(make.started("a", results=admitted), [make.model("a", revision="main", status=fetching)])
    assert found.states["a"] == ("Pending", "WaitingForSlot")
    assert [e.model.meta.name for e in found.evaluate] == ["a"]


def test_the_rounds_rules_reject(make: Make, plan: Plan) -> None:
    models = [make.model("a", fetched=True), make.model("b", fetched=True, weights="2", facts={"parameters": 999})]
    found = plan(make.started("a", "b", admission={"maxParameters": 999}), models)
    assert found.states == {"a": ("Rejected", "TooManyParameters"), "b": ("Pending", "WaitingForSlot")}
    assert [e.model.meta.name for e in found.evaluate] == ["b"]


@pytest.mark.parametrize(
    ("reason", "state"), [("CorruptWeights", "Rejected"), ("HubUnavailable", "InfraFault")], ids=["unsafe", "hub"]
)
def test_facts_of_an_earlier_fetch_do_not_admit(make: Make, plan: Plan, reason: str, state: str) -> None:
    resolved = {"resolved": make.facts() | {"at": "2026-01-01T00:00:00Z"}}
    found = plan(make.started("a"), [make.model("a", fetched=reason, status=resolved)])
    assert found.states["a"] == (state, reason)
    assert (found.results["a"].commit, found.results["a"].weights_digest) == (None, None)
    assert found.evaluate == ()


@pytest.mark.parametrize(
    "later",
    [
        pytest.param({"fetched": True, "weights": "2", "facts": {"commit": "b" * 40}}, id="his branch moved"),
        pytest.param({"fetched": "CorruptWeights"}, id="his branch broke"),
        pytest.param({"fetched": "HubUnavailable"}, id="the hub was away"),
    ],
)
def test_what_another_round_fetches_changes_no_admission(make: Make, plan: Plan, later: dict[str, Any]) -> None:
    """The tasks are known by then: a miner must not exchange his weights while they wait for a slot."""
    before = {"a": {"commit": "a" * 40, "weightsDigest": make.digest("1")}}
    model = make.model("a", revision="main", at=60, **later)
    found = plan(make.started("a", results=before), [model])
    assert found.states["a"] == ("Pending", "WaitingForSlot")
    assert [(e.commit, e.weights_digest) for e in found.evaluate] == [("a" * 40, make.digest("1"))]


def test_an_admitted_model_whose_commit_is_replaced_is_judged_anew(make: Make, plan: Plan) -> None:
    """Also when the new commit was fetched before the round was looked at."""
    before = {"a": {"commit": "b" * 40, "weightsDigest": make.digest("2")}}
    found = plan(make.started("a", results=before), [make.model("a", fetched=True, generation=1)])
    assert [(e.commit, e.weights_digest) for e in found.evaluate] == [("a" * 40, make.digest("1"))]


def test_an_admitted_model_whose_spec_changes_waits_for_its_new_files(make: Make, plan: Plan) -> None:
    before = {"a": {"commit": "a" * 40, "weightsDigest": make.digest("1")}}
    found = plan(make.started("a", results=before), [make.model("a", fetched=True, generation=2)])
    assert found.states["a"] == ("Pending", "WaitingForModel")
    assert (found.results["a"].weights_digest, found.evaluate) == (None, ())


def test_a_model_that_is_being_fetched_for_the_first_time_is_not_taken_for_admitted(make: Make, plan: Plan) -> None:
    fetching = {"conditions": [make.condition("Fetched", "Unknown", "Fetching")]}
    found = plan(make.started("a"), [make.model("a", status=fetching)])
    assert found.states["a"] == ("Pending", "WaitingForModel")


def test_what_runs_is_frozen(make: Make, plan: Plan) -> None:
    """Other weights under the same name cannot take over a result, nor start another evaluation."""
    running = {"a": {"state": "Running", "commit": "b" * 40, "weightsDigest": make.digest("1")}}
    job = make.evaluation(make.key("1"), active=1)
    found = plan(make.started("a", results=running), [make.model("a", fetched=True, weights="2")], jobs=[job])
    assert found.states["a"] == ("Running", "Evaluating")
    assert (found.results["a"].commit, found.results["a"].weights_digest) == (
        "b" * 40,
        running["a"]["weightsDigest"],
    )
    assert (found.evaluate, found.delete) == ((), ())


def test_a_model_that_is_being_deleted_is_out(make: Make, plan: Plan) -> None:
    model = make.model("a", fetched=True, deletionTimestamp="2026-01-01T00:00:00Z")
    found = plan(make.started("a", "b"), [model, make.model("b")])
    assert found.states["a"] == ("Rejected", "ModelDeleted")
    assert found.evaluate == ()


@pytest.mark.parametrize(
    ("character", "stored"),
    [("x", 1), ("é", 2), ("😀", 4), ("<", 6), ("\x01", 6), ('"', 2)],
    ids=["ascii", "two bytes", "four bytes", "markup", "control", "quote"],
)
@pytest.mark.parametrize("count", [1, 1024])
def test_messages_fit_together(make: Make, plan: Plan, count: int, character: str, stored: int) -> None:
    """`stored`: bytes of the character in the JSON that the API server stores; Go escapes markup."""
    names = [f"m{i:04}" for i in range(count)]
    models = [
        make.model(
            n,
            fetched="BadConfig",
            status={"conditions": [make.condition("Fetched", "False", "BadConfig", message=character * 1000)]},
        )
        for n in names
    ]
    found = plan(make.started(*names), models)
    message = found.status.results[0].message
    if count == 1:
        assert len(message) == 512
    else:
        assert 0.8 * 128 < (len(message) - 1) * stored + len("…".encode()) <= 128
        assert all(r.message == message for r in found.status.results)
