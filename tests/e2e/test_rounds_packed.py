"""Packs and shards on a real kubelet: one Job for several models, and one model in several pods of one Job."""

from __future__ import annotations

from typing import Any

import pytest
from kit import MANAGED, SECONDS, Cluster, lines, result, round_of

from bitagent_crds.jobs import outcome_container
from bitagent_local.demo.kubectl import wait_until

pytestmark = pytest.mark.e2e

MODELS = ["bad-nan", "tiny-fc-1200", "tiny-fc-400", "tiny-fc-600"]
"""In the order of their evaluation: a round sorts its models by name."""
KILLED = "tiny-fc-400"
ALONE = "tiny-fc-600"
TASKS = {
    "seed": "packed",
    "count": 400,
    "sources": [{"jsonl": {"configMap": {"name": "demo-tasks", "key": "tasks.jsonl"}}}],
}
EVALUATION = {"promptFormat": "ChatTemplate", "scorer": "Bfcl"}


def round_with(name: str, models: list[str], **spec: Any) -> dict[str, Any]:
    made = round_of(name, models=models, tasks=TASKS, evaluation=EVALUATION)
    made["spec"] |= spec
    return made


def test_a_pack_is_many_evaluations_in_one_job(cluster: Cluster, demo_round: dict[str, Any]) -> None:
    """One model is at fault, the engine's process is killed in the turn of another one, and all others have scores."""
    packing = {"mode": "SameArchitecture", "maxModels": 4}
    cluster.apply(round_with("packed", MODELS, packing=packing), round_with("alone", [ALONE]))
    pods = f"{MANAGED},bitagent.io/round=packed,app.kubernetes.io/component=evaluate"
    results = cluster.results_dir(cluster.round("packed")) / "results"

    def turn_of_the_killed() -> bool:
        found = cluster.round("packed").get("status", {}).get("results", ())
        keys = [r["key"] for r in found if r["model"] == KILLED and "key" in r]
        return any(lines(results / key / "responses.jsonl") > 0 for key in keys)

    wait_until(lambda: turn_of_the_killed() or None, seconds=SECONDS, what="answers of the second model", pace=0.05)
    killed = cluster.kill("bitagent_evaluator.cli.pack_engine", pods=pods)
    packed = cluster.wait_round("packed")
    found = {r["model"]: (r["state"], r["reason"]) for r in packed["status"]["results"]}
    assert found == dict.fromkeys(MODELS, ("Succeeded", "Evaluated")) | {"bad-nan": ("ModelFault", "NonFiniteWeights")}
    jobs = {
        job["metadata"]["labels"]["bitagent.io/attempt"]: job["metadata"]["labels"]
        for job in cluster.evaluate_jobs("packed")
    }
    keys = {name: result(packed, name)["key"] for name in MODELS}
    assert [jobs["1"][f"pack.bitagent.io/{keys[name]}"] for name in MODELS] == ["0", "1", "2", "3"]
    assert killed >= 1
    assert jobs["2"]["bitagent.io/key"] == keys[KILLED], "what was killed is evaluated again, alone"
    alone = result(cluster.wait_round("alone"), ALONE)
    together = result(packed, ALONE)
    assert {k: together[k] for k in ("score", "resultDigest", "answerSketch")} == {
        k: alone[k] for k in ("score", "resultDigest", "answerSketch")
    }
    (pod,) = [p for p in cluster.items("pods", labels=pods) if len(p["spec"]["containers"]) > 1]
    ends = {c["name"]: c["state"]["terminated"]["exitCode"] for c in pod["status"]["containerStatuses"]}
    expected = {"tiny-fc-1200": 0, KILLED: 1, "bad-nan": 78, ALONE: 0}
    assert {name: ends[outcome_container(keys[name])] for name in MODELS} == expected


def test_shards_have_the_result_of_one_pod(cluster: Cluster, demo_round: dict[str, Any]) -> None:
    """Of a pack too: how a model's tasks are run decides nothing."""
    made = round_with("sharded", [ALONE])
    made["spec"]["workload"]["shards"] = 2
    cluster.apply(made, round_with("whole", [ALONE]))
    sharded, whole = (result(cluster.wait_round(name), ALONE) for name in ("sharded", "whole"))
    assert {k: sharded[k] for k in ("state", "score", "resultDigest")} == {
        k: whole[k] for k in ("state", "score", "resultDigest")
    }
    (job,) = cluster.evaluate_jobs("sharded")
    assert (job["spec"]["completionMode"], job["spec"]["completions"]) == ("Indexed", 2)
    results = cluster.results_dir(cluster.round("sharded")) / "results" / sharded["key"]
    answers = [lines(results / "shards" / f"{index}-of-2" / "responses.jsonl") for index in (0, 1)]
    assert (answers, lines(results / "responses.jsonl")) == ([200, 200], 400)
    assert sharded["attempts"] == 1
