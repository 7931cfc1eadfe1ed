"""The fetch Job: the only pod that reaches the hub for models, with the token that the MinerModel names, and the only one that writes the cache."""

from __future__ import annotations

from bitagent_crds.jobs import FetchJob
from bitagent_crds.layout import CACHE_MOUNT, VOLUME_MOUNT
from bitagent_operator import naming
from bitagent_operator.config import Config
from bitagent_operator.naming import Component
from bitagent_operator.observed import ModelObject, Obj
from bitagent_operator.plan.fetches import Fetch
from bitagent_operator.pods.common import JobParts, claim, job, mount, owner_reference, without_gpu

DEADLINE_SECONDS = 6 * 3600
PODS = 3
"""Pods of one Job; then the operator waits and makes the next one."""


def build(config: Config, model: ModelObject, fetch: Fetch) -> Obj:
    """The Job that resolves, judges and downloads a model."""
    hub, volume = model.spec.source.hugging_face, model.spec.source.volume
    document = FetchJob(
        repo=hub.repo if hub is not None else _volume_repo(model),
        revision=hub.revision if hub is not None else "main",
        directory=f"{VOLUME_MOUNT}/{volume.path}" if volume is not None else None,
        cache_dir=CACHE_MOUNT,
        max_bytes=config.cache.max_model_bytes,
        cache_max_bytes=config.cache.max_bytes,
    )
    volumes, mounts = [claim("cache", config.cache.claim_name)], [mount("cache", CACHE_MOUNT)]
    env: list[Obj] = [{"name": "HF_ENDPOINT", "value": config.hub.endpoint}]
    if volume is not None:
        volumes.append(claim("volume", volume.claim_name, read_only=True))
        mounts.append(mount("volume", VOLUME_MOUNT, read_only=True))
    if hub is not None and hub.token_secret_ref is not None:
        secret = {"name": hub.token_secret_ref.name, "key": hub.token_secret_ref.key}
        env.append({"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": secret}})
    parts = JobParts(
        name=naming.fetch_job(model.meta.name, need=fetch.need, attempt=fetch.attempt),
        component=Component.FETCH,
        labels=naming.labels(
            Component.FETCH,
            model=model.meta.name,
            generation=str(model.meta.generation),
            need=fetch.need,
            attempt=str(fetch.attempt),
            since=str(int(fetch.since.timestamp())),
        ),
        owner=owner_reference("MinerModel", model.meta),
        document=document,
        resources=without_gpu(config.jobs.fetch),
        deadline_seconds=DEADLINE_SECONDS,
        max_attempts=PODS,
        volumes=tuple(volumes),
        mounts=tuple(mounts),
        env=tuple(env),
    )
    return job(config, parts)


def _volume_repo(model: ModelObject) -> str | None:
    """What stands for the repository in the cache: `layout.cached_volume_model` is `layout.cached_model` of it."""
    volume = model.spec.source.volume
    return f"volume/{volume.claim_name}" if volume is not None else None
