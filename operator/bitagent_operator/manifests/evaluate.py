"""The evaluation Job: a GPU, no network, no token; mounts one model, one task set, and its own results."""

from __future__ import annotations

from bitagent_crds.evalround import EvalRoundSpec, TaskSetStatus
from bitagent_crds.evaluation import RunSpec, Workload
from bitagent_crds.jobs import EvaluateJob
from bitagent_crds.memory import limits_of
from bitagent_crds.minermodel import EngineChoices, LaterChoices
from bitagent_crds.model_result import ModelResult
from bitagent_crds.names import (
    ATTEMPT_LABEL,
    KEY_LABEL,
    MODEL_LABEL,
    MODEL_MOUNT,
    RESULTS_MOUNT,
    ROUND_LABEL,
    TASKS_MOUNT,
    Component,
    results_path,
    task_set_path,
)
from bitagent_crds.progress import PROGRESS_PORT, PROGRESS_PORT_NAME
from bitagent_kube.objects import Obj
from bitagent_operator import naming
from bitagent_operator.config import Config
from bitagent_operator.manifests.job import JobParts, claim, cpu_limit, job, mount, owner_reference
from bitagent_operator.manifests.model_volume import cache_volume, same_node, volume_labels
from bitagent_operator.manifests.placement import queue_labels
from bitagent_operator.observed.objects import RoundObject
from bitagent_operator.plan.identity import cached_directory
from bitagent_operator.plan.interface import StartEvaluation

HOSTNAME_LABEL = "kubernetes.io/hostname"
"""Well-known label of nodes; its value is the node's name, or the name that its kubelet was given."""
PROGRESS = {"name": PROGRESS_PORT_NAME, "containerPort": PROGRESS_PORT}
"""Port of the progress, which the network policies open to the operator alone."""
SHARED_MEMORY = "2Gi"
"""Size limit of /dev/shm; its contents count as the pod's memory."""


def evaluation_job(config: Config, observed: RoundObject, start: StartEvaluation, tasks: TaskSetStatus) -> Obj:
    """Return the Job that evaluates one model on the round's task set. Raises ValueError if it was not admitted."""
    spec, entry, uid = observed.spec, start.entry, observed.meta.uid
    directory = cached_directory(entry)
    document = EvaluateJob(
        run=run_of(spec, entry, tasks),
        model_dir=MODEL_MOUNT,
        task_set_dir=TASKS_MOUNT,
        out_dir=RESULTS_MOUNT,
        memory_limits=limits_of(spec.admission),
        shards=spec.workload.shards,
    )
    parts = JobParts(
        name=naming.round_job_name(
            observed.meta.name,
            key=start.key,
            attempt=start.attempt,
            series=observed.status.series,
            indexed=spec.workload.shards is not None,
        ),
        image=observed.status.image or "",
        component=Component.EVALUATE,
        labels=naming.labels(
            Component.EVALUATE,
            {
                ROUND_LABEL: observed.meta.name,
                MODEL_LABEL: entry.model,
                KEY_LABEL: start.key,
                ATTEMPT_LABEL: str(start.attempt),
            }
            | naming.series_label(observed.status.series)
            | volume_labels(config, directory),
        ),
        owner=owner_reference("EvalRound", observed.meta),
        document=document,
        resources=resources_of(config, spec.workload),
        attempt_seconds=spec.workload.deadline_seconds,
        max_attempts=start.pods or spec.workload.max_attempts,
        shards=spec.workload.shards,
        later=True,
        volumes=(
            cache_volume(config, directory),
            claim("artifacts", config.artifacts.claim_name),
            {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": SHARED_MEMORY}},
        ),
        mounts=(
            mount("cache", MODEL_MOUNT, sub_path=directory, read_only=True),
            mount("artifacts", TASKS_MOUNT, sub_path=task_set_path(uid), read_only=True),
            mount("artifacts", RESULTS_MOUNT, sub_path=results_path(uid, start.key)),
            mount("shm", "/dev/shm"),  # noqa: S108 - the pod's own
        ),
        suspend=spec.workload.queue_name is not None,  # the queue sets it to false
        job_labels=queue_labels(spec.workload),
        scheduling=scheduling_of(spec.workload),
        preferred_nodes=_preferences(start.preferred_nodes),
        beside=same_node(config, directory),
        ports=(PROGRESS,),
    )
    return job(config, parts)


def run_of(spec: EvalRoundSpec, entry: ModelResult, tasks: TaskSetStatus) -> RunSpec:
    """Return what is run: the files and choices that the entry froze, with the round's rules for all models."""
    if isinstance(entry.engine, LaterChoices):
        raise ValueError(f"{entry.model}: the engine choices {entry.engine.written} are of a later version; upgrade")
    rules = spec.evaluation
    return RunSpec(
        repo=entry.repo or "",
        commit=entry.commit,
        weights_digest=entry.weights_digest,
        model_digest=entry.model_digest,
        task_set_digest=tasks.digest,
        prompt_format=entry.prompt_format or rules.prompt_format,
        thinking=rules.thinking,
        max_tokens=rules.max_tokens,
        max_thought_tokens=rules.max_thought_tokens,
        engine=entry.engine or EngineChoices(),
        scorer=rules.scorer,
        aggregate=rules.aggregate,
        loss=rules.loss,
        max_prompt_tokens=rules.max_prompt_tokens,
        mean_answer_tokens=rules.mean_answer_tokens,
        generate_seconds=spec.generate_seconds,
    )


def resources_of(config: Config, workload: Workload) -> Obj:
    """Return the resources of the container that has the GPUs."""
    size = workload.resources
    gpus = {size.gpu_resource_name or config.gpu_resource_name: str(size.gpus)} if size.gpus else {}
    return {
        "requests": {"cpu": size.cpu, "memory": size.memory, "ephemeral-storage": size.ephemeral_storage} | gpus,
        "limits": {"memory": size.memory} | cpu_limit(config.jobs.evaluate.cpu_limit) | gpus,
    }


def scheduling_of(workload: Workload) -> Obj:
    """Return the members of the pod's spec that say where it runs."""
    spec: Obj = {
        "nodeSelector": dict(workload.node_selector),
        "tolerations": [{k: v for k, v in t.to_wire().items() if v} for t in workload.tolerations],
        "runtimeClassName": workload.runtime_class_name,
        "priorityClassName": workload.priority_class_name,
    }
    return {name: value for name, value in spec.items() if value}


def _preferences(preferred_nodes: tuple[str, ...]) -> tuple[Obj, ...]:
    """Return preferences, which never keep the pod from running: the nodes may be full, or gone."""
    if not preferred_nodes:
        return ()
    expression = {"key": HOSTNAME_LABEL, "operator": "In", "values": list(preferred_nodes)}
    return ({"weight": 100, "preference": {"matchExpressions": [expression]}},)
