"""The main job on real parts: models applied, tasks, GPU Jobs, scores, weights on the chain."""

from __future__ import annotations

import json
import math
import urllib.request
from typing import Any

import pytest
from kit import MANAGED, Cluster, jsonl, result
from probing import NO_PROBE

from bitagent_crds.seeds import mixed_seed, secret_digest
from bitagent_local.demo.kubectl import wait_until
from bitagent_local.demo.page import lines
from bitagent_local.demo.view import condition

pytestmark = pytest.mark.e2e

BEST_FIRST = ["tiny-fc-1200", "tiny-fc-600", "tiny-fc-400", "tiny-fc-250"]
"""By their known skill: 398, 393, 369 and 31 of 400 held-out questions."""


def test_the_task_set_is_large_and_mostly_official_or_held_out(cluster: Cluster, demo_round: dict[str, Any]) -> None:
    manifest = json.loads((cluster.results_dir(demo_round) / "tasks" / "manifest.json").read_text())
    tasks = list(jsonl(cluster.results_dir(demo_round) / "tasks" / "tasks.jsonl"))
    assert manifest["count"] == len(tasks) == demo_round["status"]["taskSet"]["count"] >= 200
    assert sum(t["source"] == "bfcl" for t in tasks) >= 100
    assert manifest["digest"] == demo_round["status"]["taskSet"]["digest"]
    seed_from = demo_round["spec"]["tasks"]["seedFrom"]
    assert manifest["seed"] == mixed_seed(seed_from["blockHash"], seed_from["secret"])


def test_the_seed_is_of_a_later_block_and_of_a_secret(demo_round: dict[str, Any]) -> None:
    seed_from = demo_round["spec"]["tasks"]["seedFrom"]
    annotations = demo_round["metadata"]["annotations"]
    assert seed_from["block"] > int(annotations["bitagent.io/created-block"])
    assert seed_from["secretDigest"] == secret_digest(seed_from["secret"])


def test_the_leaderboard_follows_known_skill(demo_round: dict[str, Any]) -> None:
    ranked = sorted((r for r in demo_round["status"]["results"] if r["state"] == "Succeeded"), key=lambda r: r["rank"])
    assert [r["model"] for r in ranked] == BEST_FIRST
    scores = [float(r["score"]) for r in ranked]
    assert scores == sorted(set(scores), reverse=True)


def test_scores_are_what_the_verdicts_say(cluster: Cluster, demo_round: dict[str, Any]) -> None:
    total = demo_round["status"]["taskSet"]["count"]
    evaluated = [p.parent for p in (cluster.results_dir(demo_round) / "results").glob("*/manifest.json")]
    assert len(evaluated) == len(BEST_FIRST)
    for folder in evaluated:
        manifest = json.loads((folder / "manifest.json").read_text())
        verdicts = list(jsonl(folder / "verdicts.jsonl"))
        assert len(verdicts) == total
        passed = sum(v["passed"] for v in verdicts)
        assert manifest["score"] == f"{passed / total:.6f}"
        assert any(
            r.get("score") == manifest["score"] and r["passed"] == passed for r in demo_round["status"]["results"]
        )


@pytest.mark.parametrize(
    ("model", "type_", "reason"),
    [
        pytest.param("bad-truncated", "Safe", "CorruptWeights", id="truncated"),
        pytest.param("bad-pickle", "Safe", "NoSafetensors", id="pickle"),
        pytest.param("bad-missing", "Resolved", "RepositoryNotFound", id="no such repository"),
    ],
)
def test_a_bad_submission_ends_in_a_clear_condition_and_never_sees_a_gpu(
    cluster: Cluster, demo_round: dict[str, Any], model: str, type_: str, reason: str
) -> None:
    found = condition(cluster.get("minermodels", model), type_)
    assert (found["status"], found["reason"]) == ("False", reason)
    assert found["message"]
    assert result(demo_round, model)["state"] == "Rejected"
    assert result(demo_round, model)["reason"] == reason
    assert "key" not in result(demo_round, model)


def test_a_model_of_no_numbers_scores_zero_by_its_own_fault(demo_round: dict[str, Any]) -> None:
    found = result(demo_round, "bad-nan")
    assert (found["state"], found["reason"], found["score"]) == ("ModelFault", "NonFiniteWeights", "0.000000")


