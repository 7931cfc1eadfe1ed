"""The fetch Job: its pod alone downloads models, with the token that the MinerModel names, and writes the cache."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from bitagent_crds.evalround import Admission
from bitagent_crds.fields import JobSecretKey
from bitagent_crds.jobs import CacheRoom, CommitmentCheck, FetchJob
from bitagent_crds.names import (
    ATTEMPT_LABEL,
    CACHE_MOUNT,
    COMMIT_LABEL,
    FACTS_LABEL,
    GENERATION_LABEL,
    MODEL_LABEL,
    NEED_LABEL,
    RESOLVE_LABEL,
    SINCE_LABEL,
    TEMPLATE_ANNOTATION,
    VERIFY_LABEL,
    VOLUME_MOUNT,
    Component,
)
from bitagent_kube.objects import Obj
from bitagent_operator import naming
from bitagent_operator.config import Config
from bitagent_operator.manifests.job import JobParts, claim, job, mount, owner_reference, secret_variable, without_gpu
from bitagent_operator.manifests.model_volume import cache_volume, same_node, volume_labels
from bitagent_operator.observed.objects import ModelObject
from bitagent_operator.observed.workloads import JobObject
from bitagent_operator.plan.identity import source_directory
from bitagent_operator.plan.interface import StartFetch

ATTEMPT_SECONDS = 6 * 3600
"""Time of one pod, from when a node has accepted it: waiting for a node, a quota or a slot is not downloading."""
PODS = 3
"""Pods of one Job; after them the operator waits and creates the next Job."""


def fetch_job(
    config: Config,
    model: ModelObject,
    start: StartFetch,
    room: CacheRoom,
    *,
    admissions: Sequence[Admission] | None = None,
) -> Obj:
    """Return the Job that resolves, checks and downloads a model.

    `room`: what it may remove from the cache; `admissions`: rules of all that will judge the model, if they are known.
    """
    hub, volume = model.spec.source.hugging_face, model.spec.source.volume
    token = token_of(config, model)
    document = FetchJob(
        repo=hub.repo if hub is not None else _volume_repo(model),
        revision=start.commit or hub.revision if hub is not None else "main",
        directory=f"{VOLUME_MOUNT}/{volume.path}" if volume is not None else None,
        cache_dir=CACHE_MOUNT,
        max_bytes=config.cache.max_model_bytes,
        cache_max_bytes=0 if config.cache.per_model else config.cache.max_bytes,
        resolve_only=start.resolve_only,
        facts_only=start.facts_only or None,
        admissions=list(admissions) if admissions and not start.resolve_only else None,
        verify=start.verify,
        operator_token=token is not None and hub is not None and hub.token_secret_ref is None,
        room=room,
        commitment=_commitment(model, start),
    )
    directory = _directory(config, model, start)
    volumes, mounts = [cache_volume(config, directory)], [mount("cache", CACHE_MOUNT)]
    if config.cache.per_model and not directory:
        volumes, mounts = [], []
    env: list[Obj] = [{"name": "HF_ENDPOINT", "value": config.hub.endpoint}]
    if volume is not None:
        volumes.append(claim("volume", volume.claim_name, read_only=True))
        mounts.append(mount("volume", VOLUME_MOUNT, read_only=True))
    if token is not None:
        env.append(secret_variable("HF_TOKEN", token))
    parts = JobParts(
        name=naming.fetch_job_name(model.meta.name, need=start.need, attempt=start.attempt),
        component=Component.FETCH,
        labels=naming.labels(
            Component.FETCH,
            {
                MODEL_LABEL: model.meta.name,
                GENERATION_LABEL: str(model.meta.generation),
                NEED_LABEL: start.need,
                ATTEMPT_LABEL: str(start.attempt),
                SINCE_LABEL: str(int(start.since.timestamp())),
            }
            | ({COMMIT_LABEL: start.commit} if start.commit is not None else {})
            | ({RESOLVE_LABEL: "true"} if start.resolve_only else {})
            | ({FACTS_LABEL: "true"} if start.facts_only else {})
            | ({VERIFY_LABEL: "true"} if start.verify else {})
            | (volume_labels(config, directory) if directory else {}),
        ),
        owner=owner_reference("MinerModel", model.meta),
        document=document,
        resources=without_gpu(config.jobs.fetch),
        attempt_seconds=ATTEMPT_SECONDS,
        max_attempts=PODS,
        counts_removals=True,
        later=True,
        volumes=tuple(volumes),
        mounts=tuple(mounts),
        env=tuple(env),
        beside=same_node(config, directory) if directory else (),
    )
    return job(config, parts)


def _directory(config: Config, model: ModelObject, start: StartFetch) -> str:
    """Return the directory of the model's own volume; empty for a Job that needs none, or where models share one."""
    if not config.cache.per_model or start.resolve_only or start.facts_only or start.commit is None:
        return ""
    return source_directory(model.spec.source, start.commit)


def token_of(config: Config, model: ModelObject) -> JobSecretKey | None:
    """Return the hub token of a model's fetches: its own, or else the operator's; None for a volume."""
    hub = model.spec.source.hugging_face
    if hub is None:
        return None
    return hub.token_secret_ref or config.hub.token_secret_ref


def fetch_templates(config: Config, model: ModelObject, jobs: Iterable[JobObject]) -> dict[str, str]:
    """Return, by uid, the digests of the pods that the unfinished fetch Jobs of the model would have now."""
    return {job.meta.uid: _template(config, model, job) for job in jobs if job.ended is None}


def _template(config: Config, model: ModelObject, job: JobObject) -> str:
    labels = job.meta.labels
    start = StartFetch(
        "need",
        datetime.fromtimestamp(0, UTC),
        1,
        labels.get(COMMIT_LABEL),
        resolve_only=RESOLVE_LABEL in labels,
        facts_only=FACTS_LABEL in labels,
    )
    digest: str = fetch_job(config, model, start, CacheRoom())["metadata"]["annotations"][TEMPLATE_ANNOTATION]
    return digest


def _volume_repo(model: ModelObject) -> str | None:
    """Return the name under which a volume model is cached, as in `names.cached_volume_model_path`."""
    volume = model.spec.source.volume
    return f"volume/{volume.claim_name}" if volume is not None else None


def _commitment(model: ModelObject, start: StartFetch) -> CommitmentCheck | None:
    """Return what the files are compared with; None if nothing is, or if none are fetched."""
    miner = model.spec.miner
    if miner is None or miner.commitment_hash is None or start.resolve_only or start.facts_only:
        return None
    return CommitmentCheck(hash=miner.commitment_hash, hotkey=miner.hotkey)
