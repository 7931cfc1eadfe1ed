"""Pools of online tasks on a real API server: built by task-set Jobs, seen by validators, read by examiners."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from bitagent_crds.evalround import EvalRoundStatus
from bitagent_crds.examiner import ExaminerRequest, Pool, TaskRequest
from bitagent_crds.jobs import TaskSetJob, termination_message
from bitagent_crds.names import COMPETITION_LABEL, ONLINE_LABEL, VALIDATOR_LABEL, pool_name, task_set_path
from bitagent_evaluator.examiner.server import Examiner
from bitagent_evaluator.examiner.verdicts import Scorers
from bitagent_evaluator.jobs.task_set import handle
from bitagent_local.cluster.api import ApiError

if TYPE_CHECKING:
    from tests.integration.operator.conftest import Exit, Obj, Outcomes, Script, World

pytestmark = pytest.mark.integration

TASKS = {"sources": [{"bfcl": {"categories": ["simple_python", "irrelevance"]}}], "count": 20}


def building(outcomes: Outcomes, volume: Path, kinds: list[str]) -> Script:
    """Task-set Jobs do their work, in the folder of the volume that the pod mounts; the others end as usual."""

    def end(pod: Obj, document: Obj) -> Exit | None:
        kinds.append(document["kind"])
        if document["kind"] != "TaskSet":
            return outcomes.usual(pod, document)
        (container,) = pod["spec"]["containers"]
        (mounted,) = (m for m in container["volumeMounts"] if m["mountPath"] == document["outDir"])
        written = json.dumps(document | {"outDir": str(volume / mounted["subPath"])})
        summary = handle(TaskSetJob.model_validate_json(written))
        return outcomes.crashed(0, termination_message(summary))

    return end


def pool(world: World, validator: str, period: int, *, seed: str, **more: Any) -> str:
    name = pool_name(validator, "main", period)
    labels = {VALIDATOR_LABEL: validator, COMPETITION_LABEL: "main", ONLINE_LABEL: str(period)}
    spec = {"models": {"matchLabels": {}}, "tasks": TASKS | {"seed": seed}, "tasksOnly": True} | more
    world.create("evalrounds", "EvalRound", name, spec, labels)
    return name


def test_two_validators_with_one_seed_have_the_same_pool(world: World, outcomes: Outcomes, tmp_path: Path) -> None:
    kinds: list[str] = []
    config = Path(world.environment["BITAGENT_CONFIG"])
    archive = {"archive": {"url": "s3://bucket/x", "secretName": "s3"}}
    config.write_text(yaml.safe_dump(yaml.safe_load(config.read_text()) | archive))
    world.kubelet.script = building(outcomes, tmp_path, kinds)
    names = [pool(world, validator, 7, seed="one") for validator in ("v", "w")] + [pool(world, "v", 8, seed="two")]
    world.start_operator()
    found = [world.until_condition("evalrounds", name, "Complete") for name in names]
    digests = [each["status"]["taskSet"]["digest"] for each in found]
    assert digests[0] == digests[1] != digests[2]
    assert set(kinds) == {"TaskSet"}, "nothing is evaluated, fetched or archived"
    replies = []
    for each in found:
        uid = each["metadata"]["uid"]
        status = EvalRoundStatus.model_validate(each["status"])
        assert (status.results, status.leaderboard_digest, status.archive) == ([], None, None)
        assert status.task_set is not None
        assert status.task_set.uri == f"pvc://artifacts/{task_set_path(uid)}"
        request = TaskRequest(pool=Pool(round_uid=uid, digest=status.task_set.digest), seed="block 100")
        replies.append(Examiner(tmp_path, Scorers()).reply(ExaminerRequest(task=request).line()))
    assert replies[0].task is not None
    assert replies[0] == replies[1] != replies[2]
    for reason in ("TaskSetBuilt", "RoundComplete"):
        assert len(world.events_of(reason)) == len(names)
    with pytest.raises(ApiError, match="tasksOnly is immutable"):
        world.api.merge(world.path("evalrounds", names[0]), {"spec": {"tasksOnly": False}})


def test_a_validator_that_asks_online_has_an_examiner(operator: World) -> None:
    template = {"models": {"matchLabels": {}}, "tasks": TASKS}
    spec = {
        "netuid": 20,
        "chain": {"endpoints": ["ws://chain:9944"]},
        "wallet": {"hotkeySecretRef": {"name": "wallet", "key": "hot"}},
        "competitions": [{"id": "main", "schedule": {"everyBlocks": 360}, "round": template, "online": {}}],
    }
    operator.create("validators", "Validator", "main", spec)
    pods = operator.until("pod", lambda: operator.all("pods", **{"bitagent.io/validator": "main"}))
    validator, examiner = pods[0]["spec"]["containers"]
    assert examiner["name"] == "examiner"
    assert pods[0]["spec"]["automountServiceAccountToken"] is False
    names = [{mount["name"] for mount in each["volumeMounts"]} for each in (validator, examiner)]
    assert names[0] & names[1] == {"examiner"}
    # The last change is that of the Deployment's controller: the operator does not fight what the server fills in.
    generation = operator.get("deployments", "bitagent-validator-main")["metadata"]["generation"]
    operator.create("validators", "Validator", "other", spec | {"netuid": 21})
    operator.until("another one", lambda: operator.get("deployments", "bitagent-validator-other"))
    assert operator.get("deployments", "bitagent-validator-main")["metadata"]["generation"] == generation
