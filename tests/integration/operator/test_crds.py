"""What the API server accepts and refuses, and how `kubectl explain` reads."""

from __future__ import annotations

import copy
import re
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
    pytest.param("MinerModel", {"source": SOURCE, "promptFormat": "own-format"}, "should match", id="prompt format"),
    pytest.param("MinerModel", {"source": SOURCE, "engine": {"args": "x"}}, "unknown field", id="free arguments"),
    pytest.param("EvalRound", ROUND | {"models": {}}, "exactly one of matchLabels, names must be set", id="no models"),
    pytest.param("EvalRound", ROUND | {"tasks": TASKS | {"count": 0}}, "greater than or equal to 1", id="no tasks"),
    pytest.param(
        "EvalRound",
        ROUND | {"tasks": TASKS | {"sources": [{}]}},
        "exactly one of bfcl, jsonl, huggingFace, stream",
        id="source",
    ),
    pytest.param(
        "EvalRound",
        ROUND | {"tasks": TASKS | {"seedFrom": {"block": 7, "secretDigest": "sha256:" + "0" * 64}}},
        "exactly one of seed, seedFrom must be set",
        id="two seeds",
    ),
    pytest.param(
        "EvalRound",
        ROUND | {"tasks": {k: v for k, v in TASKS.items() if k != "seed"}},
        "exactly one of seed, seedFrom must be set",
        id="no seed",
    ),
    pytest.param("EvalRound", ROUND | {"evaluation": {"scorer": "a/b"}}, "should match", id="scorer"),
    pytest.param(
        "EvalRound",
        ROUND | {"evaluation": {"scorer": "OfAPackage", "loss": {}}},
        "loss belongs to scorer Loss",
        id="loss parameters of a scorer of a package",
    ),
    pytest.param(
        "EvalRound",
        ROUND | {"evaluation": {"scorer": "Loss", "thinking": "On"}},
        "thinking and maxThoughtTokens do not apply",
        id="thinking with losses",
    ),
    pytest.param(
        "EvalRound",
        ROUND | {"evaluation": {"scorer": "Loss", "maxThoughtTokens": 9}},
        "thinking and maxThoughtTokens do not apply",
        id="length of thoughts with losses",
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
    pytest.param(
        "Validator",
        VALIDATOR | {"discovery": {"commitments": {"labels": {"bitagent.io/hotkey": "x"}}}},
        "are the validator's own",
        id="a label that discovery itself gives",
    ),
    pytest.param(
        "Validator",
        VALIDATOR | {"competitions": [COMPETITION | {"policy": "flat"}]},
        "should match",
        id="policy",
    ),
    pytest.param(
        "Validator",
        VALIDATOR | {"competitions": [COMPETITION, COMPETITION | {"id": "other", "rewardShare": 60}]},
        "the rewardShare of all competitions must add up to 100",
        id="a share of which one is the default",
    ),
    pytest.param(
        "Validator",
        VALIDATOR | {"competitions": [COMPETITION | {"policy": "WinRate"}]},
        "policy WinRate compares losses",
        id="a policy that the default scorer does not suit",
    ),
    pytest.param(
        "Validator",
        VALIDATOR | {"competitions": [COMPETITION | {"policy": "WinnerTakesAll", "online": {}}]},
        "online is paid by policy BitAgent",
        id="online answers that the policy does not pay",
    ),
    pytest.param(
        "Validator",
        VALIDATOR
        | {"competitions": [COMPETITION | {"online": {}, "round": TEMPLATE | {"evaluation": {"scorer": "Loss"}}}]},
        "online judges answers",
        id="online answers without a scorer for them",
    ),
    pytest.param(
        "Validator",
        VALIDATOR | {"tracking": {"wandb": {"project": "p"}}},
        "mode Online needs apiKeySecretRef",
        id="tracking without a key",
    ),
    pytest.param(
        "Validator",
        VALIDATOR | {"discovery": {"axons": {"labels": {"app.kubernetes.io/managed-by": "x"}}}},
        "are the validator's own",
        id="a label of axons that discovery itself gives",
    ),
    pytest.param(
        "Validator",
        VALIDATOR | {"competitions": [COMPETITION | {"policyParameters": {"winRate": {}}}]},
        "policyParameters.winRate belongs to policy WinRate",
        id="parameters that the default policy does not have",
    ),
    pytest.param(
        "Validator",
        VALIDATOR | {"competitions": [COMPETITION | {"round": TEMPLATE | {"evaluation": {"generateSeconds": 7200}}}]},
        "generateSeconds must be below workload.deadlineSeconds",
        id="time to generate beside the default deadline",
    ),
    pytest.param(
        "EvalRound",
        ROUND | {"tasks": TASKS | {"alterations": [{"distractorTools": {"maximum": 1}}]}},
        "minimum must not be above maximum",
        id="a maximum below the default minimum",
    ),
    pytest.param("Validator", VALIDATOR | {"netuid": 70000}, "less than or equal to 65535", id="netuid"),
    pytest.param("Validator", VALIDATOR | {"netuid": 0}, "greater than or equal to 1", id="the root network"),
    pytest.param("Validator", VALIDATOR | {"chain": {"endpoints": ["http://x"]}}, "should match", id="not a websocket"),
]