def test_a_copy_is_not_evaluated_and_earns_nothing(cluster: Cluster, demo_round: dict[str, Any]) -> None:
    copy, original = result(demo_round, "tiny-fc-1200-copy"), result(demo_round, "tiny-fc-1200")
    assert (copy["state"], copy["duplicateOf"]) == ("Duplicate", "tiny-fc-1200")
    assert copy["weightsDigest"] == original["weightsDigest"]
    assert copy["commit"] != original["commit"]
    assert "score" not in copy
    evaluated = [r for r in demo_round["status"]["results"] if r["state"] in ("Succeeded", "ModelFault")]
    assert len({r["weightsDigest"] for r in evaluated}) == len(evaluated) == 5
    jobs = cluster.evaluations(demo_round["metadata"]["name"])
    assert set(jobs) == {r["key"] for r in evaluated}
    assert all(len(uids) == 1 for uids in jobs.values())


def test_the_weights_on_the_chain_are_those_of_the_policy(cluster: Cluster, paid_round: dict[str, Any]) -> None:
    models = {m["metadata"]["name"]: m["spec"]["miner"]["hotkey"] for m in cluster.items("minermodels")}
    registered = {n["hotkey"] for n in cluster.chain_state()["neurons"]}
    scores = {models[m]: float(result(paid_round, m)["score"]) for m in BEST_FIRST}
    assert set(scores) <= registered
    baseline = float(paid_round["status"]["taskSet"].get("baseline", 0))
    raw = {h: math.exp(5 * score) - math.exp(5 * baseline) for h, score in scores.items() if score > baseline}
    expected = {hotkey: value / sum(raw.values()) for hotkey, value in raw.items()}
    validator = cluster.get("validators", "demo")
    on_chain = cluster.chain_state()["weights"][validator["status"]["hotkey"]]["weights"]
    total = sum(on_chain.values())
    assert {k: v / total for k, v in on_chain.items() if v} == pytest.approx(expected, abs=1e-4)


def test_no_pod_has_more_than_it_needs(cluster: Cluster, demo_round: dict[str, Any]) -> None:
    found = cluster.items("pods", labels=f"{MANAGED},{NO_PROBE}")
    pods = {p["metadata"]["labels"]["app.kubernetes.io/component"]: p["spec"] for p in found}
    assert set(pods) == {"fetch", "task-set", "evaluate", "validator"}
    for component, spec in pods.items():
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["enableServiceLinks"] is False
        assert all(c["securityContext"]["readOnlyRootFilesystem"] for c in spec["containers"])
        if component != "validator":
            assert spec["automountServiceAccountToken"] is False
        secrets = [v for v in spec["volumes"] if "secret" in v]
        assert bool(secrets) is (component == "validator")
    assert pods["evaluate"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"


def test_kubectl_get_answers_the_operators_questions(cluster: Cluster, paid_round: dict[str, Any]) -> None:
    text = cluster.stack.kubectl.run("get", "mm,er,val", "-n", "bitagent")
    print(text)
    assert "CorruptWeights" in text
    assert "9/9" in text
    assert "WeightsSet" in text
    best = next(line for line in text.splitlines() if line.startswith("minermodel.bitagent.io/tiny-fc-1200 "))
    assert result(paid_round, "tiny-fc-1200")["score"] in best.split()


def test_the_demo_ends_with_the_address_of_a_page_that_has_the_ranking(
    cluster: Cluster, demo_round: dict[str, Any]
) -> None:
    address = next(word for word in lines(cluster.stack, local=True).split() if word.startswith("http://"))
    reported = {r["model"]: (r["state"], r.get("rank"), r.get("score")) for r in demo_round["status"]["results"]}

    def shown() -> list[str] | None:
        """Its models in the page's order, once its watch has brought the round's last status."""
        with urllib.request.urlopen(f"{address}api/v1/rounds/{demo_round['metadata']['name']}.json") as response:
            rows = json.load(response)["results"]
        found = {row["model"]: (row["state"], row["rank"], row["score"]) for row in rows}
        return [row["model"] for row in rows] if found == reported else None

    ranking = wait_until(shown, seconds=30, what=f"the round's results at {address}")
    assert ranking[: len(BEST_FIRST)] == BEST_FIRST
