"""Observed Kubernetes objects: frozen, with only what decisions need (managed fields alone can be half of an object).

`parse` functions take an object as the API server sent it. They raise ValueError (pydantic's) for a spec or status of
another version.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from pydantic import ValidationError

from bitagent_crds.evalround import EvalRoundSpec, EvalRoundStatus
from bitagent_crds.minermodel import MinerModelSpec, MinerModelStatus
from bitagent_crds.names import (
    BLOCK_SECONDS_ANNOTATION,
    CREATED_BLOCK_ANNOTATION,
    REWRITER_LABEL,
    VALIDATOR_LABEL,
)
from bitagent_crds.rewriter import RewriterStatus
from bitagent_crds.schema import Model
from bitagent_crds.status import Condition
from bitagent_crds.validator import ValidatorSpec
from bitagent_kube.cache import said
from bitagent_kube.conditions import parse_conditions
from bitagent_kube.objects import Obj, ObjectMeta
from bitagent_operator.observed.compact import compact

M = TypeVar("M", bound=Model)
SpecT = TypeVar("SpecT", bound=Model)
StatusT = TypeVar("StatusT", bound=Model)


def changed(model: M, **changes: object) -> M:
    """Return a validated copy with these fields changed, or the model itself if it has these values already.

    Raises ValueError if the copy is invalid.
    """
    if all(getattr(model, name) == value for name, value in changes.items()):
        return model
    return type(model)(**{**dict(model), **changes})


def _custom_resource(obj: Obj, spec: type[SpecT], status: type[StatusT]) -> tuple[ObjectMeta, SpecT, StatusT]:
    """Parse metadata, spec and status of a custom resource; a status that was never written is the default one."""
    return ObjectMeta.parse(obj), _part(obj, "spec", spec), _part(obj, "status", status)


class UnreadableError(ValueError):
    """Raised for an object of another version; the message names the field."""


def _part(obj: Obj, name: str, kind: type[M]) -> M:
    """Read the spec or the status of an object. Raises UnreadableError."""
    try:
        return compact(kind.model_validate(obj.get(name) or {}))
    except ValidationError as error:
        raise UnreadableError(f"{name}.{said(error)}") from error


@dataclass(frozen=True, slots=True)
class ModelObject:
    """A MinerModel."""

    meta: ObjectMeta
    spec: MinerModelSpec
    status: MinerModelStatus

    @classmethod
    def parse(cls, obj: Obj) -> ModelObject:
        """Parse a MinerModel."""
        return cls(*_custom_resource(obj, MinerModelSpec, MinerModelStatus))


@dataclass(frozen=True, slots=True)
class ChainClock:
    """A chain's block at one time, by which other times become blocks."""

    block: int
    at: datetime
    block_seconds: float

    def block_at(self, moment: datetime) -> float:
        """Return the block of a moment, as if blocks came at equal intervals."""
        return self.block + (moment - self.at).total_seconds() / self.block_seconds

    @classmethod
    def parse(cls, meta: ObjectMeta, annotations: Mapping[str, str]) -> ChainClock | None:
        """Read the clock of a Validator's round; None for a round of a person, or with annotations of one."""
        try:
            block, seconds = int(annotations[CREATED_BLOCK_ANNOTATION]), float(annotations[BLOCK_SECONDS_ANNOTATION])
        except (KeyError, ValueError):
            return None
        return cls(block, meta.created, seconds) if seconds > 0 else None


@dataclass(frozen=True, slots=True)
class RoundObject:
    """An EvalRound."""

    meta: ObjectMeta
    spec: EvalRoundSpec
    status: EvalRoundStatus
    clock: ChainClock | None = None
    """Of the chain on whose behalf a Validator created the round."""

    @property
    def rewriter(self) -> str:
        """Name of the Validator whose rewriter the round may use: its own, or the one that a person named; or empty."""
        return self.meta.labels.get(VALIDATOR_LABEL) or self.meta.labels.get(REWRITER_LABEL, "")

    @classmethod
    def parse(cls, obj: Obj) -> RoundObject:
        """Parse an EvalRound."""
        meta, spec, status = _custom_resource(obj, EvalRoundSpec, EvalRoundStatus)
        return cls(meta, spec, status, ChainClock.parse(meta, obj["metadata"].get("annotations") or {}))


@dataclass(frozen=True, slots=True)
class ValidatorObject:
    """A Validator. Of its status only what the operator writes is read, and what its pod reports of conditions,
    hotkey and weights."""

    meta: ObjectMeta
    spec: ValidatorSpec
    conditions: tuple[Condition, ...]
    rewriter: RewriterStatus | None = None
    observed_generation: int = 0
    hotkey: str | None = None
    """The account that the pod has reported; it names the Leases that the pod may take."""
    last_weights: Obj | None = None
    """The last weights that the chain accepted, as the pod has reported them."""

    @classmethod
    def parse(cls, obj: Obj) -> ValidatorObject:
        """Parse a Validator."""
        status = obj.get("status") or {}
        conditions = parse_conditions(status.get("conditions") or ())
        rewriter = _part(status, "rewriter", RewriterStatus) if status.get("rewriter") else None
        spec, seen = _part(obj, "spec", ValidatorSpec), int(status.get("observedGeneration") or 0)
        meta, reported = ObjectMeta.parse(obj), (status.get("hotkey"), status.get("lastWeights"))
        return cls(meta, spec, tuple(conditions), rewriter, seen, *reported)
