"""The task-set Job: reads the sources and writes the round's task set. It has the network and the secrets that its spec names, else none."""

from __future__ import annotations

from bitagent_crds.jobs import TaskSetJob
from bitagent_crds.layout import SOURCES_MOUNT, TASKS_MOUNT, task_set
from bitagent_operator import naming
from bitagent_operator.config import Config
from bitagent_operator.naming import Component
from bitagent_operator.observed import Obj, RoundObject
from bitagent_operator.pods import needs
from bitagent_operator.pods.common import JobParts, claim, job, mount, owner_reference, without_gpu

DEADLINE_SECONDS = 3600
PODS = 6
"""Pods that may fail: with the Job's back-off, a hub or a rewriter may be away for about five minutes, the time a large model takes to load."""


def build(config: Config, observed: RoundObject, attempt: int) -> Obj:
    """The Job that builds the task set of a round."""
    volumes = [claim("tasks", config.artifacts.claim_name)]
    mounts = [mount("tasks", TASKS_MOUNT, sub_path=task_set(observed.meta.uid))]
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
    needed = needs.of(observed.spec.tasks, hub=config.hub.endpoint)
    parts = JobParts(
        name=naming.round_job(observed.meta.name, key=naming.TASKS_KEY, attempt=attempt),
        component=Component.TASK_SET,
        labels=naming.labels(Component.TASK_SET, round=observed.meta.name, key=naming.TASKS_KEY, attempt=str(attempt))
        | needed.labels,
        owner=owner_reference("EvalRound", observed.meta),
        document=TaskSetJob(tasks=observed.spec.tasks, files=files, out_dir=TASKS_MOUNT),
        resources=without_gpu(config.jobs.task_set),
        deadline_seconds=DEADLINE_SECONDS,
        max_attempts=PODS,
        volumes=tuple(volumes),
        mounts=tuple(mounts),
        env=needed.env,
    )
    return job(config, parts)
