"""The task-set Job: builds a round's task set, with only the network and the Secrets that the spec names.

Each destination is a label, for which the chart has a network policy; a pod without such a label reaches nothing. Each
key is one environment variable that refers to one key of one Secret.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bitagent_crds.fields import JobSecretKey
from bitagent_crds.jobs import OPERATOR_KEYS, RewriterAddress, TaskSetJob, alteration_key, source_key
from bitagent_crds.names import (
    ATTEMPT_LABEL,
    KEY_LABEL,
    REWRITER_LABEL,
    ROUND_LABEL,
    SOURCES_MOUNT,
    TASKS_MOUNT,
    Component,
    Egress,
    task_set_path,
)
from bitagent_crds.tasks import Tasks, TaskSource
from bitagent_kube.objects import Obj
from bitagent_operator import naming
from bitagent_operator.config import Config, Hub
from bitagent_operator.manifests.job import JobParts, claim, job, mount, owner_reference, secret_variable, without_gpu
from bitagent_operator.observed.objects import RoundObject

ATTEMPT_SECONDS = 3600
"""Time of one pod, from when a node has accepted it: waiting for a node, a quota or a class is not building."""
PODS = 6
"""Pods that may fail: with the Job's back-off, a hub or a rewriter may be unavailable for about five minutes,
for example while it loads a large model."""


def task_set_job(
    config: Config, observed: RoundObject, attempt: int, *, rewriter: RewriterAddress | None = None
) -> Obj:
    """Return the Job that builds the task set of a round. `rewriter`: that of its Validator, if the round needs it."""
    volumes = [claim("tasks", config.artifacts.claim_name)]
    mounts = [mount("tasks", TASKS_MOUNT, sub_path=task_set_path(observed.meta.uid))]
    files: dict[str, str] = {}
    for index, source in enumerate(observed.spec.tasks.sources):
        if source.jsonl is None or source.jsonl.url is not None:
            continue
        name, folder = f"source-{index}", f"{SOURCES_MOUNT}/{index}"
        if source.jsonl.config_map is not None:
            key = source.jsonl.config_map.key
            items = [{"key": key, "path": key}]
            volumes.append({"name": name, "configMap": {"name": source.jsonl.config_map.name, "items": items}})
            files[str(index)] = f"{folder}/{key}"
        elif source.jsonl.volume is not None:
            volumes.append(claim(name, source.jsonl.volume.claim_name, read_only=True))
            files[str(index)] = f"{folder}/{source.jsonl.volume.path}"
        mounts.append(mount(name, folder, read_only=True))
    needs = needs_of(observed.spec.tasks, hub=config.hub)
    purpose = {ROUND_LABEL: observed.meta.name, KEY_LABEL: naming.TASKS_KEY, ATTEMPT_LABEL: str(attempt)}
    purpose |= naming.series_label(observed.status.series)
    if observed.rewriter and any(each.rewrite is not None for each in observed.spec.tasks.alterations):
        purpose[REWRITER_LABEL] = observed.rewriter
    parts = JobParts(
        name=naming.round_job_name(
            observed.meta.name, key=naming.TASKS_KEY, attempt=attempt, series=observed.status.series
        ),
        image=observed.status.image or "",
        component=Component.TASK_SET,
        labels=naming.labels(Component.TASK_SET, purpose) | needs.labels,
        owner=owner_reference("EvalRound", observed.meta),
        document=TaskSetJob(
            tasks=observed.spec.tasks,
            evaluation=observed.spec.evaluation,
            rewriter=rewriter,
            files=files,
            out_dir=TASKS_MOUNT,
        ),
        resources=without_gpu(config.jobs.task_set),
        attempt_seconds=ATTEMPT_SECONDS,
        max_attempts=PODS,
        counts_removals=True,
        volumes=tuple(volumes),
        mounts=tuple(mounts),
        env=needs.env,
    )
    return job(config, parts)


@dataclass(frozen=True)
class Needs:
    """The network and the keys that a task-set pod needs: labels and environment variables."""

    labels: dict[str, str]
    env: tuple[Obj, ...]


def needs_of(tasks: Tasks, *, hub: Hub) -> Needs:
    """Return the needs of these tasks; a source on the hub without a token of its own has the operator's, if any."""
    places = {place for source in tasks.sources for place in _places(source)}
    if any(alteration.rewrite is not None for alteration in tasks.alterations):
        places.add(Egress.REWRITER)
    env: list[Obj] = [{"name": "HF_ENDPOINT", "value": hub.endpoint}] if Egress.HUB in places else []
    env += [secret_variable(variable, reference) for variable, reference in _keys(tasks)]
    return Needs(
        labels={place.value: "true" for place in sorted(places)},
        env=(*env, *_operator_keys(tasks, hub.token_secret_ref)),
    )


def _operator_keys(tasks: Tasks, token: JobSecretKey | None) -> Iterator[Obj]:
    """Yield the variables of the sources on the hub that name no token: the operator's."""
    without = [
        index
        for index, source in enumerate(tasks.sources)
        if source.hugging_face is not None and source.hugging_face.token_secret_ref is None
    ]
    if token is None or not without:
        return
    yield from (secret_variable(source_key(index), token) for index in without)
    yield {"name": OPERATOR_KEYS, "value": ",".join(map(str, without))}


def _places(source: TaskSource) -> Iterator[Egress]:
    if source.hugging_face is not None:
        yield Egress.HUB
    if source.stream is not None or (source.jsonl is not None and source.jsonl.url is not None):
        yield Egress.WEB


def _keys(tasks: Tasks) -> Iterator[tuple[str, JobSecretKey]]:
    """Yield variables and the Secret keys behind them, for every source and alteration that names a Secret."""
    for index, source in enumerate(tasks.sources):
        wandb = source.stream.wandb if source.stream is not None else None
        for reference in (
            source.hugging_face.token_secret_ref if source.hugging_face is not None else None,
            wandb.api_key_secret_ref if wandb is not None else None,
        ):
            if reference is not None:
                yield source_key(index), reference
    for index, alteration in enumerate(tasks.alterations):
        if alteration.rewrite is not None and alteration.rewrite.api_key_secret_ref is not None:
            yield alteration_key(index), alteration.rewrite.api_key_secret_ref
