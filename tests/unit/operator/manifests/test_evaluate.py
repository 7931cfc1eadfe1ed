"""The evaluation Job: its mounts, its workload, and its document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.evaluation import LossParameters
from bitagent_crds.progress import PROGRESS_PORT, PROGRESS_PORT_NAME

if TYPE_CHECKING:
    from tests.unit.operator.manifests.conftest import Build


def test_it_mounts_its_model_its_tasks_and_its_results(build: Build) -> None:
    seen = build.evaluation().mounts
    assert (seen["/model"]["subPath"], seen["/model"]["readOnly"]) == ("org/a/" + "a" * 40, True)
    assert (seen["/tasks"]["subPath"], seen["/tasks"]["readOnly"]) == ("rounds/uid-r/tasks", True)
    assert (seen["/results"]["subPath"], "readOnly" in seen["/results"]) == ("rounds/uid-r/results/" + "k" * 12, False)


def test_workload(build: Build) -> None:
    workload = {
        "resources": {"gpus": 2, "cpu": "3", "memory": "8Gi"},
        "queueName": "gpu-queue",
        "queuePriorityClassName": "low",
        "maxAttempts": 5,
        "deadlineSeconds": 600,
        "nodeSelector": {"gpu": "a100"},
        "tolerations": [{"key": "gpu", "operator": "Exists"}],
        "runtimeClassName": "nvidia",
    }
    job = build.evaluation(config={"gpuResourceName": "example.com/gpu"}, workload=workload)
    spec = job.raw["spec"]
    assert (spec["backoffLimit"], job.pod["activeDeadlineSeconds"], spec["suspend"]) == (4, 600, True)
    assert "activeDeadlineSeconds" not in spec, "the deadline of an attempt does not count its waiting"
    assert job.raw["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "gpu-queue"
    assert job.raw["metadata"]["labels"]["kueue.x-k8s.io/priority-class"] == "low"
    resources = job.container["resources"]
    assert resources["limits"] == {"memory": "8Gi", "example.com/gpu": "2"}
    assert resources["requests"] == {
        "cpu": "3", "memory": "8Gi", "ephemeral-storage": "4Gi", "example.com/gpu": "2",
    }  # fmt: skip
    assert job.pod["tolerations"] == [{"key": "gpu", "operator": "Exists"}]
    assert (job.pod["nodeSelector"], job.pod["runtimeClassName"]) == ({"gpu": "a100"}, "nvidia")


@pytest.mark.parametrize(
    ("resources", "requested"),
    [
        pytest.param({}, {"nvidia.com/gpu": "1"}, id="as the operator is configured"),
        pytest.param(
            {"gpuResourceName": "nvidia.com/mig-1g.10gb", "gpus": 2}, {"nvidia.com/mig-1g.10gb": "2"}, id="slices"
        ),
        pytest.param({"gpus": 0, "gpuResourceName": "amd.com/gpu"}, {}, id="no GPU"),
    ],
)
def test_a_round_says_which_gpus_and_how_many(
    build: Build, resources: dict[str, Any], requested: dict[str, str]
) -> None:
    found = build.evaluation(workload={"resources": resources}).container["resources"]
    for each in (found["limits"], found["requests"]):
        assert {name: count for name, count in each.items() if "/" in name} == requested


@pytest.mark.parametrize(
    ("of_round", "expected"),
    [pytest.param("Auto", "Bfcl", id="the model's"), pytest.param("BitAgent", "BitAgent", id="the round's")],
)
def test_prompt_format(build: Build, of_round: str, expected: str) -> None:
    job = build.evaluation(model=build.model(promptFormat="Bfcl"), evaluation={"promptFormat": of_round})
    assert job.document.run.prompt_format == expected


def test_the_document_says_how_losses_are_measured(build: Build) -> None:
    loss = {"referenceBytes": 512, "batches": 4}
    measured = build.evaluation(evaluation={"scorer": "Loss", "loss": loss}).document.run
    assert (measured.scorer, measured.loss) == ("Loss", LossParameters(reference_bytes=512, batches=4))
    assert build.evaluation().document.run.loss is None


@pytest.mark.parametrize("aggregate", ["Mean", "Kinds"])
def test_the_document_says_what_weighs_equally(build: Build, aggregate: str) -> None:
    assert build.evaluation(evaluation={"aggregate": aggregate}).document.run.aggregate == aggregate


def test_the_document_has_the_bounds_of_the_round(build: Build) -> None:
    bounds = {"maxPromptTokens": 1000, "meanAnswerTokens": 50, "generateSeconds": 300}
    document = build.evaluation(evaluation=bounds, admission={"maxParameters": 7, "maxMemoryBytes": 9}).document
    run, limits = document.run, document.memory_limits
    assert (run.max_prompt_tokens, run.mean_answer_tokens, run.generate_seconds) == (1000, 50, 300)
    assert (limits.max_parameters, limits.max_memory_bytes) == (7, 9)


def test_the_document_says_whether_models_think(build: Build) -> None:
    run = build.evaluation(evaluation={"thinking": "On", "maxThoughtTokens": 2048}).document.run
    assert (run.thinking, run.max_thought_tokens) == ("On", 2048)
    by_itself = build.evaluation(evaluation={"thinking": "Template"}).document
    assert not by_itself.to_wire().keys() & {"thinking", "maxThoughtTokens"}


def test_generating_takes_half_of_the_deadline_unless_the_round_says_otherwise(build: Build) -> None:
    assert build.evaluation(workload={"deadlineSeconds": 600}).document.run.generate_seconds == 300


def test_the_document_has_what_the_entry_froze_and_what_the_round_rules(build: Build) -> None:
    model = build.model(engine={"dtype": "Float32"})
    run = build.evaluation(
        model=model, evaluation={"maxTokens": 99, "aggregate": "Kinds", "meanAnswerTokens": 50}
    ).document.run
    assert (run.repo, run.commit, run.engine) == ("org/a", "a" * 40, model.spec.engine)
    assert (run.max_tokens, run.aggregate, run.mean_answer_tokens) == (99, "Kinds", 50)


def test_a_repetition_has_one_pod_and_prefers_nodes(build: Build) -> None:
    job = build.evaluation(start={"pods": 1, "preferred_nodes": ("n1", "n2")})
    assert job.raw["spec"]["backoffLimit"] == 0
    affinity = job.pod["affinity"]["nodeAffinity"]
    (preferred,) = affinity["preferredDuringSchedulingIgnoredDuringExecution"]
    (expression,) = preferred["preference"]["matchExpressions"]
    assert expression == {"key": "kubernetes.io/hostname", "operator": "In", "values": ["n1", "n2"]}
    assert list(affinity) == ["preferredDuringSchedulingIgnoredDuringExecution"], "it must run elsewhere, if need be"
    assert "affinity" not in build.evaluation().pod


def test_it_names_the_port_of_its_progress(build: Build) -> None:
    assert build.evaluation().container["ports"] == [{"name": PROGRESS_PORT_NAME, "containerPort": PROGRESS_PORT}]


def test_shards_are_pods_of_one_job(build: Build) -> None:
    workload = {"shards": 4, "maxAttempts": 3, "resources": {"gpus": 1}}
    job = build.evaluation(workload=workload)
    spec = job.raw["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 4, 4)
    assert (spec["backoffLimitPerIndex"], spec["maxFailedIndexes"], "backoffLimit" in spec) == (2, 0, False)
    assert (job.document.shards, job.container["resources"]["limits"]["nvidia.com/gpu"]) == (4, "1")
    alone = build.evaluation()
    assert (alone.document.shards, alone.raw["spec"]["backoffLimit"]) == (None, 2)
