"""Where each model has a volume of its own: claims, who mounts them, and where these pods run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.names import cache_id, cached_model_path
from bitagent_operator.manifests.model_volume import volume_claim
from bitagent_operator.manifests.rewriter import rewriter_objects
from bitagent_operator.plan.interface import VolumePlan

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make
    from tests.unit.operator.manifests.conftest import Build, BuiltJob

PER_MODEL: dict[str, Any] = {"cache": {"mode": "VolumePerModel"}}
COMMIT = "a" * 40
ID = cache_id(cached_model_path("org/a", COMMIT))
CLAIM = f"bitagent-model-{ID}"
OWNER = {"apiVersion": "bitagent.io/v1alpha1", "kind": "MinerModel", "name": "a", "uid": "u"}


def claims(pod: dict[str, Any]) -> dict[str, str]:
    return {v["name"]: v["persistentVolumeClaim"]["claimName"] for v in pod["volumes"] if "persistentVolumeClaim" in v}


def beside(pod: dict[str, Any]) -> list[dict[str, Any]]:
    terms = pod.get("affinity", {}).get("podAffinity", {}).get("requiredDuringSchedulingIgnoredDuringExecution", [])
    found: list[dict[str, Any]] = terms
    return found


@pytest.mark.parametrize(
    ("storage_class", "written"),
    [
        pytest.param({}, {}, id="the default"),
        pytest.param({"storageClassName": "fast"}, {"storageClassName": "fast"}, id="named"),
    ],
)
def test_the_claim_of_a_model(make: Make, storage_class: dict[str, str], written: dict[str, str]) -> None:
    made = volume_claim(make.config(cache=PER_MODEL["cache"] | storage_class), VolumePlan(ID, 2 << 30), OWNER)
    assert made["metadata"]["name"] == CLAIM
    assert made["metadata"]["ownerReferences"] == [OWNER], "no controller: models of one commit share it"
    assert made["metadata"]["labels"]["bitagent.io/cache"] == ID
    resources = {"requests": {"storage": str(2 << 30)}}
    assert made["spec"] == {"accessModes": ["ReadWriteOnce"], "resources": resources} | written


def test_what_has_no_files_mounts_no_volume(build: Build) -> None:
    for start in ({"facts_only": True}, {"resolve_only": True}):
        job = build.fetch(config=PER_MODEL, **start)
        assert (claims(job.pod), beside(job.pod)) == ({}, [])
        assert "bitagent.io/cache" not in job.labels
    assert build.fetch(config=PER_MODEL, facts_only=True).document.facts_only
    assert build.fetch().document.facts_only is None, "an evaluator of an earlier version does not know it"


@pytest.mark.parametrize("made", ["fetch", "evaluation"])
def test_the_pods_of_one_model_mount_its_claim_on_one_node(build: Build, made: str) -> None:
    model = build.model(source={"huggingFace": {"repo": "org/a", "revision": COMMIT}})
    job: BuiltJob = (
        build.evaluation(PER_MODEL, model)
        if made == "evaluation"
        else build.fetch(model.spec.source.to_wire(), config=PER_MODEL, commit=COMMIT, size_bytes=5)
    )
    assert claims(job.pod)["cache"] == CLAIM
    assert job.labels["bitagent.io/cache"] == job.raw["metadata"]["labels"]["bitagent.io/cache"] == ID
    selector = {"matchLabels": {"bitagent.io/cache": ID}}
    assert beside(job.pod) == [{"labelSelector": selector, "topologyKey": "kubernetes.io/hostname"}]
    mount = job.mounts["/model" if made == "evaluation" else "/models"]
    assert (mount.get("readOnly", False), mount.get("subPath")) == (
        (True, cached_model_path("org/a", COMMIT)) if made == "evaluation" else (False, None)
    )


def test_affinity_of_the_settings_stays(build: Build) -> None:
    own = {"topologyKey": "zone", "labelSelector": {}}
    affinity = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [own]}, "nodeAffinity": {"x": 1}}
    job = build.evaluation(PER_MODEL | {"jobs": {"affinity": affinity}})
    assert beside(job.pod)[0] == own
    assert len(beside(job.pod)) == 2
    assert job.pod["affinity"]["nodeAffinity"] == {"x": 1}


def test_a_shared_cache_binds_no_pod_to_a_node(build: Build) -> None:
    for job in (build.fetch(), build.evaluation()):
        assert (claims(job.pod)["cache"], beside(job.pod)) == ("cache", [])
        assert "bitagent.io/cache" not in job.labels


def test_a_rewriter_mounts_the_claim_of_its_model(make: Make) -> None:
    rewriter = {"source": {"huggingFace": {"repo": "org/a"}}}
    observed = make.validator(rewriter=rewriter)
    assert observed.spec.rewriter is not None
    objects = rewriter_objects(make.config(**PER_MODEL), observed, observed.spec.rewriter, commit=COMMIT, replicas=2)
    (deployment,) = (each for each in objects if each["kind"] == "Deployment")
    template = deployment["spec"]["template"]
    assert claims(template["spec"])["cache"] == CLAIM
    assert template["metadata"]["labels"]["bitagent.io/cache"] == ID
    assert len(beside(template["spec"])) == 1
