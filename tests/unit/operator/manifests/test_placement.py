"""The operator's settings for each kind of pod, and what comes before them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.names import QUEUE_LABEL, Component
from bitagent_operator.manifests.placement import placed, with_preferred_nodes
from bitagent_operator.manifests.validator import validator_objects

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make
    from tests.unit.operator.manifests.conftest import Build, BuiltJob

POOL = {"nodeSelector": {"pool": "cpu"}, "tolerations": [{"key": "pool", "operator": "Exists"}]}
CARRIED = {"labels": {"team": "a"}, "annotations": {"cost": "1"}}
CLASSES = {"priorityClassName": "low", "runtimeClassName": "sandboxed"}
ZONE = {"podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}}
SPREAD = [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}]
JOBS = {**POOL, **CARRIED, **CLASSES, "affinity": ZONE, "topologySpreadConstraints": SPREAD}


def additions(name: str) -> dict[str, Any]:
    """Settings of a container, each named after its section."""
    return {
        "env": [{"name": name.upper(), "value": "1"}],
        "envFrom": [{"configMapRef": {"name": name}}],
        "volumes": [{"name": name, "configMap": {"name": name}}],
        "volumeMounts": [{"name": name, "mountPath": f"/etc/{name}"}],
    }


def made(build: Build, kind: str, jobs: dict[str, Any], **spec: Any) -> BuiltJob:
    if kind == "fetch":
        return build.fetch(config={"jobs": jobs})
    job: BuiltJob = getattr(build, kind)(config={"jobs": jobs}, **spec)
    return job


@pytest.mark.parametrize("kind", ["fetch", "task_set", "evaluation"])
def test_settings_of_all_jobs_reach_each_kind(build: Build, kind: str) -> None:
    job = made(build, kind, JOBS)
    placed_members = {name: job.pod[name] for name in (*POOL, *CLASSES, "affinity", "topologySpreadConstraints")}
    assert placed_members == POOL | CLASSES | {"affinity": ZONE, "topologySpreadConstraints": SPREAD}
    for meta in (job.raw["metadata"], job.raw["spec"]["template"]["metadata"]):
        assert meta["labels"]["team"] == "a"
        assert meta["annotations"]["cost"] == "1"


@pytest.mark.parametrize(("kind", "section"), [("fetch", "fetch"), ("task_set", "taskSet"), ("evaluation", "evaluate")])
def test_a_kind_has_settings_of_its_own(build: Build, kind: str, section: str) -> None:
    own = {"nodeSelector": {"pool": "own"}, "labels": {"kind": "own"}}
    job = made(build, kind, JOBS | {section: own})
    assert (job.pod["nodeSelector"], job.pod["tolerations"]) == ({"pool": "own"}, POOL["tolerations"])
    assert (job.labels["team"], job.labels["kind"]) == ("a", "own")
    other = made(build, "fetch" if kind != "fetch" else "task_set", JOBS | {section: own})
    assert other.pod["nodeSelector"] == POOL["nodeSelector"]


@pytest.mark.parametrize(("kind", "section"), [("fetch", "fetch"), ("task_set", "taskSet"), ("evaluation", "evaluate")])
def test_additions_of_a_kind_follow_those_of_all_jobs(build: Build, kind: str, section: str) -> None:
    settings = additions("all") | {section: additions("own"), "archive": additions("other")}
    job = made(build, kind, settings)
    assert list(job.environment)[-2:] == ["ALL", "OWN"], "the later of two variables of one name counts"
    assert [each["configMapRef"]["name"] for each in job.container["envFrom"]] == ["all", "own"]
    assert [each["name"] for each in job.pod["volumes"]][-2:] == ["all", "own"]
    assert [each["name"] for each in job.container["volumeMounts"]][-2:] == ["all", "own"]


@pytest.mark.parametrize("kind", ["fetch", "task_set", "evaluation"])
def test_a_name_that_is_set_twice_is_there_once(build: Build, kind: str) -> None:
    """The API server takes no list of variables, volumes or mounts in which a key is there twice."""
    section = {"fetch": "fetch", "task_set": "taskSet", "evaluation": "evaluate"}[kind]
    own = additions("all") | {"env": [{"name": "ALL", "value": "own"}, {"name": "HOME", "value": "/elsewhere"}]}
    job = made(build, kind, additions("all") | {section: own})
    env = [(each["name"], each.get("value")) for each in job.container["env"]]
    assert env.count(("ALL", "own")) == 1 and ("ALL", "1") not in env
    assert [value for name, value in env if name == "HOME"] == ["/elsewhere"], "of the last"
    assert [each["name"] for each in job.pod["volumes"]].count("all") == 1
    assert [each["name"] for each in job.container["volumeMounts"]].count("all") == 1


def test_additions_of_a_validators_pod(make: Make) -> None:
    config = make.config(validator=additions("own"), jobs=additions("jobs"))
    *_, deployment = validator_objects(config, make.validator())
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert (container["env"][-1], container["envFrom"]) == (additions("own")["env"][0], additions("own")["envFrom"])
    assert (pod["volumes"][-1]["name"], container["volumeMounts"][-1]["name"]) == ("own", "own")
    assert "JOBS" not in {each["name"] for each in container["env"]}, "it is no Job"


def test_without_settings_a_pod_has_none(any_job: BuiltJob) -> None:
    members = {"nodeSelector", "tolerations", "affinity", "priorityClassName", "runtimeClassName"}
    assert not (members | {"topologySpreadConstraints"}) & set(any_job.pod)
    assert "envFrom" not in any_job.container, "and Jobs of an earlier version have the same digest"


def test_a_rounds_workload_comes_first(build: Build) -> None:
    workload = {"nodeSelector": {"gpu": "a100"}, "priorityClassName": "high"}
    job = build.evaluation(config={"jobs": JOBS}, workload=workload)
    assert (job.pod["nodeSelector"], job.pod["priorityClassName"]) == ({"gpu": "a100"}, "high")
    assert (job.pod["runtimeClassName"], job.pod["tolerations"]) == ("sandboxed", POOL["tolerations"])


def test_a_preference_of_nodes_adds_to_the_affinity(build: Build) -> None:
    required = {"nodeSelectorTerms": [{"matchExpressions": [{"key": "pool", "operator": "Exists"}]}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
    job = build.evaluation(config={"jobs": {"affinity": affinity}}, start={"preferred_nodes": ("n1",)})
    nodes = job.pod["affinity"]["nodeAffinity"]
    assert nodes["requiredDuringSchedulingIgnoredDuringExecution"] == required
    assert len(nodes["preferredDuringSchedulingIgnoredDuringExecution"]) == 1
    assert with_preferred_nodes({"affinity": affinity}, []) == {"affinity": affinity}


def test_our_own_labels_cannot_be_replaced(build: Build) -> None:
    """Network policies select by them."""
    job = made(build, "evaluation", {"labels": {"app.kubernetes.io/component": "fetch"}})
    assert job.labels["app.kubernetes.io/component"] == "evaluate"


@pytest.mark.parametrize(("kind", "section"), [("fetch", "fetch"), ("task_set", "taskSet")])
def test_a_queue_admits_fetch_and_task_set_jobs(build: Build, kind: str, section: str) -> None:
    queued = made(build, kind, {section: {"queueName": "batch"}})
    assert (queued.raw["metadata"]["labels"][QUEUE_LABEL], queued.raw["spec"]["suspend"]) == ("batch", True)
    assert QUEUE_LABEL not in queued.labels, "the queue counts the Job, not its pods"
    free = made(build, kind, {})
    assert (QUEUE_LABEL in free.raw["metadata"]["labels"], free.raw["spec"]["suspend"]) == (False, False)


@pytest.mark.parametrize("kind", ["fetch", "task_set", "evaluation"])
def test_the_platform_may_assign_the_user(build: Build, kind: str) -> None:
    config = {"securityContext": {"runAsUser": None}}
    job: BuiltJob = getattr(build, kind)(config=config)
    assert job.pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


@pytest.mark.parametrize(
    ("kind", "section"), [("fetch", {"fetch": {"cpuLimit": "2", "ephemeralStorage": "3Gi"}}), ("evaluation", {})]
)
def test_the_disk_is_requested_and_tmp_is_bounded(build: Build, kind: str, section: dict[str, Any]) -> None:
    job = made(build, kind, section)
    storage = "3Gi" if section else "4Gi"
    (tmp,) = [v for v in job.pod["volumes"] if v["name"] == "tmp"]
    assert job.container["resources"]["requests"]["ephemeral-storage"] == storage
    assert tmp["emptyDir"] == {"sizeLimit": storage}
    assert ("cpu" in job.container["resources"]["limits"]) == bool(section), "a quota may require a limit"


def test_evaluations_may_have_a_cpu_limit(build: Build) -> None:
    assert made(build, "evaluation", {"evaluate": {"cpuLimit": "8"}}).container["resources"]["limits"]["cpu"] == "8"


def test_the_validators_pod_has_settings_of_its_own(make: Make) -> None:
    config = make.config(validator={**POOL, **CARRIED}, jobs=CLASSES, securityContext={"runAsUser": None})
    *_, deployment = validator_objects(config, make.validator())
    template = deployment["spec"]["template"]
    assert {name: template["spec"][name] for name in POOL} == POOL
    assert "priorityClassName" not in template["spec"], "it is no Job"
    assert "runAsUser" not in template["spec"]["securityContext"]
    assert (template["metadata"]["labels"]["team"], template["metadata"]["annotations"]["cost"]) == ("a", "1")
    assert deployment["spec"]["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    assert "team" not in deployment["spec"]["selector"]["matchLabels"], "a selector cannot be changed later"


def test_every_kind_of_job_is_placed(make: Make) -> None:
    config = make.config(jobs=JOBS)
    jobs = [c for c in Component if c is not Component.VALIDATOR]
    assert all(placed(config, component).pod["nodeSelector"] == POOL["nodeSelector"] for component in jobs)


@pytest.mark.parametrize("kind", ["fetch", "task_set", "evaluation", "archive", "retention"])
def test_one_selector_brings_all_jobs_to_the_node_of_a_volume(make: Make, build: Build, kind: str) -> None:
    """What docs/operating.md says for artifacts without ReadWriteMany storage."""
    jobs = {"nodeSelector": {"kubernetes.io/hostname": "gpu-1"}, "tolerations": [{"key": "gpu", "operator": "Exists"}]}
    if kind in ("archive", "retention"):
        pod = placed(make.config(jobs=jobs), Component(kind)).pod
    else:
        pod = made(build, kind, jobs).pod
    assert {name: pod[name] for name in jobs} == jobs
