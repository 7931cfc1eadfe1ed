"""The archive Job: reads one round's files of the artifact volume, and reaches the archive alone."""

from __future__ import annotations

from bitagent_crds.evalround import EvalRoundStatus
from bitagent_crds.jobs import ArchiveJob
from bitagent_crds.leaderboard import LEADERBOARD_NAME
from bitagent_crds.names import (
    ATTEMPT_LABEL,
    CA_MOUNT,
    FINISHED_LABEL,
    KEY_LABEL,
    LEADERBOARD_MOUNT,
    ROUND_LABEL,
    ROUND_MOUNT,
    Component,
    leaderboard_config_map,
    round_path,
)
from bitagent_kube.objects import Obj
from bitagent_operator import naming
from bitagent_operator.config import Archive, Config
from bitagent_operator.manifests.job import JobParts, claim, job, mount, owner_reference, without_gpu
from bitagent_operator.observed.objects import RoundObject
from bitagent_operator.plan.files.repeated import finished_label
from bitagent_operator.plan.interface import StartArchive

ATTEMPT_SECONDS = 6 * 3600
"""Time of its pod, from when a node has accepted it: waiting for a node or a quota is not writing."""
PODS = 1
"""Pods of one Job; the operator waits before it creates the next Job, and says why."""
CA_KEY = "ca.crt"
KEYS = {"AWS_ACCESS_KEY_ID": "access-key-id", "AWS_SECRET_ACCESS_KEY": "secret-access-key"}
"""Keys of the Secret by the variable that the client reads."""


def archive_job(config: Config, archive: Archive, observed: RoundObject, start: StartArchive) -> Obj:
    """Return the Job that archives a finished round. Raises ValueError if it has not finished."""
    if observed.status.finished_at is None:
        raise ValueError(f"EvalRound {observed.meta.name} has not finished")
    purpose = {
        ROUND_LABEL: observed.meta.name,
        KEY_LABEL: naming.ARCHIVE_KEY,
        ATTEMPT_LABEL: str(start.attempt),
        FINISHED_LABEL: finished_label(observed.status.finished_at),
    }
    published = {"name": leaderboard_config_map(observed.meta.name), "optional": True}
    volumes = [claim("artifacts", config.artifacts.claim_name), {"name": "leaderboard", "configMap": published}]
    mounts = [
        mount("artifacts", ROUND_MOUNT, sub_path=round_path(observed.meta.uid), read_only=True),
        mount("leaderboard", LEADERBOARD_MOUNT, read_only=True),
    ]
    if archive.ca_config_map is not None:
        items = [{"key": CA_KEY, "path": CA_KEY}]
        volumes.append({"name": "ca", "configMap": {"name": archive.ca_config_map, "items": items}})
        mounts.append(mount("ca", CA_MOUNT, read_only=True))
    parts = JobParts(
        name=naming.round_job_name(observed.meta.name, key=naming.ARCHIVE_KEY, attempt=start.attempt),
        component=Component.ARCHIVE,
        labels=naming.labels(Component.ARCHIVE, purpose),
        owner=owner_reference("EvalRound", observed.meta),
        document=ArchiveJob(
            round=observed.meta.name,
            round_uid=observed.meta.uid,
            round_dir=ROUND_MOUNT,
            expected=_expected(observed.status),
            leaderboard=f"{LEADERBOARD_MOUNT}/{LEADERBOARD_NAME}",
            uri=start.uri,
            endpoint=archive.endpoint,
            region=archive.region,
            path_style=archive.path_style,
            ca_file=f"{CA_MOUNT}/{CA_KEY}" if archive.ca_config_map is not None else None,
        ),
        resources=without_gpu(config.jobs.archive),
        attempt_seconds=ATTEMPT_SECONDS,
        max_attempts=PODS,
        counts_removals=True,
        volumes=tuple(volumes),
        mounts=tuple(mounts),
        env=tuple(_variable(name, archive.secret_name, key) for name, key in KEYS.items()),
    )
    return job(config, parts)


def _expected(status: EvalRoundStatus) -> list[str]:
    """Return what the round has on the volume by its status: its task set, and the results that have a digest."""
    tasks = ["tasks/tasks.jsonl"] if status.task_set is not None else []
    keys = {r.key for r in status.results if r.result_digest is not None and r.key is not None}
    return [*tasks, *(f"results/{key}" for key in sorted(keys))]


def _variable(name: str, secret: str, key: str) -> Obj:
    """Return a variable that the kubelet fills in; the operator never reads the Secret."""
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}
