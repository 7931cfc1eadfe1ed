"""What was read of a cluster: each part, or why it could not be read. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

from bitagent_kube.objects import Obj

T = TypeVar("T")


@dataclass(frozen=True)
class Read(Generic[T]):
    """A part of a cluster."""

    value: T
    """What was read; something empty if it was not."""
    refused: str = ""
    """Why it could not be read; empty if it was."""


Objects = Read[Sequence[Obj]]
NONE: Objects = Read(())


@dataclass(frozen=True)
class Right:
    """One right of the operator, or of the person at the terminal."""

    group: str
    resource: str
    """With its subresource after a slash."""
    verb: str
    allowed: bool


@dataclass(frozen=True)
class Probed:
    """How a probe ended."""

    open: bool | None
    """Whether it reached its destination; None if it could not be tried."""
    message: str


@dataclass(frozen=True)
class Seen:
    """All that is known of a cluster and one of its namespaces."""

    namespace: str
    now: datetime
    server_version: str = ""
    definitions: Mapping[str, Read[Obj | None]] = field(default_factory=dict)
    """CustomResourceDefinitions by plural; None: there is none."""
    served: bool = True
    """Whether the API server serves the kinds."""
    config: Read[Obj | None] = Read(None)
    """The operator's configuration; None: the namespace has none."""
    deployments: Objects = NONE
    """Deployments of operators."""
    page: Objects = NONE
    """Deployments of the public page."""
    lease: Read[Obj | None] = Read(None)
    operator_rights: Read[Sequence[Right]] = Read(())
    own_rights: Read[Sequence[Right]] = Read(())
    classes: Objects = NONE
    claims: Objects = NONE
    nodes: Objects = NONE
    space: Read[Obj | None] = Read(None)
    """The namespace itself."""
    pods: Objects = NONE
    policies: Objects = NONE
    objects: Mapping[str, Objects] = field(default_factory=dict)
    """Objects of the three kinds, by plural."""
    policies_probe: Probed | None = None
    """A pod under a policy that denies all; None: not tried."""
    control_probe: Probed | None = None
    """The same pod without the policy."""
    hub_probe: Probed | None = None
