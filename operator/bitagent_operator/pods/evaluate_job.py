"""The evaluation Job: a GPU, no network, no token; sees one model, one task set, and its own results."""

from __future__ import annotations

from bitagent_crds.evalround import TaskSetStatus
from bitagent_crds.fields import PromptFormat
from bitagent_crds.jobs import EvaluateJob
from bitagent_crds.layout import (
    MODEL_MOUNT,
    RESULTS_MOUNT,
    TASKS_MOUNT,
    cached_model,
    cached_volume_model,
    results,
    task_set,
)
from bitagent_crds.minermodel import ModelSource
from bitagent_crds.workload import Workload
from bitagent_operator import naming
from bitagent_operator.config import Config
from bitagent_operator.naming import Component
from bitagent_operator.observed import Obj, RoundObject
from bitagent_operator.plan.evaluations import Evaluation
from bitagent_operator.pods.common import JobParts, claim, job, mount, owner_reference

SHARED_MEMORY = "2Gi"
"""Size limit of /dev/shm; what is used of it counts as the pod's memory."""


def build(config: Config, observed: RoundObject, evaluation: Evaluation, tasks: TaskSetStatus) -> Obj:
    """The Job that evaluates one set of weights on the round's task set."""
    spec, model, uid = observed.spec, evaluation.model, observed.meta.uid
    directory, origin = _cached(model.spec.source, evaluation.commit)
    chosen = spec.evaluation.prompt_format
    document = EvaluateJob(
        model_dir=MODEL_MOUNT,
        task_set_dir=TASKS_MOUNT,
        task_set_digest=tasks.digest,
        out_dir=RESULTS_MOUNT,
        repo=origin,
        commit=evaluation.commit,
        weights_digest=evaluation.weights_digest,
        prompt_format=model.spec.prompt_format if chosen == PromptFormat.AUTO else chosen,
        max_tokens=spec.evaluation.max_tokens,
        scorer=spec.evaluation.scorer,
        loss=spec.evaluation.loss,
        engine=model.spec.engine,
    )
    queue = spec.workload.queue_name
    parts = JobParts(
        name=naming.round_job(observed.meta.name, key=evaluation.key, attempt=evaluation.attempt),
        component=Component.EVALUATE,
        labels=naming.labels(
            Component.EVALUATE,
            round=observed.meta.name,
            model=model.meta.name,
            key=evaluation.key,
            attempt=str(evaluation.attempt),
        ),
        owner=owner_reference("EvalRound", observed.meta),
        document=document,
        resources=_resources(config, spec.workload),
        deadline_seconds=spec.workload.deadline_seconds,
        max_attempts=spec.workload.max_attempts,
        volumes=(
            claim("cache", config.cache.claim_name),
            claim("artifacts", config.artifacts.claim_name),
            {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": SHARED_MEMORY}},
        ),
        mounts=(
            mount("cache", MODEL_MOUNT, sub_path=directory, read_only=True),
            mount("artifacts", TASKS_MOUNT, sub_path=task_set(uid), read_only=True),
            mount("artifacts", RESULTS_MOUNT, sub_path=results(uid, evaluation.key)),
            mount("shm", "/dev/shm"),  # noqa: S108 - the pod's own
        ),
        suspend=queue is not None,  # the queue lifts it
        job_labels={naming.QUEUE: queue} if queue is not None else {},
        scheduling=_scheduling(spec.workload),
    )
    return job(config, parts)


def _cached(source: ModelSource, commit: str) -> tuple[str, str]:
    """Directory in the cache, and where the model came from. Raises ValueError for a source of no kind."""
    if source.hugging_face is not None:
        return cached_model(source.hugging_face.repo, commit), source.hugging_face.repo
    if source.volume is not None:
        claim_name = source.volume.claim_name
        return cached_volume_model(claim_name, commit), f"volume/{claim_name}/{source.volume.path}"
    raise ValueError("a model source has exactly one member")


def _resources(config: Config, workload: Workload) -> Obj:
    wanted = workload.resources
    gpus = {config.gpu_resource_name: str(wanted.gpus)}
    return {
        "requests": {"cpu": wanted.cpu, "memory": wanted.memory} | gpus,
        "limits": {"memory": wanted.memory} | gpus,
    }


def _scheduling(workload: Workload) -> Obj:
    spec: Obj = {
        "nodeSelector": dict(workload.node_selector),
        "tolerations": [{k: v for k, v in t.to_wire().items() if v} for t in workload.tolerations],
        "runtimeClassName": workload.runtime_class_name,
        "priorityClassName": workload.priority_class_name,
    }
    return {name: value for name, value in spec.items() if value}
