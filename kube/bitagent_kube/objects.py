"""Plain data about Kubernetes objects: metadata, references, times, Event messages. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

Obj = dict[str, Any]
"""An object as the API server sends it."""

IMAGE_PULL_REASONS = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "RegistryUnavailable",
        "SignatureValidationFailed",
    }
)
"""Reasons of a container that waits for its image (kubelet, `pkg/kubelet/images/types.go`)."""


def parse_time(text: str | None) -> datetime | None:
    """Parse a `Time` or `MicroTime`, cut to the second; None and the empty string give None."""
    return None if not text else datetime.fromisoformat(text).astimezone(UTC).replace(microsecond=0)


def micro_time(moment: datetime) -> str:
    """Format a UTC time as `MicroTime`, the type of times in Leases and Events."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass(frozen=True, slots=True)
class ObjectMeta:
    """Metadata of any object."""

    name: str
    uid: str
    version: int
    """resourceVersion; larger is newer."""
    generation: int
    created: datetime
    deleting: bool
    labels: Mapping[str, str]
    owner_uid: str
    """uid of the controlling owner, or empty."""
    deletion: datetime | None = None
    """When it was to be gone, if it is being deleted: the time of the request and, for a pod, its grace period."""

    @classmethod
    def parse(cls, obj: Obj) -> ObjectMeta:
        """Read the metadata of an object."""
        m = obj["metadata"]
        return cls(
            name=m["name"],
            uid=m["uid"],
            version=version_of(obj),
            generation=m.get("generation", 0),
            created=parse_time(m.get("creationTimestamp")) or datetime.fromtimestamp(0, UTC),
            deleting="deletionTimestamp" in m,
            labels=m.get("labels") or {},
            owner_uid=owner_uid(obj),
            deletion=parse_time(m.get("deletionTimestamp")),
        )


def version_of(obj: Obj) -> int:
    """Return the resourceVersion as a number.

    Versions of one resource can be compared, see "Resource versions" in
    https://kubernetes.io/docs/reference/using-api/api-concepts/.
    """
    return int(obj["metadata"]["resourceVersion"])


def owner_uid(obj: Obj) -> str:
    """Return the uid of the controlling owner, or the empty string."""
    owners = obj["metadata"].get("ownerReferences") or ()
    return next((str(owner["uid"]) for owner in owners if owner.get("controller")), "")


@dataclass(frozen=True, slots=True)
class ObjectReference:
    """One object, identified beyond its name by its uid."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str

    def to_wire(self) -> Obj:
        """Return it as a core/v1 ObjectReference."""
        return {
            "apiVersion": self.api_version,
            "kind": self.kind,
            "namespace": self.namespace,
            "name": self.name,
            "uid": self.uid,
        }

    def as_owner(self) -> Obj:
        """Return it as a controlling ownerReference: what it owns is deleted with it."""
        owner = {"apiVersion": self.api_version, "kind": self.kind, "name": self.name, "uid": self.uid}
        return owner | {"controller": True}


@dataclass(frozen=True, slots=True)
class EventMessage:
    """Reason and text of one Event."""

    reason: str
    """CamelCase, at most 128 characters."""
    message: str
    warning: bool = False
