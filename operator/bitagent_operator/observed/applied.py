"""What was applied for each Validator and read about it, so that a pass in which nothing is new makes no request.

An object is applied when what is desired has changed, or when it is no longer as it was after the last time: somebody
changed it. The two are compared by hashes, so that it does not matter how the API server writes what it was given. What
is watched is compared at once; everything else is read again after a while. No I/O; a new process applies once.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from bitagent_crds.names import short_hash
from bitagent_kube.objects import Obj, ObjectMeta

_METADATA = ("uid", "labels", "ownerReferences")
"""The metadata that is ours. Annotations of a Deployment are written by its controller, too."""
FIRST_READ = timedelta(seconds=5)
"""Age of a pod without a running container at which its Events are read."""
LONGEST_PAUSE = timedelta(minutes=5)
"""Longest time between two reads of a pod's Events."""


class ApplyStep(StrEnum):
    """What to do about one object."""

    APPLY = "Apply"
    READ = "Read"
    """Read it, and apply it if it has changed."""
    NOTHING = "Nothing"


@dataclass(frozen=True, slots=True)
class Applied:
    """An object after it was applied or read."""

    desired: str
    """Hash of what was applied."""
    state: str
    """Hash of the object as it was then, without its status."""
    uid: str
    generation: int
    at: datetime
    """When it was applied or read last."""


@dataclass(frozen=True, slots=True)
class MountFailures:
    """Messages of a pod's FailedMount Events, newest first."""

    pod: str
    """uid of the pod."""
    at: datetime
    """When they were read."""
    messages: tuple[str, ...]


@dataclass
class Memory:
    """What is known about the objects of all Validators, by the Validator's name."""

    applied: dict[str, dict[tuple[str, str], Applied]] = field(default_factory=lambda: defaultdict(dict))
    """By kind and name of the object."""
    mounts: dict[str, MountFailures] = field(default_factory=dict)

    def forget(self, owner: str) -> None:
        """Forget a Validator that is gone."""
        self.applied.pop(owner, None)
        self.mounts.pop(owner, None)

    def forget_object(self, owner: str, kind: str, name: str) -> None:
        """Forget an object that was deleted."""
        self.applied[owner].pop((kind, name), None)

    def known(self, owner: str, obj: Obj) -> Applied | None:
        """Return what is known about an object."""
        return self.applied[owner].get((obj["kind"], obj["metadata"]["name"]))

    def record(self, owner: str, desired: Obj, observed: Obj, *, now: datetime) -> None:
        """Remember an object that was applied, or read and found as it was."""
        metadata = observed["metadata"]
        self.applied[owner][desired["kind"], desired["metadata"]["name"]] = Applied(
            desired=hash_of(desired),
            state=state_of(observed),
            uid=metadata["uid"],
            generation=metadata.get("generation", 0),
            at=now,
        )


def hash_of(obj: Obj) -> str:
    """Return a hash of an object's content."""
    return short_hash(json.dumps(obj, sort_keys=True), digits=32)


def state_of(obj: Obj) -> str:
    """Return a hash of all of an object that only an apply of ours should change."""
    metadata = {name: obj["metadata"].get(name) for name in _METADATA}
    return hash_of({k: v for k, v in obj.items() if k not in ("metadata", "status")} | {"metadata": metadata})


def next_step(
    desired: Obj, known: Applied | None, *, watched: bool, observed: ObjectMeta | None, now: datetime, every: timedelta
) -> ApplyStep:
    """Return what to do about an object now.

    `watched`: whether its kind is; `observed` is then its present metadata. Others, and what a watch does not compare,
    are read after `every`.
    """
    if known is None or known.desired != hash_of(desired):
        return ApplyStep.APPLY
    if watched and (observed is None or (observed.uid, observed.generation) != (known.uid, known.generation)):
        return ApplyStep.APPLY
    return ApplyStep.READ if now - known.at >= every else ApplyStep.NOTHING


def pause_before_read(age: timedelta) -> timedelta:
    """Return the time until the Events of a pod of this age are read the next time: they are rarer when it is old."""
    return max(FIRST_READ, min(age, LONGEST_PAUSE))


def still_current(read: MountFailures, *, pod: str, created: datetime, now: datetime) -> bool:
    """Whether a pod's Events were read so recently that they need not be read now."""
    return read.pod == pod and now - read.at < pause_before_read(read.at - created)
