"""The retention Job: the folders of all rounds of the artifact volume, and no network."""

from __future__ import annotations

from collections.abc import Sequence

from bitagent_crds.jobs import RetentionJob
from bitagent_crds.names import (
    ATTEMPT_LABEL,
    FINISHED_LABEL,
    KEY_LABEL,
    ROUND_LABEL,
    ROUNDS_FOLDER,
    ROUNDS_MOUNT,
    Component,
)
from bitagent_kube.objects import Obj
from bitagent_operator import naming
from bitagent_operator.config import Config
from bitagent_operator.manifests.job import JobParts, claim, job, mount, owner_reference, without_gpu
from bitagent_operator.observed.objects import RoundObject
from bitagent_operator.plan.files.repeated import finished_label
from bitagent_operator.plan.interface import StartRetention

ATTEMPT_SECONDS = 3600
"""Time of its pod, from when a node has accepted it: waiting for a node or a quota is not removing."""
PODS = 1
"""Pods of one Job; the operator waits before it creates the next Job, and says why."""
MAX_KNOWN = 4000
"""Rounds that a document names: an annotation has room for 256 KiB. With more, nothing of other rounds is removed."""


def retention_job(config: Config, observed: RoundObject, start: StartRetention, known: Sequence[str]) -> Obj:
    """Return the Job that records the end of a round and measures the volume, or that removes the round's files.

    `known`: uids of all rounds of the namespace. Raises ValueError if the round has not finished.
    """
    status = observed.status
    if status.finished_at is None:
        raise ValueError(f"EvalRound {observed.meta.name} has not finished")
    purpose = {
        ROUND_LABEL: observed.meta.name,
        KEY_LABEL: start.key,
        ATTEMPT_LABEL: str(start.attempt),
        FINISHED_LABEL: finished_label(status.finished_at),
    }
    parts = JobParts(
        name=naming.round_job_name(observed.meta.name, key=start.key, attempt=start.attempt),
        component=Component.RETENTION,
        labels=naming.labels(Component.RETENTION, purpose),
        owner=owner_reference("EvalRound", observed.meta),
        document=RetentionJob(
            rounds_dir=ROUNDS_MOUNT,
            round_uid=observed.meta.uid,
            namespace=config.namespace,
            archive=status.archive.digest if status.archive is not None else None,
            require_archive=config.archive is not None,
            tasks_only=observed.spec.tasks_only,
            remove=start.key == naming.REMOVE_KEY,
            known=sorted(known) if len(known) <= MAX_KNOWN else None,
        ),
        resources=without_gpu(config.jobs.archive),
        attempt_seconds=ATTEMPT_SECONDS,
        max_attempts=PODS,
        counts_removals=True,
        volumes=(claim("artifacts", config.artifacts.claim_name),),
        mounts=(mount("artifacts", ROUNDS_MOUNT, sub_path=ROUNDS_FOLDER),),
    )
    return job(config, parts)
