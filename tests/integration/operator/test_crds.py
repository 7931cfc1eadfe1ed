"""What the API server accepts and refuses, and how `kubectl explain` reads."""

from __future__ import annotations

import copy
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from bitagent_local.cluster.api import ApiError

if TYPE_CHECKING:
    from tests.integration.operator.conftest import World

    from bitagent_local.cluster.control_plane import ControlPlane

pytestmark = pytest.mark.integration

SOURCE = {"huggingFace": {"repo": "org/m", "revision": "main"}}
TASKS: dict[str, Any] = {"sources": [{"bfcl": {"categories": ["simple_python"]}}], "count": 10, "seed": "1"}
ROUND: dict[str, Any] = {"models": {"matchLabels": {}}, "tasks": TASKS}
TEMPLATE = {"models": {"matchLabels": {}}, "tasks": {"sources": TASKS["sources"], "count": 10}}
COMPETITION = {"id": "main", "schedule": {"everyBlocks": 360}, "round": TEMPLATE}
VALIDATOR: dict[str, Any] = {
    "netuid": 20,
    "chain": {"endpoints": ["ws://chain:9944"]},
    "wallet": {"hotkeySecretRef": {"name": "w", "key": "k"}},
    "competitions": [COMPETITION],
}
PLURALS = {"MinerModel": "minermodels", "EvalRound": "evalrounds", "Validator": "validators"}

BAD = [
    pytest.param("MinerModel", {"source": {}}, "exactly one of huggingFace, volume must be set", id="no source"),
    pytest.param(
        "MinerModel",
        {"source": SOURCE | {"volume": {"claimName": "c", "path": "p"}}},
        "exactly one of huggingFace, volume must be set",
        id="two sources",
    ),
    pytest.param(
        "MinerModel",
        {"source": SOURCE, "miner": {"hotkey": "5" * 48, "commitBlock": 7}},
        "commitBlock belongs to a commit",
        id="commit block of a branch",
    ),
    pytest.param("MinerModel", {"source": {"huggingFace": {"repo": "no-owner"}}}, "should match", id="repository"),
    pytest.param(
        "MinerModel", {"source": SOURCE, "engine": {"maxModelLength": 1}}, "greater than or equal to 256", id="bound"
    ),
    pytest.param(
        "MinerModel", {"source": SOURCE, "promptFormat": "Own"}, 'supported values: "Auto"', id="prompt format"
    ),
    pytest.param("MinerModel", {"source": SOURCE, "engine": {"args": "x"}}, "unknown field", id="free arguments"),
    pytest.param("EvalRound", ROUND | {"models": {}}, "exactly one of matchLabels, names must be set", id="no models"),
    pytest.param("EvalRound", ROUND | {"tasks": TASKS | {"count": 0}}, "greater than or equal to 1", id="no tasks"),
    pytest.param(
        "EvalRound",
        ROUND | {"tasks": TASKS | {"sources": [{}]}},
        "exactly one of bfcl, jsonl, huggingFace, stream",
        id="source",
    ),
    pytest.param("EvalRound", {"models": {"names": ["a"]}}, "spec.tasks: Required value", id="tasks missing"),
    pytest.param("EvalRound", ROUND | {"workload": {"maxAttempts": 11}}, "less than or equal to 10", id="attempts"),
    pytest.param("EvalRound", ROUND | {"models": {"names": ["a", "a"]}}, "Duplicate value", id="a name twice"),
    pytest.param(
        "Validator",
        VALIDATOR | {"competitions": [COMPETITION | {"rewardShare": 60}]},
        "the rewardShare of all competitions must add up to 100",
        id="shares",
    ),
    pytest.param("Validator", VALIDATOR | {"netuid": 70000}, "less than or equal to 65535", id="netuid"),
    pytest.param("Validator", VALIDATOR | {"chain": {"endpoints": ["http://x"]}}, "should match", id="not a websocket"),
]


def create(world: World, kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    body = {"apiVersion": "bitagent.io/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}
    path = world.path(PLURALS[kind]) + "?fieldValidation=Strict"
    made: dict[str, Any] = world.api.create(path, body)
    return made


@pytest.mark.parametrize(("kind", "spec", "message"), BAD)
def test_bad_objects_are_refused(world: World, kind: str, spec: dict[str, Any], message: str) -> None:
    with pytest.raises(ApiError, match=message):
        create(world, kind, "bad", spec)


@pytest.mark.parametrize(
    ("kind", "longest"), [("MinerModel", 52), ("EvalRound", 48), ("Validator", 24)], ids=lambda v: str(v)
)
def test_names_leave_room_for_those_derived_from_them(world: World, kind: str, longest: int) -> None:
    spec = {"MinerModel": {"source": SOURCE}, "EvalRound": ROUND, "Validator": VALIDATOR}[kind]
    create(world, kind, "n" * longest, spec)
    with pytest.raises(ApiError, match=f"may not be (longer|more) than {longest}"):
        create(world, kind, "n" * (longest + 1), spec)


def test_a_round_is_immutable_but_for_suspend(world: World) -> None:
    create(world, "EvalRound", "fixed", ROUND)
    path = world.path("evalrounds", "fixed")
    world.api.merge(path, {"spec": {"suspend": True}})
    with pytest.raises(ApiError, match="tasks is immutable: only suspend may change; create a new EvalRound instead"):
        world.api.merge(path, {"spec": {"tasks": {"seed": "2"}}})
    with pytest.raises(ApiError, match="ttlSecondsAfterFinished is immutable"):
        world.api.merge(path, {"spec": {"ttlSecondsAfterFinished": 5}})


def test_a_spec_cannot_be_changed_through_its_status(world: World) -> None:
    create(world, "MinerModel", "m", {"source": SOURCE})
    changed = {"spec": {"suspend": True}, "status": {"observedGeneration": 1}}
    made = world.api.merge(world.path("minermodels", "m/status"), changed)
    assert (made["spec"]["suspend"], made["status"]["observedGeneration"]) == (False, 1)


def test_defaults_are_filled_in(world: World) -> None:
    made = create(world, "EvalRound", "defaults", copy.deepcopy(ROUND))
    assert made["spec"]["workload"]["parallelism"] == 8
    assert made["spec"]["evaluation"] == {"promptFormat": "Auto", "maxTokens": 256, "scorer": "Bfcl"}


EXPLAINED = [
    ("minermodels.spec.source.huggingFace.revision", "resolved to a commit once per round"),
    ("evalrounds.spec.workload.parallelism", "parallelism is how many evaluation Jobs may exist unfinished at once"),
    ("evalrounds.status.results.state", "state says how far it is"),
    ("validators.spec.competitions.rewardShare", "all shares together are 100"),
]


def test_explain_reads_like_a_manual(plane: ControlPlane) -> None:
    for field, text in EXPLAINED:
        out = subprocess.run(plane.kubectl("explain", field), capture_output=True, text=True, check=True).stdout
        assert text in " ".join(out.split()), field
