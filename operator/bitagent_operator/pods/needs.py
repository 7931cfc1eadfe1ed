"""What a task-set pod must reach and know, read off the round's tasks: least power, decided before the pod exists.

Each place to go is a label, for which the chart has a network policy; a pod without such a label reaches nothing. Each key is one
environment variable that refers to one key of one Secret: the kubelet fills it in, the operator never sees it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bitagent_crds.fields import JobSecretKey
from bitagent_crds.jobs import alteration_key, source_key
from bitagent_crds.sources import TaskSource
from bitagent_crds.tasks import Tasks
from bitagent_operator.naming import Egress
from bitagent_operator.observed import Obj


@dataclass(frozen=True)
class Needs:
    """What is added to the pod."""

    labels: dict[str, str]
    env: tuple[Obj, ...]


def of(tasks: Tasks, *, hub: str) -> Needs:
    """The needs of these tasks; `hub` is the hub's address."""
    places = {place for source in tasks.sources for place in _places(source)}
    if any(alteration.rewrite is not None for alteration in tasks.alterations):
        places.add(Egress.REWRITER)
    env: list[Obj] = [{"name": "HF_ENDPOINT", "value": hub}] if Egress.HUB in places else []
    env += [_secret(variable, reference) for variable, reference in _keys(tasks)]
    return Needs(labels={place.value: "true" for place in sorted(places)}, env=tuple(env))


def _places(source: TaskSource) -> Iterator[Egress]:
    if source.hugging_face is not None:
        yield Egress.HUB
    if source.stream is not None or (source.jsonl is not None and source.jsonl.url is not None):
        yield Egress.WEB


def _keys(tasks: Tasks) -> Iterator[tuple[str, JobSecretKey]]:
    """Name of the variable and the Secret behind it, for what names a Secret."""
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


def _secret(variable: str, reference: JobSecretKey) -> Obj:
    return {"name": variable, "valueFrom": {"secretKeyRef": {"name": reference.name, "key": reference.key}}}
