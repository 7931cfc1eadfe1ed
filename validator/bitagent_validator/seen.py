"""API objects as the validator's own data."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from pydantic import ValidationError

from bitagent_crds.evalround import EvalRound, ModelResult
from bitagent_crds.rounds import COMPETITION_LABEL, EPOCH_LABEL
from bitagent_crds.schema import API_VERSION
from bitagent_crds.validator import ValidatorSpec
from bitagent_validator.kube import Obj
from bitagent_validator.rounds import BLOCK_ANNOTATION, Outcome, SeenRound
from bitagent_validator.scores import is_complete, is_finished

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Round:
    """An EvalRound that carries this validator's label."""

    name: str
    uid: str
    owner: str
    """The uid of the Validator that made it; empty when nobody is named."""
    competition: str
    epoch: int
    """0 when the label is not a number."""
    block: int
    """The first block of its epoch; 0 when the annotation is not a number."""
    content: EvalRound | None
    """None when the object does not read as this version's EvalRound."""

    @property
    def outcome(self) -> Outcome:
        """How far it is. One that cannot be read is unfinished: neither paid from, nor deleted, nor run over."""
        if self.content is None or not is_finished(self.content):
            return Outcome.UNFINISHED
        return Outcome.COMPLETE if is_complete(self.content) else Outcome.FAILED

    @property
    def progress(self) -> str:
        """`done/selected`, for people."""
        return self.content.status.progress if self.content and self.content.status else ""

    @property
    def results(self) -> list[ModelResult]:
        """One a model; none before the set of models is frozen."""
        return self.content.status.results if self.content and self.content.status else []

    def seen(self) -> SeenRound:
        """What the planner needs of it."""
        return SeenRound(self.name, self.epoch, self.block, self.outcome)


def parse_round(obj: Obj) -> Round:
    """Read an EvalRound."""
    metadata = obj["metadata"]
    labels = metadata.get("labels") or {}
    try:
        content = EvalRound.model_validate({key: obj[key] for key in ("spec", "status") if key in obj})
    except ValidationError as error:
        log.error("EvalRound %s does not read as this version's: %s", metadata["name"], error)
        content = None
    return Round(
        name=metadata["name"],
        uid=metadata["uid"],
        owner=next((o["uid"] for o in metadata.get("ownerReferences") or [] if o.get("controller")), ""),
        competition=labels.get(COMPETITION_LABEL, ""),
        epoch=_number(labels.get(EPOCH_LABEL)),
        block=_number((metadata.get("annotations") or {}).get(BLOCK_ANNOTATION)),
        content=content,
    )


def _number(text: str | None) -> int:
    return int(text) if text and text.isdecimal() else 0


@dataclass(frozen=True)
class ValidatorObject:
    """The Validator object that this process serves."""

    name: str
    namespace: str
    uid: str
    generation: int
    spec: ValidatorSpec | None
    """None when the object does not read as this version's Validator."""
    status: Obj

    @property
    def owner_reference(self) -> Obj:
        """What makes an object go when the Validator goes."""
        return {
            "apiVersion": API_VERSION,
            "kind": "Validator",
            "name": self.name,
            "uid": self.uid,
            "controller": True,
        }


def parse_self(obj: Obj) -> ValidatorObject:
    """Read the Validator."""
    metadata = obj["metadata"]
    try:
        spec = ValidatorSpec.model_validate(obj["spec"])
    except ValidationError as error:
        log.error("Validator %s does not read as this version's: %s", metadata["name"], error)
        spec = None
    return ValidatorObject(
        name=metadata["name"],
        namespace=metadata["namespace"],
        uid=metadata["uid"],
        generation=int(metadata.get("generation", 0)),
        spec=spec,
        status=obj.get("status") or {},
    )
