"""A rewriter's objects: who reaches it, what it mounts, and how it is watched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.jobs import CacheRoom
from bitagent_crds.names import Component
from bitagent_evaluator.cli import serve
from bitagent_evaluator.engines import stall
from bitagent_operator import naming
from bitagent_operator.manifests import rewriter
from bitagent_operator.manifests.task_set import task_set_job
from bitagent_operator.observed.objects import RoundObject
from bitagent_operator.plan.interface import StartFetch
from bitagent_operator.plan.validators.rewriter import as_model, status_of_source

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make

    from bitagent_operator.observed.objects import ValidatorObject

Obj = dict[str, Any]
COMMIT = "a" * 40


def validator(make: Make, **spec: Any) -> ValidatorObject:
    made = {"source": {"huggingFace": {"repo": "org/rewriter", "revision": COMMIT}}} | spec
    plain = make.validator(rewriter=made)
    assert plain.spec.rewriter is not None
    status = status_of_source(plain, plain.spec.rewriter).to_wire()
    status["resolved"] = make.facts() | {"at": "2026-01-01T00:00:00Z"}
    return make.validator(rewriter=made, status={"rewriter": status})


def objects(make: Make, *, replicas: int = 1, config: Obj | None = None, **spec: Any) -> dict[str, Obj]:
    found = validator(make, **spec)
    assert found.spec.rewriter is not None
    made = rewriter.rewriter_objects(
        make.config(**(config or {})), found, found.spec.rewriter, commit=COMMIT, replicas=replicas
    )
    return {f"{o['kind']} {o['metadata']['name']}": o for o in made}


def pod_of(made: dict[str, Obj]) -> Obj:
    found: Obj = made["Deployment v-rewriter"]["spec"]["template"]["spec"]
    return found


def container_of(made: dict[str, Obj]) -> Obj:
    (only,) = pod_of(made)["containers"]
    found: Obj = only
    return found


def test_every_object_belongs_to_the_validator(make: Make) -> None:
    made = objects(make)
    assert list(made) == [
        "NetworkPolicy v-rewriter",
        "NetworkPolicy v-rewriter-callers",
        "Service v-rewriter",
        "PodDisruptionBudget v-rewriter",
        "Deployment v-rewriter",
    ]
    for obj in made.values():
        (owner,) = obj["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["uid"], owner["controller"]) == ("Validator", "uid-v", True)


def test_it_reaches_nothing_and_only_its_task_set_pods_reach_it(make: Make) -> None:
    made = objects(make)
    labels = made["Deployment v-rewriter"]["spec"]["template"]["metadata"]["labels"]
    served = made["NetworkPolicy v-rewriter"]["spec"]
    assert served["podSelector"]["matchLabels"].items() <= labels.items()
    assert (served["policyTypes"], "egress" in served) == (["Ingress", "Egress"], False)
    ((peer,),) = [rule["from"] for rule in served["ingress"]]
    callers = peer["podSelector"]["matchLabels"]
    for validator_label, rewrite, lets_in in [("v", {}, True), ("w", {}, False), ("v", None, False)]:
        tasks = {"seed": "1"} | ({"alterations": [{"rewrite": rewrite}]} if rewrite is not None else {})
        raw = make.round_raw(spec_tasks=tasks)
        raw["metadata"]["labels"] = {"bitagent.io/validator": validator_label}
        job = task_set_job(make.config(), RoundObject.parse(raw), 1)
        assert (callers.items() <= job["spec"]["template"]["metadata"]["labels"].items()) is lets_in
    assert not any(callers.items() <= naming.labels(component, {}).items() for component in Component)
    calls = made["NetworkPolicy v-rewriter-callers"]["spec"]
    assert calls["podSelector"]["matchLabels"] == callers
    assert calls["policyTypes"] == ["Egress"]
    assert calls["egress"][0]["to"][0]["podSelector"]["matchLabels"].items() <= labels.items()


def test_the_service_is_the_address_of_the_job(make: Make) -> None:
    made, config = objects(make), make.config()
    service, labels = (
        made["Service v-rewriter"],
        made["Deployment v-rewriter"]["spec"]["template"]["metadata"]["labels"],
    )
    assert service["spec"]["selector"].items() <= labels.items()
    address = rewriter.rewriter_address(config, validator(make))
    assert address is not None
    (port,) = service["spec"]["ports"]
    assert address.url == f"http://v-rewriter.ns:{port['port']}/v1"
    assert f"--name={address.model}" in container_of(made)["command"]
    assert (address.repo, address.commit, address.image) == ("org/rewriter", COMMIT, config.images.evaluator)
    assert rewriter.rewriter_address(config, make.validator()) is None


def test_the_command_is_the_evaluators(make: Make) -> None:
    choices = {"dtype": "Float16", "maxModelLength": 4096}
    command = container_of(objects(make, engine=choices, resources={"gpus": 2}))["command"]
    assert command[:2] == ["bitagent-eval", "serve"]
    options = serve._parser().parse_args(command[2:])
    assert (options.gpus, options.dtype, options.max_model_length) == (2, "Float16", 4096)
    assert options.name == ["rewriter", f"rewriter@{COMMIT[:12]}"]
    assert options.port == container_of(objects(make))["ports"][0]["containerPort"]


def test_the_model_is_mounted_read_only_at_its_commit(make: Make) -> None:
    made = objects(make)
    mounts = {m["name"]: m for m in container_of(made)["volumeMounts"]}
    assert (mounts["cache"]["subPath"], mounts["cache"]["readOnly"]) == (f"org/rewriter/{COMMIT}", True)
    assert mounts["cache"]["mountPath"] == container_of(made)["command"][2]
    volumes = {v["name"]: v for v in pod_of(made)["volumes"]}
    assert volumes["cache"]["persistentVolumeClaim"] == {"claimName": "cache", "readOnly": True}
    source = {"source": {"volume": {"claimName": "mine", "path": "a/b"}}}
    mounts = {m["name"]: m for m in container_of(objects(make, **source))["volumeMounts"]}
    assert mounts["cache"]["subPath"] == f"volume/mine/{COMMIT}"


@pytest.mark.parametrize(
    ("gpus", "limits"),
    [
        pytest.param({"gpus": 2}, {"nvidia.com/gpu": "2"}, id="GPUs"),
        pytest.param({"gpuResourceName": "amd.com/gpu"}, {"amd.com/gpu": "1"}, id="other GPUs"),
        pytest.param({"gpus": 0, "gpuResourceName": "amd.com/gpu"}, {}, id="CPU"),
    ],
)
def test_resources(make: Make, gpus: Obj, limits: dict[str, str]) -> None:
    made = objects(make, resources={"cpu": "2", "memory": "8Gi", "ephemeralStorage": "1Gi"} | gpus)
    expected = {"memory": "8Gi", "ephemeral-storage": "1Gi"} | limits
    assert container_of(made)["resources"] == {"requests": expected | {"cpu": "2"}, "limits": expected}


def test_it_is_let_load_for_long_and_restarted_when_it_stalls(make: Make) -> None:
    container = container_of(objects(make, startTimeoutSeconds=1801))
    startup = container["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] >= 1801
    command = container["livenessProbe"]["exec"]["command"]
    assert command[2] == stall.__name__
    assert command[3:] == ["--port", str(rewriter.PORT)]
    assert container["readinessProbe"]["httpGet"]["path"] == "/health"


def test_pods_are_replaced_one_by_one_and_never_doubled(make: Make) -> None:
    made = objects(make, replicas=3)
    spec = made["Deployment v-rewriter"]["spec"]
    assert (spec["replicas"], spec["strategy"]["rollingUpdate"]) == (3, {"maxSurge": 0, "maxUnavailable": 1})
    assert made["PodDisruptionBudget v-rewriter"]["spec"]["maxUnavailable"] == 1


def test_it_goes_where_it_is_sent_with_what_all_jobs_have(make: Make) -> None:
    jobs = {
        "env": [{"name": "A", "value": "b"}],
        "volumes": [{"name": "x", "emptyDir": {}}],
        "volumeMounts": [{"name": "x", "mountPath": "/x"}],
    }
    scheduling = {
        "nodeSelector": {"gpu": "yes"},
        "tolerations": [{"key": "gpu", "operator": "Exists"}],
        "runtimeClassName": "nvidia",
        "priorityClassName": "low",
    }
    made = objects(make, config={"jobs": jobs}, **scheduling)
    pod = pod_of(made)
    assert {k: pod[k] for k in scheduling} == scheduling
    assert {"name": "A", "value": "b"} in container_of(made)["env"]
    assert {"name": "x", "mountPath": "/x"} in container_of(made)["volumeMounts"]
    assert pod["automountServiceAccountToken"] is False


@pytest.mark.parametrize(("gpus", "node"), [(1, "gpu"), (0, "any")], ids=["GPUs", "CPU"])
def test_the_operators_settings_hold_where_the_validator_says_nothing(make: Make, gpus: int, node: str) -> None:
    jobs = {
        "nodeSelector": {"pool": "any"},
        "labels": {"team": "a"},
        "annotations": {"note": "b"},
        "evaluate": {"nodeSelector": {"pool": "gpu"}, "tolerations": [{"operator": "Exists"}], "cpuLimit": "8"},
    }
    made = objects(make, config={"jobs": jobs}, resources={"gpus": gpus})
    assert pod_of(made)["nodeSelector"] == {"pool": node}
    assert ("tolerations" in pod_of(made)) is bool(gpus)
    deployment = made["Deployment v-rewriter"]
    for metadata in (deployment["metadata"], deployment["spec"]["template"]["metadata"]):
        assert (metadata["labels"]["team"], metadata["annotations"]) == ("a", {"note": "b"})
    assert "team" not in deployment["spec"]["selector"]["matchLabels"]
    assert container_of(made)["resources"]["limits"]["cpu"] == "8"
    own = objects(make, config={"jobs": jobs}, nodeSelector={"pool": "mine"}, resources={"gpus": gpus})
    assert pod_of(own)["nodeSelector"] == {"pool": "mine"}


def test_the_fetch_job_is_a_miners_that_belongs_to_the_validator(make: Make) -> None:
    found = validator(make)
    assert found.spec.rewriter is not None
    model = as_model(found, found.spec.rewriter)
    start = StartFetch("n", make.T0, 1)
    job = rewriter.rewriter_fetch_job(make.config(), found, model, start, CacheRoom())
    (owner,) = job["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"]) == ("Validator", "uid-v")
    for metadata in (job["metadata"], job["spec"]["template"]["metadata"]):
        assert metadata["labels"]["bitagent.io/validator"] == "v"
        assert "bitagent.io/model" not in metadata["labels"]
        assert metadata["labels"]["app.kubernetes.io/component"] == "fetch"