"""What becomes a field of a Job, a pod or a request: refused as Kubernetes refuses it there."""
KEYED = {"name": "bitagent-job-token", "key": "token"}
LABEL_KEY = "a key must be a label key"


def hub(**more: Any) -> dict[str, Any]:
    return {"source": {"huggingFace": SOURCE["huggingFace"] | more}}


def token(**more: Any) -> dict[str, Any]:
    return hub(tokenSecretRef=KEYED | more)


def workload(**more: Any) -> dict[str, Any]:
    return ROUND | {"workload": more}


def config_map(key: str) -> dict[str, Any]:
    return ROUND | {"tasks": TASKS | {"sources": [{"jsonl": {"configMap": {"name": "tasks", "key": key}}}]}}


NOT_FOR_KUBERNETES = [
    *(
        pytest.param("MinerModel", token(key=key), "should match", id=f"Secret key {key!r}")
        for key in ("a/b", "..", ".", "..a", "a b", "a:b")
    ),
    pytest.param("MinerModel", token(name="bitagent-job-a..b"), "should match", id="Secret name with two dots"),
    pytest.param("MinerModel", hub(repo="org/.."), "should match", id="repository that leaves its folder"),
    pytest.param("MinerModel", hub(repo="org/."), "should match", id="repository that is its folder"),
    pytest.param("EvalRound", config_map(".."), "should match", id="ConfigMap key"),
    *(
        pytest.param(
            "EvalRound", ROUND | {"models": {"matchLabels": {key: "x"}}}, LABEL_KEY, id=f"selector key {key!r}"
        )
        for key in ("bad key!", "", "!x", "a,b", "a/b/c", "a..b/c", "/a", "A/a", "a" * 64, "a=b")
    ),
    *(
        pytest.param("EvalRound", workload(nodeSelector={key: "x"}), LABEL_KEY, id=f"node selector key {key!r}")
        for key in ("bad key", "-a", "a/")
    ),
    pytest.param("EvalRound", workload(nodeSelector={"a": "b c"}), "should match", id="node selector value"),
    pytest.param(
        "EvalRound",
        workload(tolerations=[{"key": "gpu", "operator": "Exists", "value": "x"}]),
        "operator Exists takes no value",
        id="toleration Exists with a value",
    ),
    pytest.param("EvalRound", workload(tolerations=[{}]), "needs operator Exists", id="toleration without a key"),
    pytest.param("EvalRound", workload(tolerations=[{"key": "a b"}]), "should match", id="key of a toleration"),
    pytest.param(
        "EvalRound", workload(tolerations=[{"key": "a", "effect": "Never"}]), "Unsupported value", id="effect"
    ),
    pytest.param("EvalRound", workload(runtimeClassName="a..b"), "should match", id="runtime class"),
    pytest.param("EvalRound", workload(priorityClassName="a.-b"), "should match", id="priority class"),
    pytest.param("EvalRound", workload(queueName="a..b"), "should match", id="queue"),
    pytest.param("EvalRound", workload(resources={"memory": "16 Gi"}), "should match", id="quantity"),
    *(
        pytest.param("EvalRound", workload(resources={"gpuResourceName": name}), text, id=f"resource {name}")
        for name, text in (("gpu", "should match"), ("a b/gpu", "should match"), ("requests.a.b/gpu", "must not begin"))
    ),
    pytest.param("EvalRound", ROUND | {"models": {"names": ["a..b"]}}, "should match", id="name of a model"),
]


