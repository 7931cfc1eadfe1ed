"""The objects that are built: what they may see, and that they are restricted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.evalround import TaskSetStatus
from bitagent_crds.jobs import ANY_JOB
from bitagent_operator import naming
from bitagent_operator.observed import PodObject
from bitagent_operator.plan.evaluations import Evaluation
from bitagent_operator.plan.fetches import Fetch
from bitagent_operator.pods import evaluate_job, fetch_job, taskset_job, validator_objects
from bitagent_operator.rbac import OPERATOR_RULES, validator_rules

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make

Obj = dict[str, Any]
DIGEST = "sha256:" + "1" * 64


def fetch(make: Make, **source: Any) -> Obj:
    raw = make.model_raw("a")
    raw["spec"]["source"] = source or raw["spec"]["source"]
    model = type(make.model("a")).parse(raw)
    return fetch_job.build(make.config(), model, Fetch("need", make.T0, 1))


def task_set(make: Make, **more: Any) -> Obj:
    return taskset_job.build(make.config(), make.round(**more), 1)


def evaluate(make: Make, config: Obj | None = None, **more: Any) -> Obj:
    model = make.model("a", fetched=True)
    work = Evaluation("k" * 12, 1, model, "a" * 40, DIGEST)
    tasks = TaskSetStatus.model_validate(make.TASK_SET)
    return evaluate_job.build(make.config(**(config or {})), make.round(**more), work, tasks)


def pod(job: Obj) -> Obj:
    spec: Obj = job["spec"]["template"]["spec"]
    return spec


def mounts(job: Obj) -> dict[str, Obj]:
    return {m["mountPath"]: m for m in pod(job)["containers"][0]["volumeMounts"]}


def environment(job: Obj) -> dict[str, Any]:
    return {e["name"]: e.get("value", e.get("valueFrom")) for e in pod(job)["containers"][0]["env"]}


def document(job: Obj) -> Any:
    return ANY_JOB.validate_json(job["spec"]["template"]["metadata"]["annotations"]["bitagent.io/job"])


BUILDERS = [pytest.param(b, id=b.__name__) for b in (fetch, task_set, evaluate)]


@pytest.mark.parametrize("build", BUILDERS)
def test_every_job_is_restricted(make: Make, build: Any) -> None:
    spec = pod(build(make))
    security, container = spec["securityContext"], spec["containers"][0]["securityContext"]
    assert (security["runAsNonRoot"], security["runAsUser"], security["fsGroup"]) == (True, 65532, 65532)
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["capabilities"] == {"drop": ["ALL"]}
    assert (container["allowPrivilegeEscalation"], container["readOnlyRootFilesystem"]) == (False, True)
    assert (spec["automountServiceAccountToken"], spec["enableServiceLinks"]) == (False, False)
    assert spec["restartPolicy"] == "Never"


@pytest.mark.parametrize("build", BUILDERS)
def test_exit_78_is_final_and_a_disruption_does_not_count(make: Make, build: Any) -> None:
    rules = build(make)["spec"]["podFailurePolicy"]["rules"]
    own = build(make)["spec"]["template"]["spec"]["containers"][0]["name"]
    assert rules[0] == {
        "action": "FailJob",
        "onExitCodes": {"containerName": own, "operator": "In", "values": [78]},
    }
    assert (rules[1]["action"], rules[1]["onPodConditions"][0]["type"]) == ("Ignore", "DisruptionTarget")


@pytest.mark.parametrize("build", BUILDERS)
def test_only_its_own_container_ends_a_job(make: Make, build: Any) -> None:
    """An admission webhook may add a container, and the kubelet reports containers by name."""
    job = build(make)
    labels, container = job["spec"]["template"]["metadata"]["labels"], pod(job)["containers"][0]["name"]
    ended = {"exitCode": 78, "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:01Z"}
    states = [
        {"name": "a-proxy", "state": {"terminated": ended}},
        {"name": container, "state": {"terminated": ended | {"exitCode": 0, "message": "mine"}}},
        {"name": "z-proxy", "state": {"terminated": ended}},
    ]
    raw = {"metadata": make.meta("p", labels=labels), "status": {"phase": "Failed", "containerStatuses": states}}
    seen = PodObject.parse(raw).terminated
    assert seen is not None
    assert (seen.exit_code, seen.message) == (0, "mine")


@pytest.mark.parametrize("build", BUILDERS)
def test_the_document_is_mounted_and_valid(make: Make, build: Any) -> None:
    job = build(make)
    assert document(job).kind
    items = next(v for v in pod(job)["volumes"] if v["name"] == "job")["downwardAPI"]["items"]
    assert items[0]["fieldRef"]["fieldPath"] == "metadata.annotations['bitagent.io/job']"
    assert job["metadata"]["labels"][naming.MANAGED_BY] == "bitagent-operator"


def test_fetch_sees_the_hub_others_nothing_of_the_kind(make: Make) -> None:
    source = {"huggingFace": {"repo": "o/m", "tokenSecretRef": {"name": "bitagent-job-s", "key": "t"}}}
    job = fetch(make, **source)
    assert environment(job)["HF_TOKEN"] == {"secretKeyRef": {"name": "bitagent-job-s", "key": "t"}}
    assert environment(job)["HF_ENDPOINT"] == "https://huggingface.co"
    for other in (task_set(make), evaluate(make)):
        assert environment(other).keys() == {"HOME", "USER"}


def test_a_volume_model_lands_where_its_evaluation_looks(make: Make) -> None:
    volume = {"claimName": "mine", "path": "models/x"}
    job = fetch(make, volume=volume)
    assert (document(job).directory, document(job).repo) == ("/volume/models/x", "volume/mine")
    assert mounts(job)["/volume"]["readOnly"]
    raw = make.model_raw("a", fetched=True)
    raw["spec"]["source"] = {"volume": volume}
    model = type(make.model("a")).parse(raw)
    work = Evaluation("k" * 12, 1, model, "a" * 40, DIGEST)
    made = evaluate_job.build(make.config(), make.round(), work, TaskSetStatus.model_validate(make.TASK_SET))
    assert mounts(made)["/model"]["subPath"] == "volume/mine/" + "a" * 40


def test_an_evaluation_sees_its_model_its_tasks_and_its_results(make: Make) -> None:
    seen = mounts(evaluate(make))
    assert (seen["/model"]["subPath"], seen["/model"]["readOnly"]) == ("org/a/" + "a" * 40, True)
    assert (seen["/tasks"]["subPath"], seen["/tasks"]["readOnly"]) == ("rounds/uid-r/tasks", True)
    assert (seen["/results"]["subPath"], "readOnly" in seen["/results"]) == ("rounds/uid-r/results/" + "k" * 12, False)


def test_workload(make: Make) -> None:
    workload = {
        "resources": {"gpus": 2, "cpu": "3", "memory": "8Gi"},
        "queueName": "gpu-queue",
        "maxAttempts": 5,
        "deadlineSeconds": 600,
        "nodeSelector": {"gpu": "a100"},
        "tolerations": [{"key": "gpu", "operator": "Exists"}],
        "runtimeClassName": "nvidia",
    }
    job = evaluate(make, config={"gpuResourceName": "example.com/gpu"}, workload=workload)
    assert (job["spec"]["backoffLimit"], job["spec"]["activeDeadlineSeconds"], job["spec"]["suspend"]) == (4, 600, True)
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "gpu-queue"
    resources = pod(job)["containers"][0]["resources"]
    assert resources["limits"] == {"memory": "8Gi", "example.com/gpu": "2"}
    assert resources["requests"] == {"cpu": "3", "memory": "8Gi", "example.com/gpu": "2"}
    assert pod(job)["tolerations"] == [{"key": "gpu", "operator": "Exists"}]
    assert (pod(job)["nodeSelector"], pod(job)["runtimeClassName"]) == ({"gpu": "a100"}, "nvidia")


@pytest.mark.parametrize(
    ("of_round", "expected"),
    [pytest.param("Auto", "Bfcl", id="the model's"), pytest.param("BitAgent", "BitAgent", id="the round's")],
)
def test_prompt_format(make: Make, of_round: str, expected: str) -> None:
    raw = make.model_raw("a", fetched=True)
    raw["spec"]["promptFormat"] = "Bfcl"
    work = Evaluation("k" * 12, 1, type(make.model("a")).parse(raw), "a" * 40, DIGEST)
    observed = make.round(evaluation={"promptFormat": of_round})
    job = evaluate_job.build(make.config(), observed, work, TaskSetStatus.model_validate(make.TASK_SET))
    assert document(job).prompt_format == expected


def test_files_of_task_sources_are_mounted_by_index(make: Make) -> None:
    sources = [
        {"bfcl": {"categories": ["simple_python"]}},
        {"jsonl": {"configMap": {"name": "tasks", "key": "t.jsonl"}}},
        {"jsonl": {"volume": {"claimName": "data", "path": "x/t.jsonl"}}},
    ]
    job = task_set(make, tasks={"sources": sources, "count": 1, "seed": "1"})
    assert document(job).files == {"1": "/sources/1/t.jsonl", "2": "/sources/2/x/t.jsonl"}
    assert mounts(job)["/sources/1"]["readOnly"]
    assert mounts(job)["/sources/2"]["readOnly"]


def test_extra_volumes_reach_every_job(make: Make) -> None:
    extra = {"volumes": [{"name": "site"}], "volumeMounts": [{"name": "site", "mountPath": "/opt/site"}]}
    job = evaluate(make, config={"jobs": extra | {"env": [{"name": "PYTHONPATH", "value": "/opt/site"}]}})
    assert "/opt/site" in mounts(job)
    assert environment(job)["PYTHONPATH"] == "/opt/site"


class TestValidator:
    def build(self, make: Make, **more: Any) -> dict[str, Obj]:
        return {o["kind"]: o for o in validator_objects.build(make.config(), make.validator(**more))}

    def test_one_pod_at_a_time(self, make: Make) -> None:
        spec = self.build(make)["Deployment"]["spec"]
        assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
        assert self.build(make, suspend=True)["Deployment"]["spec"]["replicas"] == 0

    def test_the_pod_starts_anew_only_for_what_it_cannot_follow(self, make: Make) -> None:
        def annotation(**more: Any) -> str:
            template = self.build(make, **more)["Deployment"]["spec"]["template"]
            return str(template["metadata"]["annotations"]["bitagent.io/spec-hash"])

        assert annotation() == annotation(weights={"mode": "Off"})
        assert annotation() != annotation(netuid=21)
        assert annotation() != annotation(wallet={"hotkeySecretRef": {"name": "other", "key": "hotkey"}})

    def test_the_operator_holds_what_it_hands_out(self) -> None:
        held = {
            (g, r, v)
            for rule in OPERATOR_RULES
            for g in rule["apiGroups"]
            for r in rule["resources"]
            for v in rule["verbs"]
        }
        given = {
            (g, r, v)
            for rule in validator_rules("v")
            for g in rule["apiGroups"]
            for r in rule["resources"]
            for v in rule["verbs"]
        }
        assert given <= held

    def test_a_validator_touches_no_config_map_but_its_own(self, make: Make) -> None:
        """Another one is the operator's configuration, which names the images of Jobs."""
        rules = [r for r in self.build(make)["Role"]["rules"] if "configmaps" in r["resources"]]
        verbs = {verb: rule.get("resourceNames") for rule in rules for verb in rule["verbs"]}
        assert verbs == {"create": None, "get": ["v-scores"], "patch": ["v-scores"], "update": ["v-scores"]}

    def test_nobody_reads_secrets(self) -> None:
        resources = {r for rule in OPERATOR_RULES for r in rule["resources"]}
        assert resources.isdisjoint({"secrets", "pods/exec", "pods/log", "*"})
