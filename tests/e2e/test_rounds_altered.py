"""Alterations, another scorer and another prompt format, selected in a round's spec, on the cluster."""

from __future__ import annotations

import json
from typing import Any

import pytest
from kit import Cluster, jsonl, result

from bitagent_local.demo.stack import NAMESPACE

pytestmark = pytest.mark.e2e


def altered(name: str, *, prompt_format: str, scorer: str) -> dict[str, Any]:
    return {
        "apiVersion": "bitagent.io/v1alpha1",
        "kind": "EvalRound",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "models": {"names": ["tiny-fc-1200", "tiny-fc-250"]},
            "tasks": {
                "seed": "altered",
                "count": 120,
                "sources": [{"jsonl": {"configMap": {"name": "demo-tasks", "key": "tasks.jsonl"}}}],
                "alterations": [
                    {"distractorTools": {"minimum": 1, "maximum": 2}},
                    {"toolShuffle": {}},
                    {"irrelevance": {"percent": 25}},
                ],
            },
            "evaluation": {"promptFormat": prompt_format, "scorer": scorer, "maxTokens": 64},
            "workload": {"parallelism": 2, "resources": {"gpus": 1, "cpu": "500m", "memory": "3Gi"}},
        },
    }


def test_alterations_and_scorer_of_the_spec_are_used(cluster: Cluster, paid_round: dict[str, Any]) -> None:
    cluster.apply(altered("altered", prompt_format="ChatTemplate", scorer="BitAgent202504"))
    done = cluster.wait_round("altered")
    folder = cluster.results_dir(done)
    manifest = json.loads((folder / "tasks" / "manifest.json").read_text())
    assert [a["name"] for a in manifest["alterations"]] == ["DistractorTools", "ToolShuffle", "Irrelevance"]
    assert all(a["applied"] > 0 for a in manifest["alterations"])
    tasks = list(jsonl(folder / "tasks" / "tasks.jsonl"))
    irrelevant = [t for t in tasks if t["expects"] == "NoCall"]
    assert len(irrelevant) == manifest["alterations"][2]["applied"]
    assert all(t["parent"]["expects"] == "Calls" for t in irrelevant)
    assert all(
        len(t["functions"]) > len(t["parent"]["functions"]) for t in tasks if t not in irrelevant and t["parent"]
    )
    for found in folder.glob("results/*/manifest.json"):
        results = json.loads(found.read_text())
        assert results["scorer"] == "BitAgent202504"
        low, high = results["interval"]
        assert low <= results["score"] <= high
        verdicts = list(jsonl(found.parent / "verdicts.jsonl"))
        assert any(v["criteria"] for v in verdicts)
        assert results["score"] == f"{sum(v['score'] for v in verdicts) / len(verdicts):.6f}"
    assert float(result(done, "tiny-fc-1200")["score"]) > float(result(done, "tiny-fc-250")["score"])


def test_a_raw_prompt_format_is_used(cluster: Cluster, paid_round: dict[str, Any]) -> None:
    cluster.apply(altered("raw-format", prompt_format="ChatML", scorer="Bfcl"))
    done = cluster.wait_round("raw-format")
    manifests = [json.loads(p.read_text()) for p in cluster.results_dir(done).glob("results/*/manifest.json")]
    assert [m["prompt_format"] for m in manifests] == ["ChatML", "ChatML"]
