"""Kubernetes objects as the validator's own data: the Validator itself and its EvalRounds."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from pydantic import ValidationError

from bitagent_crds.conditions import ConditionStatus, ConditionType
from bitagent_crds.evalround import EvalRound, EvalRoundStatus
from bitagent_crds.leaderboard import Leaderboard, leaderboard_of
from bitagent_crds.model_result import FINAL_STATES, ModelResult, ResultState
from bitagent_crds.names import (
    COMPETITION_LABEL,
    EPOCH_BLOCK_ANNOTATION,
    EPOCH_LABEL,
    MECHANISMS,
    ONLINE_LABEL,
)
from bitagent_crds.schema import API_VERSION, is_later
from bitagent_crds.seeds import SeedFrom
from bitagent_crds.validator import Validator, ValidatorSpec
from bitagent_kube.conditions import find, holds
from bitagent_kube.objects import Obj, ObjectReference, owner_uid

log = logging.getLogger(__name__)

ACCEPT_WEIGHTS_ANNOTATION = "bitagent.io/accept-weights"
"""Annotation of a Validator by which a person accepts a row that `weights.guard` holds; with -M: of mechanism M."""
COMPLETE_STATES = FINAL_STATES - {ResultState.INFRA_FAULT, ResultState.NOT_EVALUATED}
"""States of the results of a round that is complete."""
_DIGITS = 15
"""Longest number of an epoch or a block: a status holds no larger one."""


class RoundPhase(Enum):
    """Progress of a round."""

    UNFINISHED = auto()
    COMPLETE = auto()
    """The scores are final and may be turned into weights."""
    FAILED = auto()
    """The round can never complete. One that reports Complete as well has failed: no weights from a partial round."""


@dataclass(frozen=True)
class Round:
    """An EvalRound that carries this validator's label."""

    name: str
    epoch: int
    """0 if the label is not a number."""
    block: int
    """The first block of its epoch; 0 if the annotation is not a number.

    Rounds are ordered by it: a changed schedule makes epoch numbers jump, but not blocks.
    """
    phase: RoundPhase
    """UNFINISHED if the object is not readable: such a round is neither scored, nor deleted, nor run again."""
    competition: str = ""
    uid: str = ""
    owner: str = ""
    """The uid of the Validator that created it; empty if it has no controller."""
    results: tuple[ModelResult, ...] = ()
    """One for each model; empty before the set of models is frozen."""
    baseline: str | None = None
    """Score of the best constant answer to its tasks; None if none is known."""
    seed_from: SeedFrom | None = None
    """Where its seed comes from; None if the seed is given, or the object is not readable."""
    frozen: bool = False
    """Whether its set of models is frozen."""
    models_fixed: bool = False
    """Whether each of its models also has a commit, or takes no part."""
    progress: str = ""
    """Finished and selected models, as in `3/5`."""
    leaderboard: Leaderboard | None = None
    """The public leaderboard; None if the round is not complete."""
    unarchived: bool = False
    """Whether the operator has an archive that does not hold its files yet."""
    tasks_only: bool = False
    """Whether it only builds tasks, which are asked online: it is not a round of the competition."""
    period: int | None = None
    """The period of such a one; None for any other round, and if its label is not a number."""
    task_set_digest: str = ""
    """Digest of its tasks; empty before they are built."""
    failure: str = ""
    """Why it has failed, in the operator's words."""
    readable: bool = True
    """Whether the object conforms to this version's EvalRound, and has no result in a state of a later one."""

    @property
    def key(self) -> str:
        """What identifies it in the state: its competition and uid."""
        return f"{self.competition}/{self.uid}"


