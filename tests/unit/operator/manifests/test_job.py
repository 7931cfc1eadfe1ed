"""What all Jobs have in common: restricted pods, the meaning of exit codes, the document."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bitagent_crds.names import MANAGED_BY_LABEL
from bitagent_operator.observed.workloads import PodObject

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make
    from tests.unit.operator.manifests.conftest import Build, BuiltJob


def test_every_job_is_restricted(any_job: BuiltJob) -> None:
    security, container = any_job.pod["securityContext"], any_job.container["securityContext"]
    assert (security["runAsNonRoot"], security["runAsUser"], security["fsGroup"]) == (True, 65532, 65532)
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["capabilities"] == {"drop": ["ALL"]}
    assert (container["allowPrivilegeEscalation"], container["readOnlyRootFilesystem"]) == (False, True)
    assert (any_job.pod["automountServiceAccountToken"], any_job.pod["enableServiceLinks"]) == (False, False)
    assert any_job.pod["restartPolicy"] == "Never"


def test_exit_78_is_final_and_a_disruption_does_not_count(any_job: BuiltJob) -> None:
    rules = any_job.raw["spec"]["podFailurePolicy"]["rules"]
    codes = rules[2]["onExitCodes"]
    assert (rules[2]["action"], codes["containerName"]) == ("FailJob", any_job.container["name"])
    assert codes["operator"] == "In"
    assert codes["values"] == ([78] if any_job.container["name"] == "task-set" else [75, 78])
    evaluates = any_job.container["name"] == "evaluate"  # which has a bound for them of its own
    removed = "Ignore" if evaluates else "Count"
    assert (rules[0]["action"], rules[0]["onPodConditions"][0]["type"]) == (removed, "DisruptionTarget"), (
        "the exit code of a pod that was ended from outside does not count"
    )
    stopped = {"containerName": any_job.container["name"], "operator": "In", "values": [143]}
    assert rules[1] == {"action": removed, "onExitCodes": stopped}, "nor does one that somebody deletes"


def test_only_its_own_container_ends_a_job(make: Make, any_job: BuiltJob) -> None:
    """An admission webhook may add a container, and the kubelet reports containers by name."""
    ended = {"exitCode": 78, "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:01Z"}
    states = [
        {"name": "a-proxy", "state": {"terminated": ended}},
        {"name": any_job.container["name"], "state": {"terminated": ended | {"exitCode": 0, "message": "mine"}}},
        {"name": "z-proxy", "state": {"terminated": ended}},
    ]
    status = {"phase": "Failed", "containerStatuses": states}
    seen = PodObject.parse({"metadata": make.meta("p", labels=any_job.labels), "status": status}).terminated
    assert seen is not None
    assert (seen.exit_code, seen.message) == (0, "mine")


def test_the_document_is_mounted_and_valid(any_job: BuiltJob) -> None:
    assert any_job.document.kind
    items = next(v for v in any_job.pod["volumes"] if v["name"] == "job")["downwardAPI"]["items"]
    assert items[0]["fieldRef"]["fieldPath"] == "metadata.annotations['bitagent.io/job']"
    assert any_job.raw["metadata"]["labels"][MANAGED_BY_LABEL] == "bitagent-operator"


def test_extra_volumes_reach_every_job(build: Build) -> None:
    extra = {"volumes": [{"name": "site"}], "volumeMounts": [{"name": "site", "mountPath": "/opt/site"}]}
    job = build.evaluation(config={"jobs": extra | {"env": [{"name": "PYTHONPATH", "value": "/opt/site"}]}})
    assert "/opt/site" in job.mounts
    assert job.environment["PYTHONPATH"] == "/opt/site"


@pytest.mark.parametrize("kind", ["task_set", "evaluation"])
def test_a_rounds_jobs_have_the_image_and_the_series_of_the_round(build: Build, kind: str) -> None:
    made: BuiltJob = getattr(build, kind)(status={"image": "e:frozen", "series": 2})
    assert made.container["image"] == "e:frozen"
    assert made.labels["bitagent.io/series"] == "2"
    first: BuiltJob = getattr(build, kind)()
    assert first.container["image"] == "e:1"
    assert "bitagent.io/series" not in first.labels
    assert first.raw["metadata"]["name"] != made.raw["metadata"]["name"]