def create(world: World, kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    body = {"apiVersion": "bitagent.io/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}
    path = world.path(PLURALS[kind]) + "?fieldValidation=Strict"
    made: dict[str, Any] = world.api.create(path, body)
    return made


@pytest.mark.parametrize(("kind", "spec", "message"), [*BAD, *NOT_FOR_KUBERNETES])
def test_bad_objects_are_refused(world: World, kind: str, spec: dict[str, Any], message: str) -> None:
    with pytest.raises(ApiError, match=message):
        create(world, kind, "bad", spec)


def test_what_kubernetes_accepts_is_accepted(world: World) -> None:
    create(world, "MinerModel", "llama-3.1-8b", token(key=".token_1-a"))
    tolerations = [
        {"operator": "Exists"},
        {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"},
        {"key": "pool", "value": "gpu"},
        {"key": "pool"},
    ]
    selector = {"kubernetes.io/arch": "amd64", "a.b-c.d/E_f.g": "", "x": "y"}
    spec = workload(tolerations=tolerations, nodeSelector=selector, queueName="team.a", priorityClassName="a.b")
    made = create(world, "EvalRound", "round-1.2", spec | {"models": {"matchLabels": selector}})
    assert made["spec"]["workload"]["nodeSelector"] == selector
    create(world, "EvalRound", "named-2.0", ROUND | {"models": {"names": ["llama-3.1-8b"]}})


def test_a_status_of_a_later_version_is_stored(world: World) -> None:
    create(world, "EvalRound", "later", ROUND)
    condition = {"type": "Paused", "status": "True", "reason": "NeverHeardOf", "severity": "Info"}
    entry = {"model": "m", "state": "Paused", "reason": "NeverHeardOf", "engine": {"kernel": "x"}, "added": {"a": 1}}
    status = {
        "phase": "Paused",
        "added": [1],
        "results": [entry],
        "conditions": [condition | {"lastTransitionTime": "2026-01-01T00:00:00Z"}],
    }
    made = world.api.merge(world.path("evalrounds", "later/status") + "?fieldValidation=Strict", {"status": status})
    assert made["status"]["added"] == [1]
    assert made["status"]["results"][0] | entry | {"engine": {}} == made["status"]["results"][0] | {"engine": {}}
    assert made["status"]["conditions"][0].items() >= condition.items()


def test_names_of_packages_are_accepted(world: World) -> None:
    model = create(world, "MinerModel", "named", {"source": SOURCE, "promptFormat": "OfAPackage"})
    assert model["spec"]["promptFormat"] == "OfAPackage"
    made = create(world, "EvalRound", "named", ROUND | {"evaluation": {"scorer": "OfAPackage"}})
    assert made["spec"]["evaluation"]["scorer"] == "OfAPackage"
    validator = create(
        world, "Validator", "named", VALIDATOR | {"competitions": [COMPETITION | {"policy": "OfAPackage"}]}
    )
    assert validator["spec"]["competitions"][0]["policy"] == "OfAPackage"


def test_scorer_loss_takes_its_parameters(world: World) -> None:
    made = create(world, "EvalRound", "losses", ROUND | {"evaluation": {"scorer": "Loss", "loss": {"batches": 2}}})
    assert made["spec"]["evaluation"]["loss"]["batches"] == 2


@pytest.mark.parametrize(
    ("kind", "longest"), [("MinerModel", 52), ("EvalRound", 48), ("Validator", 24)], ids=lambda v: str(v)
)
def test_names_leave_room_for_those_derived_from_them(world: World, kind: str, longest: int) -> None:
    spec = {"MinerModel": {"source": SOURCE}, "EvalRound": ROUND, "Validator": VALIDATOR}[kind]
    create(world, kind, "n" * longest, spec)
    with pytest.raises(ApiError, match=f"may not be (longer|more) than {longest}"):
        create(world, kind, "n" * (longest + 1), spec)


def test_a_round_is_immutable_but_for_how_it_is_run(world: World) -> None:
    create(world, "EvalRound", "fixed", ROUND)
    path = world.path("evalrounds", "fixed")
    world.api.merge(path, {"spec": {"suspend": True}})
    with pytest.raises(ApiError, match="tasks is immutable; create a new EvalRound instead"):
        world.api.merge(path, {"spec": {"tasks": {"seed": "2"}}})
    with pytest.raises(ApiError, match="ttlSecondsAfterFinished is immutable"):
        world.api.merge(path, {"spec": {"ttlSecondsAfterFinished": 5}})


HOW_JOBS_RUN: dict[str, Any] = {
    "parallelism": 1,
    "tolerations": [{"key": "gpu"}],
    "nodeSelector": {"pool": "gpu"},
    "priorityClassName": "low",
    "runtimeClassName": "nvidia",
    "maxAttempts": 1,
    "startTimeoutSeconds": 60,
    "maxDisruptions": 0,
    "resources": {"cpu": "1", "memory": "1Gi", "ephemeralStorage": "1Gi"},
}


@pytest.mark.parametrize("field", HOW_JOBS_RUN)
def test_how_jobs_run_may_be_changed_in_a_round(world: World, field: str) -> None:
    create(world, "EvalRound", "running", ROUND)
    made = world.api.merge(world.path("evalrounds", "running"), {"spec": {"workload": {field: HOW_JOBS_RUN[field]}}})
    value = HOW_JOBS_RUN[field]
    assert made["spec"]["workload"][field] == (
        made["spec"]["workload"][field] | value if field == "resources" else value
    )


@pytest.mark.parametrize(
    ("workload", "message"),
    [
        pytest.param({"queueName": "team"}, "workload.queueName is immutable", id="queue"),
        pytest.param({"resources": {"gpus": 2}}, "resources.gpus is immutable", id="number of GPUs"),
        pytest.param(
            {"resources": {"gpuResourceName": "amd.com/gpu"}}, "gpuResourceName is immutable", id="kind of GPU"
        ),
        pytest.param({"deadlineSeconds": 600}, "immutable without evaluation.generateSeconds", id="time to generate"),
    ],
)
def test_what_decides_scores_may_not_be_changed_in_a_round(
    world: World, workload: dict[str, Any], message: str
) -> None:
    create(world, "EvalRound", "running", ROUND)
    with pytest.raises(ApiError, match=message):
        world.api.merge(world.path("evalrounds", "running"), {"spec": {"workload": workload}})


def test_a_deadline_may_be_changed_that_decides_no_score(world: World) -> None:
    create(world, "EvalRound", "running", ROUND | {"evaluation": {"generateSeconds": 60}})
    path = world.path("evalrounds", "running")
    made = world.api.merge(path, {"spec": {"workload": {"deadlineSeconds": 600}}})
    assert made["spec"]["workload"]["deadlineSeconds"] == 600
    with pytest.raises(ApiError, match="generateSeconds must be below"):
        world.api.merge(path, {"spec": {"workload": {"deadlineSeconds": 60}}})


SEED_FROM: dict[str, Any] = {"block": 7, "secretDigest": "sha256:" + "0" * 64}
PUBLISHED = {"blockHash": "0x" + "0" * 64, "secret": "0" * 64}
SEEDED = ROUND | {"tasks": {k: v for k, v in TASKS.items() if k != "seed"} | {"seedFrom": SEED_FROM}}


def test_a_seed_is_completed_once(world: World) -> None:
    create(world, "EvalRound", "seeded", SEEDED)
    path = world.path("evalrounds", "seeded")

    def change(seed_from: dict[str, Any]) -> dict[str, Any]:
        made: dict[str, Any] = world.api.merge(path, {"spec": {"tasks": {"seedFrom": seed_from}}})
        return made

    for half in PUBLISHED:
        with pytest.raises(ApiError, match="blockHash and secret must be set together"):
            change({half: PUBLISHED[half]})
    with pytest.raises(ApiError, match="tasks is immutable"):
        change({"block": 8})
    made = change(PUBLISHED)
    assert made["spec"]["tasks"]["seedFrom"] == SEED_FROM | PUBLISHED
    assert change(PUBLISHED)["spec"] == made["spec"], "the same again, as after a kill"
    for name, value in (("secret", "1" * 64), ("secret", None), ("blockHash", "0x" + "1" * 64)):
        with pytest.raises(ApiError, match=r"immutable once it is set|must be set together"):
            change({name: value})
    with pytest.raises(ApiError, match="tasks is immutable"):
        world.api.merge(path, {"spec": {"tasks": {"seedFrom": None, "seed": "1"}}})
    with pytest.raises(ApiError, match="tasks is immutable"):
        world.api.merge(path, {"spec": {"tasks": {"count": 11}}})


def test_a_spec_cannot_be_changed_through_its_status(world: World) -> None:
    create(world, "MinerModel", "m", {"source": SOURCE})
    changed = {"spec": {"suspend": True}, "status": {"observedGeneration": 1}}
    made = world.api.merge(world.path("minermodels", "m/status"), changed)
    assert (made["spec"]["suspend"], made["status"]["observedGeneration"]) == (False, 1)


def test_defaults_are_filled_in(world: World) -> None:
    made = create(world, "EvalRound", "defaults", copy.deepcopy(ROUND))
    assert made["spec"]["workload"]["parallelism"] == 8
    defaults = {"promptFormat": "Auto", "maxTokens": 256, "scorer": "Bfcl", "aggregate": "Mean"}
    assert made["spec"]["evaluation"].items() >= defaults.items()


SINCE = "2026-01-01T00:00:00Z"
DIGEST = "sha256:" + "0" * 64


def not_ready(reason: str) -> dict[str, Any]:
    return {"conditions": [{"type": "Ready", "status": "False", "reason": reason, "lastTransitionTime": SINCE}]}


ROWS = [
    pytest.param("MinerModel", {"source": SOURCE}, {}, {"REPO": "org/m", "REASON": ""}, id="a model before it is seen"),
    pytest.param(
        "MinerModel",
        {"source": {"volume": {"claimName": "models", "path": "team/m"}}},
        not_ready("BadConfig") | {"shortCommit": "a" * 12},
        {"REPO": "team/m", "REASON": "BadConfig", "COMMIT": "a" * 12},
        id="a model of a volume",
    ),
    pytest.param(
        "EvalRound",
        ROUND,
        not_ready("Unschedulable") | {"taskSet": {"digest": DIGEST, "count": 9, "uri": "x"}},
        {"REASON": "Unschedulable", "TASKS": "9"},
        id="a round that is stuck",
    ),
    pytest.param(
        "Validator",
        VALIDATOR,
        not_ready("SecretNotFound") | {"rounds": "v-a-7, v-b-7", "uid": 3},
        {"READY": "False", "REASON": "SecretNotFound", "ROUNDS": "v-a-7, v-b-7", "UID": "3"},
        id="a validator without its Secret",
    ),
]


@pytest.mark.parametrize(("kind", "spec", "status", "cells"), ROWS)
def test_a_row_says_what_is_wrong_and_fits_a_line(
    world: World, kind: str, spec: dict[str, Any], status: dict[str, Any], cells: dict[str, str]
) -> None:
    create(world, kind, "shown", spec)
    world.api.merge(world.path(PLURALS[kind], "shown/status"), {"status": status})
    command = world.plane.kubectl("get", PLURALS[kind], f"--namespace={world.namespace}", "--output=wide")
    head, row = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(row) < 160
    starts = [found.start() for found in re.finditer(r"\S+", head)]
    shown = {head[a:b].strip(): row[a:b].strip() for a, b in zip(starts, [*starts[1:], None], strict=True)}
    assert shown | cells == shown
    assert "AGE" in shown


EXPLAINED = [
    ("minermodels.spec.source.huggingFace.revision", "resolved to a commit once per round"),
    ("evalrounds.spec.workload.parallelism", "parallelism is the maximum number of unfinished evaluation Jobs"),
    ("evalrounds.status.results.state", "state of this model's evaluation"),
    ("validators.spec.competitions.rewardShare", "all shares add up to 100"),
]


def test_explain_reads_like_a_manual(plane: ControlPlane) -> None:
    for field, text in EXPLAINED:
        out = subprocess.run(plane.kubectl("explain", field), capture_output=True, text=True, check=True).stdout
        assert text in " ".join(out.split()), field
