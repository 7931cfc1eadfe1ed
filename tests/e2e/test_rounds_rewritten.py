"""A round of three sources whose questions are reworded by a language model, in a task-set pod that reaches only it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from kit import MANAGED, Cluster, jsonl
from probing import REWRITER
from scenarios import KeyedRound

from bitagent_local.demo.view import condition

pytestmark = pytest.mark.e2e

REACHED: dict[str, set[str]] = {
    "tasks-that-need-nothing": set(),
    "tasks-of-the-hub": {"hub"},
    "tasks-of-the-rewriter": {"rewriter"},
    "tasks-of-another-validator": set(),
    "tasks-of-another-server": set(),
    "tasks-of-the-web": set(),  # Every address of the node is private.
    "tasks-of-all": {"hub", "rewriter"},
    "evaluation-with-labels-of-tasks": set(),
    "another-app": {"hub", "chain", "api"},
}


@pytest.fixture(scope="module")
def altered(benchmarks: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The altered round of examples/altered, complete."""
    return benchmarks["altered-benchmark"]


@pytest.fixture(scope="module")
def manifest(cluster: Cluster, altered: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((cluster.results_dir(altered) / "tasks" / "manifest.json").read_text())
    return found


def test_three_sources_and_every_alteration_of_the_spec(altered: dict[str, Any], manifest: dict[str, Any]) -> None:
    spec = altered["spec"]["tasks"]
    assert len(manifest["sources"]) == len(spec["sources"]) == 3
    assert all(source["count"] > 0 for source in manifest["sources"])
    expected = [next(iter(alteration)) for alteration in spec["alterations"]]
    assert [a["name"][0].lower() + a["name"][1:] for a in manifest["alterations"]] == expected
    assert {a["name"] for a in manifest["alterations"] if not a["applied"]} == set()


def test_questions_are_reworded_and_keep_their_values(cluster: Cluster, altered: dict[str, Any]) -> None:
    tasks = list(jsonl(cluster.results_dir(altered) / "tasks" / "tasks.jsonl"))
    reworded = [t for t in tasks if any(a["name"] == "Rewrite" for a in t["alterations"])]
    assert reworded
    for task in reworded:
        before, after = (t["messages"][-1]["content"] for t in (task["parent"], task))
        assert before != after
        for call in task["parent"]["ground_truth"] or ():
            for arguments in call.values():
                for (value,) in (v for v in arguments.values() if len(v) == 1):
                    assert str(value) not in before or str(value) in after


def test_the_condition_and_the_event_say_what_the_rewriter_did(
    cluster: Cluster, altered: dict[str, Any], manifest: dict[str, Any]
) -> None:
    text = condition(altered, "TasksReady")["message"]
    rewrite = next(a for a in manifest["alterations"] if a["name"] == "Rewrite")
    said = f"{manifest['count']} tasks from 3 sources; Rewrite changed {rewrite['applied']} of {manifest['count']}"
    assert text.startswith(said)
    assert all(f"{n} {why}" in text for why, n in rewrite["skipped"].items() if why != "not_chosen")
    events = cluster.items("events", fields="reason=TaskSetBuilt")
    assert any(e["message"].startswith(said) for e in events)


def test_the_manifest_names_the_rewriter(cluster: Cluster, manifest: dict[str, Any]) -> None:
    served = cluster.get("validators", "demo")["status"]["rewriter"]
    assert manifest["rewriter"]["repo"] == served["repo"] == "world/tiny-rewriter"
    assert manifest["rewriter"]["commit"] == served["resolved"]["commit"]
    assert manifest["rewriter"]["engine"].startswith("vllm ")


def test_the_order_is_reversed(benchmarks: dict[str, dict[str, Any]]) -> None:
    """The purpose: a model that memorised the benchmark leads as published, one that reads leads as altered."""
    of_plain, of_altered = (
        {r["model"]: float(r["score"]) for r in benchmarks[name]["status"]["results"]}
        for name in ("plain-benchmark", "altered-benchmark")
    )
    assert of_plain["tiny-memo"] > of_plain["tiny-sense"]
    assert of_altered["tiny-sense"] > of_altered["tiny-memo"] + 0.2


def test_every_model_has_a_score(altered: dict[str, Any]) -> None:
    states = {r["model"]: r["state"] for r in altered["status"]["results"]}
    assert states == dict.fromkeys(altered["spec"]["models"]["names"], "Succeeded")
    assert altered["status"]["taskSet"]["count"] == altered["spec"]["tasks"]["count"]


def test_its_pod_was_labelled_for_what_it_needed(cluster: Cluster, altered: dict[str, Any]) -> None:
    (pod,) = cluster.items("pods", labels=f"{MANAGED},bitagent.io/round=altered-benchmark,bitagent.io/key=tasks")
    egress = "bitagent.io/egress-"
    places = {key.removeprefix(egress) for key in pod["metadata"]["labels"] if key.startswith(egress)}
    assert places == {"hub", "rewriter"}
    assert not [v for v in pod["spec"]["volumes"] if "secret" in v]
    assert not [e for e in pod["spec"]["containers"][0]["env"] if "secretKeyRef" in e.get("valueFrom", {})]


@pytest.mark.parametrize("pod", REWRITER)
def test_who_reaches_what(isolation_with_rewriter: dict[str, set[str]], pod: str) -> None:
    assert isolation_with_rewriter[pod] == REACHED[pod]


def test_a_secret_that_is_missing_is_named_and_waited_for(keyed_round: KeyedRound) -> None:
    assert "bitagent-job-rewriter" in keyed_round.message
    assert keyed_round.round["status"]["taskSet"]["count"] == 5