def parse_round(obj: Obj) -> Round:
    """Parse an EvalRound; one that does not conform is logged and kept as not readable."""
    metadata = obj["metadata"]
    labels = metadata.get("labels") or {}
    try:
        content = EvalRound.model_validate({key: obj[key] for key in ("spec", "status") if key in obj})
    except ValidationError as error:
        log.error("EvalRound %s does not conform to this version's schema: %s", metadata["name"], error)
        content = None
    later = [r for r in content.status.results if is_later(r.state)] if content and content.status else []
    if later:
        text = "EvalRound %s: the state %s of %s is of a later version; what it is worth is not known"
        log.error(text, metadata["name"], later[0].state, later[0].model)
        content = None
    status = content.status if content else None
    return Round(
        name=metadata["name"],
        epoch=_number(labels.get(EPOCH_LABEL)),
        block=_number((metadata.get("annotations") or {}).get(EPOCH_BLOCK_ANNOTATION)),
        phase=_phase(status),
        competition=labels.get(COMPETITION_LABEL, ""),
        uid=metadata["uid"],
        owner=owner_uid(obj),
        results=tuple(status.results) if status else (),
        baseline=status.task_set.baseline if status and status.task_set else None,
        seed_from=content.spec.tasks.seed_from if content else None,
        frozen=status is not None and status.started_at is not None,
        models_fixed=status is not None and status.models_fixed,
        progress=status.progress if status else "",
        leaderboard=_leaderboard(metadata, content),
        unarchived=_is_unarchived(status),
        tasks_only=ONLINE_LABEL in labels or (content is not None and content.spec.tasks_only),
        period=_number(labels[ONLINE_LABEL]) if ONLINE_LABEL in labels else None,
        task_set_digest=status.task_set.digest if status and status.task_set else "",
        failure=failed.message if status and (failed := find(status.conditions, ConditionType.FAILED)) else "",
        readable=content is not None,
    )


def _leaderboard(metadata: Obj, content: EvalRound | None) -> Leaderboard | None:
    status = content.status if content is not None else None
    if content is None or status is None or status.finished_at is None or _phase(status) is not RoundPhase.COMPLETE:
        return None
    labels = metadata.get("labels") or {}
    return leaderboard_of(name=metadata["name"], uid=metadata["uid"], labels=labels, spec=content.spec, status=status)


def _is_unarchived(status: EvalRoundStatus | None) -> bool:
    archived = find(status.conditions, ConditionType.ARCHIVED) if status else None
    return archived is not None and archived.status is not ConditionStatus.TRUE


def _phase(status: EvalRoundStatus | None) -> RoundPhase:
    conditions = status.conditions if status else []
    if holds(conditions, ConditionType.FAILED):
        return RoundPhase.FAILED
    if not holds(conditions, ConditionType.COMPLETE):
        return RoundPhase.UNFINISHED
    # Whatever its condition says: a round with a result that is not final is a partial one.
    partial = any(result.state not in COMPLETE_STATES for result in (status.results if status else ()))
    return RoundPhase.FAILED if partial else RoundPhase.COMPLETE


def _number(text: str | None) -> int:
    return int(text) if text and text.isdecimal() and len(text) <= _DIGITS else 0


@dataclass(frozen=True)
class ValidatorObject:
    """The Validator object that this process serves."""

    name: str
    namespace: str
    uid: str
    generation: int
    spec: ValidatorSpec | None
    """None if the object does not conform to this version's Validator."""
    status: Obj
    accepts: Mapping[int | None, str] = field(default_factory=dict)
    """What its annotations say about rows that `weights.guard` holds, by mechanism; None: that without a number."""

    @property
    def reference(self) -> ObjectReference:
        """A reference to the Validator: for its Events, and for what it owns."""
        return ObjectReference(API_VERSION, Validator.crd.kind, self.namespace, self.name, self.uid)


def parse_validator(obj: Obj) -> ValidatorObject:
    """Parse the Validator; a spec that does not conform is logged and left out."""
    metadata = obj["metadata"]
    try:
        spec = ValidatorSpec.model_validate(obj["spec"])
    except ValidationError as error:
        log.error("Validator %s does not conform to this version's schema: %s", metadata["name"], error)
        spec = None
    return ValidatorObject(
        name=metadata["name"],
        namespace=metadata["namespace"],
        uid=metadata["uid"],
        generation=int(metadata.get("generation", 0)),
        spec=spec,
        status=obj.get("status") or {},
        accepts=_accepts(metadata.get("annotations") or {}),
    )


def _accepts(annotations: Mapping[str, object]) -> dict[int | None, str]:
    found: dict[int | None, str] = {
        number: str(annotations[name])
        for number in range(MECHANISMS)
        if (name := f"{ACCEPT_WEIGHTS_ANNOTATION}-{number}") in annotations
    }
    if ACCEPT_WEIGHTS_ANNOTATION in annotations:
        found[None] = str(annotations[ACCEPT_WEIGHTS_ANNOTATION])
    return found
