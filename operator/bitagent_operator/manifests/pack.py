"""The Job of a pack: a container with the GPU evaluates several models, and beside it one for each ends as it did.

Those containers need next to nothing: they sleep until the outcome of their model is there. So each outcome arrives as
a container's end, on the way of any other Job's, and the pod needs no network.
"""

from __future__ import annotations

from bitagent_crds.evalround import TaskSetStatus
from bitagent_crds.jobs import (
    STALL_SECONDS_KEY,
    TERMINATION_LOG,
    EvaluateJob,
    PackJob,
    PackMember,
    outcome_container,
    pack_messages_bytes,
)
from bitagent_crds.memory import limits_of
from bitagent_crds.names import (
    ATTEMPT_LABEL,
    KEY_LABEL,
    MODEL_MOUNT,
    PACK_PREFIX,
    RESULTS_MOUNT,
    ROUND_LABEL,
    TASKS_MOUNT,
    Component,
    results_path,
    task_set_path,
)
from bitagent_kube.objects import Obj
from bitagent_operator import naming
from bitagent_operator.config import Config
from bitagent_operator.manifests.evaluate import PROGRESS, SHARED_MEMORY, resources_of, run_of, scheduling_of
from bitagent_operator.manifests.job import (
    ENVIRONMENT,
    SECURITY,
    JobParts,
    claim,
    cpu_limit,
    job,
    mount,
    owner_reference,
)
from bitagent_operator.manifests.placement import queue_labels
from bitagent_operator.observed.objects import RoundObject
from bitagent_operator.plan.identity import cached_directory
from bitagent_operator.plan.interface import StartEvaluation

OUTCOMES_MOUNT = "/outcomes"
_OUTCOMES = mount("outcomes", OUTCOMES_MOUNT)
_WAITING = {"cpu": "5m", "memory": "64Mi", "ephemeral-storage": "16Mi"}
"""Requests of a container that waits; it takes 18 MB."""
_WAITING_CPU_LIMIT = "100m"
"""Its CPU limit, where the others have one because a quota requires it."""


def pack_job(config: Config, observed: RoundObject, start: StartEvaluation, tasks: TaskSetStatus) -> Obj:
    """Return the Job that evaluates a model and the others of `start`. Raises ValueError if one was not admitted."""
    spec, uid, image = observed.spec, observed.meta.uid, observed.status.image or ""
    starts = (start, *start.others)
    seconds = spec.workload.deadline_seconds
    members, mounts = [], [mount("artifacts", TASKS_MOUNT, sub_path=task_set_path(uid), read_only=True)]
    for each in starts:
        model, results = f"{MODEL_MOUNT}/{each.key}", f"{RESULTS_MOUNT}/{each.key}"
        evaluation = EvaluateJob(
            run=run_of(spec, each.entry, tasks),
            model_dir=model,
            task_set_dir=TASKS_MOUNT,
            out_dir=results,
            memory_limits=limits_of(spec.admission),
        )
        members.append(PackMember(key=each.key, job=evaluation))
        mounts.append(mount("cache", model, sub_path=cached_directory(each.entry), read_only=True))
        mounts.append(mount("artifacts", results, sub_path=results_path(uid, each.key)))
    series, stall_seconds = observed.status.series, spec.workload.stall_seconds
    purpose = {ROUND_LABEL: observed.meta.name, KEY_LABEL: start.job_key, ATTEMPT_LABEL: str(start.attempt)}
    places = {f"{PACK_PREFIX}{each.key}": str(place) for place, each in enumerate(starts)}
    parts = JobParts(
        name=naming.round_job_name(observed.meta.name, key=start.job_key, attempt=start.attempt, series=series),
        image=image,
        component=Component.EVALUATE,
        labels=naming.labels(Component.EVALUATE, purpose | places | naming.series_label(series)),
        owner=owner_reference("EvalRound", observed.meta),
        document=PackJob(
            members=members,
            outcomes_dir=OUTCOMES_MOUNT,
            member_seconds=seconds,
            message_bytes=pack_messages_bytes(len(starts)),
        ),
        resources=resources_of(config, spec.workload),
        attempt_seconds=seconds * len(starts),
        max_attempts=1,  # what has failed is evaluated by Jobs of its own
        later=False,
        volumes=(
            claim("cache", config.cache.claim_name),
            claim("artifacts", config.artifacts.claim_name),
            {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": SHARED_MEMORY}},
            {"name": "outcomes", "emptyDir": {"sizeLimit": "8Mi"}},
        ),
        mounts=(*mounts, mount("shm", "/dev/shm"), _OUTCOMES),  # noqa: S108 - the pod's own
        env=({"name": STALL_SECONDS_KEY, "value": str(stall_seconds)},) if stall_seconds is not None else (),
        suspend=spec.workload.queue_name is not None,  # the queue sets it to false
        job_labels=queue_labels(spec.workload),
        scheduling=scheduling_of(spec.workload),
        ports=(PROGRESS,),
        containers=tuple(_outcome(config, image, each.key) for each in starts),
    )
    return job(config, parts)


def _outcome(config: Config, image: str, key: str) -> Obj:
    """Return the container that ends as the evaluation `key` does."""
    options = [f"--key={key}", f"--dir={OUTCOMES_MOUNT}", f"--termination-log={TERMINATION_LOG}"]
    limit = cpu_limit(_WAITING_CPU_LIMIT if config.jobs.evaluate.cpu_limit else "")
    return {
        "name": outcome_container(key),
        "image": image or config.images.evaluator,
        "imagePullPolicy": config.image_pull_policy,
        "command": ["bitagent-eval", "outcome", *options],
        "env": [*ENVIRONMENT],
        "resources": {"requests": dict(_WAITING), "limits": {"memory": _WAITING["memory"]} | limit},
        "securityContext": SECURITY,
        "terminationMessagePath": TERMINATION_LOG,
        "terminationMessagePolicy": "File",
        "volumeMounts": [_OUTCOMES],
    }
