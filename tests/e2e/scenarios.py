"""Rounds, kills and probes that take their time on the cluster: each is a function that returns what the tests judge.

They have nothing in common but the node's two GPUs, so conftest.py runs them side by side, in threads.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from attackers import attacked_round
from kit import MANAGED, NO_FURTHER_EPOCH, SECONDS, Cluster, complete, kill_all, lines, round_of
from probing import ISOLATION, OF_THE_VALIDATOR, REWRITER, reached
from volumes import model_volumes

from bitagent_local.demo import altered as demo
from bitagent_local.demo.kubectl import wait_until
from bitagent_local.demo.stack import NAMESPACE
from bitagent_local.demo.view import condition

Obj = dict[str, Any]

DEMO_TASKS = {"jsonl": {"configMap": {"name": "demo-tasks", "key": "tasks.jsonl"}}}
OPERATOR = "app.kubernetes.io/name=bitagent-operator"
VALIDATOR = f"{MANAGED},app.kubernetes.io/component=validator"
TASKS_OF_THE_KILLED = 400
ANSWERS_BEFORE_THE_KILL = 40
BLOCKS_TO_WAIT = 5
"""From the scenario's start to the next epoch."""
OPERATOR_KILLS = 5
LEAVER = "tiny-fc-400"
"""The model that does not compete in the second round, so that its weights differ from those that the chain holds."""


@dataclass(frozen=True)
class KilledEvaluation:
    """A round whose one evaluation was killed while it had some of its answers."""

    round: Obj
    killed: int
    """Processes."""
    answers: int
    """Answers on disk right after."""


def killed_evaluation(cluster: Cluster) -> KilledEvaluation:
    name = "killed-evaluation"
    evaluation = {"promptFormat": "ChatML", "scorer": "Bfcl"}
    tasks = {"seed": "e2e", "count": TASKS_OF_THE_KILLED, "sources": [DEMO_TASKS]}
    cluster.apply(round_of(name, models=["tiny-fc-250"], tasks=tasks, evaluation=evaluation))
    results = cluster.results_dir(cluster.round(name)) / "results"

    def answers() -> int:
        return sum(lines(path) for path in results.glob("*/responses.jsonl"))

    wait_until(lambda: answers() >= ANSWERS_BEFORE_THE_KILL or None, seconds=SECONDS, what="answers on disk", pace=0.1)
    pods = f"{MANAGED},bitagent.io/round={name},app.kubernetes.io/component=evaluate"
    killed = cluster.kill("bitagent-eval job", pods=pods)
    return KilledEvaluation(answers=answers(), killed=killed, round=cluster.wait_round(name))


@dataclass(frozen=True)
class NextEpoch:
    """The validator's second round, in which operator and validator were killed."""

    round: Obj
    jobs: dict[str, set[str]]
    """Uids of the Jobs that were ever there, by the keys of what they evaluate."""
    operator_kills: list[int]
    """Processes, for each kill."""
    validator_kills: int
    """Processes, when the round was complete."""
    settings: list[Obj]
    """Extrinsics that set weights, from the start of this scenario until ten blocks after the round's weights."""


def next_epoch(cluster: Cluster) -> NextEpoch:
    """Kill the operator five times during the round of the next epoch, and the validator at its end."""
    kubectl = cluster.stack.kubectl
    kubectl.run("label", "minermodel", LEAVER, "-n", NAMESPACE, "competition-")
    before = cluster.chain_state()["block"]
    cluster.set_epochs(before + BLOCKS_TO_WAIT)

    def started() -> str | None:
        for found in cluster.items("evalrounds", labels="bitagent.io/validator=demo,bitagent.io/epoch=1"):
            if "startedAt" in found.get("status", {}):
                return str(found["metadata"]["name"])
        return None

    name = wait_until(started, seconds=SECONDS, what="the next epoch's round")
    cluster.set_epochs(NO_FURTHER_EPOCH)
    jobs: dict[str, set[str]] = {}

    def look() -> None:
        for key, uids in cluster.evaluations(name).items():
            jobs.setdefault(key, set()).update(uids)

    killed: set[str] = set()

    def ready_operator() -> str | None:
        look()
        for pod in cluster.items("pods", labels=OPERATOR):
            if condition(pod, "Ready")["status"] == "True" and pod["metadata"]["uid"] not in killed:
                return str(pod["metadata"]["uid"])
        return None

    operator_kills = []
    for _ in range(OPERATOR_KILLS):
        killed.add(wait_until(ready_operator, seconds=SECONDS, what="the operator to be ready"))
        operator_kills.append(cluster.kill("bitagent-operator", pods=OPERATOR))
        # A new pod at once: a container that dies five times would wait for its restart ever longer.
        kubectl.run(
            "delete", "pod", "-n", NAMESPACE, "-l", OPERATOR, "--force", "--grace-period=0", "--wait=false",
        )  # fmt: skip
    # The validator sees the end of its round as soon as this does: its process must be known before.
    validator: list[int] = []
    for done in cluster.follow_round(name):
        look()  # a Job whose result is recorded may be deleted before the round is complete
        if not complete(done):
            validator = cluster.processes("bitagent-validator run", pods=VALIDATOR)
    validator_kills = kill_all(validator)
    look()

    def last_weights() -> Obj | None:
        found: Obj = cluster.get("validators", "demo")["status"].get("lastWeights", {})
        return found if name in found.get("rounds", ()) else None

    block = wait_until(last_weights, seconds=SECONDS, what=f"weights of {name}")["block"]
    wait_until(lambda: cluster.chain_state()["block"] > block + 10 or None, seconds=SECONDS, what="10 more blocks")
    rows = [x for x in cluster.chain_state()["extrinsics"] if "set_mechanism_weights" in json.dumps(x)]
    (last,) = (x["args"] for x in rows if x["block"] == block)
    # The row of the round before may have been set again meanwhile, before the activity cutoff.
    settings = [x for x in rows if x["args"] == last and before < x["block"] <= block + 10]
    return NextEpoch(done, jobs, operator_kills, validator_kills, settings)


