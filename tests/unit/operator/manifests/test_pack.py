"""The Job of a pack: one container with a GPU, one beside it for each model, and a document that names all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.evalround import TaskSetStatus
from bitagent_crds.jobs import ANY_JOB, POD_MESSAGES_BYTES, STALL_SECONDS_KEY, PackJob
from bitagent_crds.model_result import ModelResult
from bitagent_operator.manifests.evaluate import evaluation_job
from bitagent_operator.manifests.pack import pack_job
from bitagent_operator.plan.interface import StartEvaluation

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make

Obj = dict[str, Any]
KEYS = ("a" * 12, "b" * 12, "c" * 12)


def start(make: Make, count: int = 3, **more: Any) -> StartEvaluation:
    keys = [f"{n:012x}" for n in range(count)] if count != len(KEYS) else KEYS
    entries = [ModelResult.model_validate(make.admitted(f"m{n}", weights=str(n))) for n in range(count)]
    first, *others = (StartEvaluation(key, 1, entry, **more) for key, entry in zip(keys, entries, strict=True))
    return StartEvaluation(first.key, 1, first.entry, others=tuple(others))


def built(make: Make, count: int = 3, config: Obj | None = None, **spec: Any) -> Obj:
    tasks = TaskSetStatus.model_validate(make.TASK_SET)
    return pack_job(make.config(**(config or {})), make.round(**spec), start(make, count), tasks)


def containers(job: Obj) -> dict[str, Obj]:
    return {c["name"]: c for c in job["spec"]["template"]["spec"]["containers"]}


def document(job: Obj) -> PackJob:
    found = ANY_JOB.validate_json(job["spec"]["template"]["metadata"]["annotations"]["bitagent.io/job"])
    assert isinstance(found, PackJob)
    return found


def test_one_container_has_the_gpu_and_the_others_wait(make: Make) -> None:
    job = built(make)
    found = containers(job)
    assert list(found) == ["evaluate", *(f"outcome-{key}" for key in KEYS)]
    assert found["evaluate"]["resources"]["limits"]["nvidia.com/gpu"] == "1"
    for key in KEYS:
        waits = found[f"outcome-{key}"]
        assert "nvidia.com/gpu" not in waits["resources"]["limits"]
        assert waits["command"][:3] == ["bitagent-eval", "outcome", f"--key={key}"]
        assert [m["name"] for m in waits["volumeMounts"]] == ["outcomes"]
        assert waits["securityContext"] == found["evaluate"]["securityContext"]
        assert set(waits["resources"]["requests"]) == {"cpu", "memory", "ephemeral-storage"}


def test_each_model_has_its_own_mounts(make: Make) -> None:
    job = built(make)
    mounts = {m["mountPath"]: m for m in containers(job)["evaluate"]["volumeMounts"]}
    for number, (key, member) in enumerate(zip(KEYS, document(job).members, strict=True)):
        assert (member.key, member.job.run.repo) == (key, f"org/m{number}")
        model, results = mounts[member.job.model_dir], mounts[member.job.out_dir]
        assert (model["subPath"], model["readOnly"]) == (f"org/m{number}/" + "a" * 40, True)
        assert (results["subPath"], "readOnly" in results) == (f"rounds/uid-r/results/{key}", False)
        assert mounts[member.job.task_set_dir]["readOnly"]
    assert mounts[document(job).outcomes_dir]["name"] == "outcomes"


def test_a_member_is_what_a_job_of_its_own_would_be(make: Make) -> None:
    spec = {"evaluation": {"maxTokens": 77, "generateSeconds": 90}, "admission": {"maxParameters": 10**9}}
    tasks = TaskSetStatus.model_validate(make.TASK_SET)
    alone = evaluation_job(make.config(), make.round(**spec), start(make), tasks)
    alone_document = ANY_JOB.validate_json(alone["spec"]["template"]["metadata"]["annotations"]["bitagent.io/job"])
    places = {"model_dir": "", "out_dir": ""}
    packed = document(built(make, **spec)).members[0].job
    assert packed.model_copy(update=places) == alone_document.model_copy(update=places)


def test_it_has_the_time_of_all_and_no_retries(make: Make) -> None:
    job = built(make, workload={"deadlineSeconds": 600, "maxAttempts": 5})
    assert job["spec"]["template"]["spec"]["activeDeadlineSeconds"] == 3 * 600
    assert document(job).member_seconds == 600
    assert job["spec"]["backoffLimit"] == 0


@pytest.mark.parametrize("count", [2, 3, 8])
def test_the_messages_of_all_containers_fit(make: Make, count: int) -> None:
    job = built(make, count)
    others = 4  # a mesh and an agent for secrets, each with its init container
    assert document(job).message_bytes * (len(containers(job)) + others) <= POD_MESSAGES_BYTES


def test_its_labels_name_all_keys(make: Make) -> None:
    job = built(make)
    for labels in (job["metadata"]["labels"], job["spec"]["template"]["metadata"]["labels"]):
        places = {key: labels[f"pack.bitagent.io/{key}"] for key in KEYS}
        assert places == dict(zip(KEYS, ("0", "1", "2"), strict=True))
        assert labels["bitagent.io/key"] == start(make).job_key
        assert all(len(name.rpartition("/")[2]) <= 63 and len(value) <= 63 for name, value in labels.items())
    assert job["metadata"]["name"].endswith(start(make).job_key)


def test_a_queue_and_a_limit_of_cpus(make: Make) -> None:
    job = built(make, config={"jobs": {"evaluate": {"cpuLimit": "8"}}}, workload={"queueName": "gpu"})
    assert (job["spec"]["suspend"], job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"]) == (True, "gpu")
    assert all("cpu" in c["resources"]["limits"] for c in containers(job).values())


@pytest.mark.parametrize(("workload", "value"), [({}, None), ({"stallSeconds": 120}, "120")], ids=["absent", "set"])
def test_its_own_bound_of_a_stall(make: Make, workload: Obj, value: str | None) -> None:
    """It is no member of the document, which a frozen image of an earlier version would refuse."""
    variables = {v["name"]: v.get("value") for v in containers(built(make, workload=workload))["evaluate"]["env"]}
    assert variables.get(STALL_SECONDS_KEY) == value
