"""Alterations, another scorer and another prompt format, selected in a round's spec, on the cluster."""

from __future__ import annotations

import json
from typing import Any

import pytest
from kit import Cluster, jsonl, result
from scenarios import KilledEvaluation

pytestmark = pytest.mark.e2e


def test_alterations_and_scorer_of_the_spec_are_used(cluster: Cluster, altered_round: dict[str, Any]) -> None:
    folder = cluster.results_dir(altered_round)
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
    assert float(result(altered_round, "tiny-fc-1200")["score"]) > float(result(altered_round, "tiny-fc-250")["score"])


def test_a_raw_prompt_format_is_used(cluster: Cluster, killed_evaluation: KilledEvaluation) -> None:
    folder = cluster.results_dir(killed_evaluation.round)
    manifests = [json.loads(path.read_text()) for path in folder.glob("results/*/manifest.json")]
    assert [m["prompt_format"] for m in manifests] == ["ChatML"]