def altered_round(cluster: Cluster) -> Obj:
    """A round that selects alterations, prompt format and scorer in its spec."""
    tasks = {
        "seed": "altered",
        "count": 120,
        "sources": [DEMO_TASKS],
        "alterations": [
            {"distractorTools": {"minimum": 1, "maximum": 2}},
            {"toolShuffle": {}},
            {"irrelevance": {"percent": 25}},
        ],
    }
    evaluation = {"promptFormat": "ChatTemplate", "scorer": "BitAgent202504"}
    models = ["tiny-fc-1200", "tiny-fc-250"]
    cluster.apply(round_of("altered", models=models, tasks=tasks, evaluation=evaluation))
    return cluster.wait_round("altered")


def benchmarks(cluster: Cluster) -> dict[str, Obj]:
    """The two rounds of examples/altered, by name, complete."""
    demo.wait_rewriter(cluster.stack)
    demo.apply_rounds(cluster.stack)
    return {name: cluster.wait_round(name) for name in demo.ROUNDS}


@dataclass(frozen=True)
class KeyedRound:
    """A round whose tasks need a Secret that was missing at first."""

    round: Obj
    message: str
    """Of its condition TasksReady, while the Secret was missing."""


def keyed_round(cluster: Cluster, *, secret: str = "bitagent-job-rewriter") -> KeyedRound:
    demo.wait_rewriter(cluster.stack)
    rewrite = {
        "url": "http://demo-rewriter.bitagent:8000/v1",
        "model": "rewriter",
        "apiKeySecretRef": {"name": secret, "key": "token"},
    }
    tasks = {
        "seed": "keyed",
        "count": 5,
        "sources": [DEMO_TASKS],
        "alterations": [{"rewrite": rewrite}],
    }
    # A model whose evaluation ends before the engine is loaded: this is about the tasks.
    made = round_of("keyed", models=["bad-nan"], tasks=tasks, evaluation={})
    cluster.apply(made | {"metadata": made["metadata"] | {"labels": OF_THE_VALIDATOR}})

    def named() -> str | None:
        message = str(condition(cluster.round("keyed"), "TasksReady")["message"])
        return message if secret in message else None

    message = wait_until(named, seconds=SECONDS, what="the name of the missing Secret in TasksReady")
    metadata = {"name": secret, "namespace": NAMESPACE}
    cluster.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"token": "any"}})
    return KeyedRound(cluster.wait_round("keyed"), message)


def isolation(cluster: Cluster) -> dict[str, set[str]]:
    """What each pod of ISOLATION can connect to."""
    return reached(cluster, ISOLATION, "hub", "chain", "api")


def isolation_with_rewriter(cluster: Cluster) -> dict[str, set[str]]:
    """What each pod of REWRITER can connect to, while there is a rewriter."""
    demo.wait_rewriter(cluster.stack)
    return reached(cluster, REWRITER, "hub", "chain", "api", "rewriter")


SCENARIOS = (
    killed_evaluation, next_epoch, altered_round, attacked_round, benchmarks, keyed_round, isolation,
    isolation_with_rewriter, model_volumes,
)  # fmt: skip
USERS_OF_THE_REWRITER = {"benchmarks", "keyed_round", "isolation_with_rewriter"}
