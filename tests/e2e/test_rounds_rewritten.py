"""A round of three sources whose questions are reworded by a language model that vLLM serves, in a task-set pod that reaches just that."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from kit import MANAGED, Cluster, jsonl
from probing import reached

from bitagent_local.demo import stack
from bitagent_local.demo.kubectl import wait_until
from bitagent_local.demo.stack import NAMESPACE
from bitagent_local.demo.view import condition

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(900),
]  # alone, the first test waits for world, demo round and rewriter

EGRESS = "bitagent.io/egress-"
TASK_SET = {"app.kubernetes.io/managed-by": "bitagent-operator", "app.kubernetes.io/component": "task-set"}
HUB, WEB, REWRITER = (f"{EGRESS}{place}" for place in ("hub", "web", "rewriter"))


def _places(labels: dict[str, str]) -> set[str]:
    return {key.removeprefix(EGRESS) for key in labels if key.startswith(EGRESS)}


@pytest.fixture(scope="module")
def rewriter(cluster: Cluster, paid_round: dict[str, Any]) -> Iterator[None]:
    """The local world's rewriter, once the demo's own round is through; gone before the chart is taken away."""
    stack.install_rewriter(cluster.stack, cluster.node)
    stack.wait_rewriter(cluster.stack)
    yield
    stack.remove_rewriter(cluster.stack)


@pytest.fixture(scope="module")
def altered(cluster: Cluster, rewriter: None) -> dict[str, Any]:
    """The round of examples/altered, complete."""
    stack.apply_altered(cluster.stack)
    return cluster.wait_round("altered-benchmark", seconds=400)


@pytest.fixture(scope="module")
def manifest(cluster: Cluster, altered: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((cluster.results_dir(altered) / "tasks" / "manifest.json").read_text())
    return found


def test_three_sources_and_every_alteration_of_the_spec(altered: dict[str, Any], manifest: dict[str, Any]) -> None:
    spec = altered["spec"]["tasks"]
    assert len(manifest["sources"]) == len(spec["sources"]) == 3
    assert all(source["count"] > 0 for source in manifest["sources"])
    wanted = [next(iter(alteration)) for alteration in spec["alterations"]]
    assert [a["name"][0].lower() + a["name"][1:] for a in manifest["alterations"]] == wanted
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
    events = cluster.items("events", "--field-selector=reason=TaskSetBuilt")
    assert any(e["message"].startswith(said) for e in events)


def test_the_order_turns_round(cluster: Cluster, altered: dict[str, Any]) -> None:
    """What the product is for: who remembers the benchmark wins it as published, who reads wins it altered."""
    plain = cluster.wait_round("plain-benchmark")
    of_plain, of_altered = ({r["model"]: float(r["score"]) for r in of["status"]["results"]} for of in (plain, altered))
    assert of_plain["tiny-memo"] > of_plain["tiny-sense"]
    assert of_altered["tiny-sense"] > of_altered["tiny-memo"] + 0.2


def test_every_model_has_a_score(altered: dict[str, Any]) -> None:
    states = {r["model"]: r["state"] for r in altered["status"]["results"]}
    assert states == dict.fromkeys(altered["spec"]["models"]["names"], "Succeeded")
    assert altered["status"]["taskSet"]["count"] == altered["spec"]["tasks"]["count"]


def test_its_pod_was_labelled_for_what_it_needed(cluster: Cluster, altered: dict[str, Any]) -> None:
    (pod,) = cluster.items("pods", "-l", f"{MANAGED},bitagent.io/round=altered-benchmark,bitagent.io/key=tasks")
    assert _places(pod["metadata"]["labels"]) == {"hub", "rewriter"}
    assert not [v for v in pod["spec"]["volumes"] if "secret" in v]
    assert not [e for e in pod["spec"]["containers"][0]["env"] if "secretKeyRef" in e.get("valueFrom", {})]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        pytest.param(TASK_SET, set(), id="nothing named"),
        pytest.param(TASK_SET | {HUB: "true"}, {"hub"}, id="hub"),
        pytest.param(TASK_SET | {REWRITER: "true"}, {"rewriter"}, id="rewriter"),
        pytest.param(TASK_SET | {WEB: "true"}, set(), id="web, where everything is private"),
        pytest.param(TASK_SET | {HUB: "true", WEB: "true", REWRITER: "true"}, {"hub", "rewriter"}, id="all"),
        pytest.param(
            {**TASK_SET, "app.kubernetes.io/component": "evaluate", HUB: "true", REWRITER: "true"},
            set(),
            id="labels open nothing to an evaluation",
        ),
        pytest.param({"app": "stranger"}, {"hub", "chain", "api"}, id="the rewriter answers no stranger"),
    ],
)
def test_who_reaches_what(cluster: Cluster, rewriter: None, labels: dict[str, str], expected: set[str]) -> None:
    name = "-".join(["probe", labels.get("app.kubernetes.io/component", "stranger"), *sorted(_places(labels))])
    assert reached(cluster, name, labels, "hub", "chain", "api", "rewriter") == expected


def test_a_secret_that_is_missing_is_named_and_waited_for(cluster: Cluster, altered: dict[str, Any]) -> None:
    rewrite = {
        "url": "http://rewriter.bitagent:8000/v1",
        "model": "rewriter",
        "apiKeySecretRef": {"name": "bitagent-job-rewriter", "key": "token"},
    }
    cluster.apply(
        {
            "apiVersion": "bitagent.io/v1alpha1",
            "kind": "EvalRound",
            "metadata": {"name": "keyed", "namespace": NAMESPACE},
            "spec": {
                "models": {"names": ["tiny-fc-250"]},
                "tasks": {
                    "seed": "keyed",
                    "count": 5,
                    "sources": [{"jsonl": {"configMap": {"name": "demo-benchmark", "key": "tasks.jsonl"}}}],
                    "alterations": [{"rewrite": rewrite}],
                },
                "workload": {"resources": {"gpus": 1, "cpu": "500m", "memory": "3Gi"}},
            },
        }
    )

    def named() -> bool | None:
        return "bitagent-job-rewriter" in condition(cluster.round("keyed"), "TasksReady")["message"] or None

    wait_until(named, seconds=60, what="the name of the missing Secret in TasksReady")
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "bitagent-job-rewriter", "namespace": NAMESPACE},
    }
    cluster.apply(secret | {"stringData": {"token": "any"}})
    cluster.wait_round("keyed")
