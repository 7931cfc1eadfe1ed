"""Kill anything, anywhere: the same results, each model evaluated once, weights set once."""

from __future__ import annotations

import json
from typing import Any

import pytest
from kit import Cluster, lines, result

from bitagent_local.demo.kubectl import wait_until
from bitagent_local.demo.stack import NAMESPACE

pytestmark = pytest.mark.e2e


def round_of(
    name: str, models: list[str], *, count: int, categories: list[str], max_tokens: int = 64, parallelism: int = 1
) -> dict[str, Any]:
    return {
        "apiVersion": "bitagent.io/v1alpha1",
        "kind": "EvalRound",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "models": {"names": models},
            "tasks": {"seed": "e2e", "count": count, "sources": [{"bfcl": {"categories": categories}}]},
            "evaluation": {"promptFormat": "ChatTemplate", "maxTokens": max_tokens},
            "workload": {
                "parallelism": parallelism,
                "deadlineSeconds": 900,
                "resources": {"gpus": 1, "cpu": "500m", "memory": "3Gi"},
            },
        },
    }


def test_a_killed_evaluation_goes_on_from_its_answers(cluster: Cluster, paid_round: dict[str, Any]) -> None:
    cluster.apply(
        round_of("killed-evaluation", ["tiny-fc-250"], count=700, categories=["simple_python", "live_multiple"])
    )

    def answers() -> int:
        found = list((cluster.results_dir(cluster.round("killed-evaluation")) / "results").glob("*/responses.jsonl"))
        return lines(found[0]) if found else 0

    wait_until(lambda: answers() >= 40 or None, seconds=120, what="40 answers on disk", pace=0.1)
    assert answers() < 700, "the evaluation ended before it could be killed: give it more to do"
    assert cluster.kill("bitagent-eval job") >= 1
    before = answers()
    done = cluster.wait_round("killed-evaluation")
    found = result(done, "tiny-fc-250")
    assert found["state"] == "Succeeded"
    assert found["attempts"] == 2
    folder = next((cluster.results_dir(done) / "results").iterdir())
    summary = json.loads((folder / "summary.json").read_text())
    assert 40 <= summary["resumed"] <= before
    ids = [json.loads(line)["id"] for line in (folder / "responses.jsonl").read_text().splitlines()]
    assert len(ids) == len(set(ids)) == 700


def test_the_operator_killed_five_times_changes_nothing(cluster: Cluster, paid_round: dict[str, Any]) -> None:
    seen: dict[str, set[str]] = {}
    names = ["tiny-fc-1200", "tiny-fc-600", "tiny-fc-400"]
    cluster.apply(round_of("killed-operator", names, count=120, categories=["simple_python"], parallelism=2))

    def look(kills: int) -> bool | None:
        for job in cluster.evaluate_jobs("killed-operator"):
            seen.setdefault(job["metadata"]["labels"]["bitagent.io/key"], set()).add(job["metadata"]["uid"])
        ready = cluster.get("deployment", "bitagent-operator").get("status", {}).get("readyReplicas")
        return True if ready else None

    for kills in range(5):
        wait_until(lambda kills=kills: look(kills), seconds=90, what="the operator to be ready", pace=0.3)
        cluster.kill("bitagent-operator")
        # A new pod at once: a container that dies five times would wait for its restart ever longer.
        cluster.stack.kubectl.run(
            "delete",
            "pod",
            "-n",
            NAMESPACE,
            "-l",
            "app.kubernetes.io/name=bitagent-operator",
            "--force",
            "--grace-period=0",
            "--wait=false",
        )
    done = cluster.wait_round("killed-operator")
    look(5)
    assert {r["state"] for r in done["status"]["results"]} == {"Succeeded"}
    assert len(seen) == 3
    assert all(len(uids) == 1 for uids in seen.values())
    assert [r["attempts"] for r in done["status"]["results"]] == [1, 1, 1]


def test_the_next_epoch_follows_by_itself_and_a_validator_killed_before_its_weights_sets_them_once(
    cluster: Cluster, paid_round: dict[str, Any]
) -> None:
    first = paid_round["metadata"]["name"]
    # Without this model the next weights differ from those that the chain holds; equal ones would not be set again.
    cluster.stack.kubectl.run("label", "minermodel", "tiny-fc-400", "-n", NAMESPACE, "competition-")
    before = cluster.chain_state()["block"]

    def without_it() -> str | None:
        for found in cluster.items("evalrounds", "-l", "bitagent.io/validator=demo"):
            if {"tiny-fc-400"}.isdisjoint(r["model"] for r in found.get("status", {}).get("results", ())) and found.get(
                "status", {}
            ).get("startedAt"):
                return str(found["metadata"]["name"])
        return None

    name = wait_until(without_it, seconds=400, what="a later epoch's round")
    done = cluster.wait_round(name)
    assert cluster.kill("bitagent-validator run") == 1
    assert done["spec"]["tasks"]["seed"] != paid_round["spec"]["tasks"]["seed"]
    assert name != first
    wait_until(
        lambda: name in cluster.get("validators", "demo")["status"].get("lastWeights", {}).get("rounds", ()) or None,
        seconds=120,
        what=f"weights of {name}",
    )
    block = cluster.get("validators", "demo")["status"]["lastWeights"]["block"]
    wait_until(lambda: cluster.chain_state()["block"] > block + 10 or None, seconds=60, what="10 more blocks")
    sets = [
        x
        for x in cluster.chain_state()["extrinsics"]
        if "set_mechanism_weights" in json.dumps(x) and x["block"] > before
    ]
    assert len(sets) == 1
