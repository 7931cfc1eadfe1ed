"""The last fetch of a model, whether its result is valid for a round, and the next fetch.

A commit never changes: once fetched, it stays fetched until an evaluation failed that may have missed its files, and
its fault remains until the spec changes. A branch, a tag or a directory may change, and a repository that the hub does
not show may become visible: each round that starts needs a new fetch, unless the last one was just before. After an
infrastructure fault the next round fetches again.

A round whose seed is not known yet fixes the commit of each model first (see `resolution`) and needs the files of that
commit, whatever the MinerModel names by then. In a cache of bounded size every round also needs a recent proof that the
files are still there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from bitagent_crds.admission import refuse
from bitagent_crds.conditions import ConditionStatus, ConditionType, Fault, Reason
from bitagent_crds.evalround import Admission
from bitagent_crds.minermodel import MinerModelSpec, MinerModelStatus
from bitagent_crds.model_result import FINAL_STATES, ModelResult, ResultState
from bitagent_crds.names import short_hash
from bitagent_crds.schema import is_later
from bitagent_kube.conditions import find
from bitagent_operator.observed.objects import ModelObject, RoundObject
from bitagent_operator.plan.identity import origin
from bitagent_operator.plan.interface import StartFetch

RECENT = timedelta(seconds=60)
"""A fetch this short before a round's start counts as the round's own: models are often applied with the round."""
PRESENT = timedelta(minutes=30)
"""A fetch this short before a round's start proves that the files are there when it starts: a cache of bounded size
removes no model that was used within the hour, and none that a running round has yet to evaluate."""
_COMMIT = re.compile(r"^[0-9a-f]{40}$")
_MISSING_FILES = frozenset({Reason.INFRASTRUCTURE_FAULT, Reason.MODEL_FILES_MISSING})
"""Reasons of an evaluation that failed because the model's files were missing, or among other causes may have."""
BY_ADMISSION = frozenset(
    {
        Reason.ARCHITECTURE_NOT_ALLOWED,
        Reason.TOO_MANY_PARAMETERS,
        Reason.REPOSITORY_TOO_LARGE,
        Reason.LICENSE_NOT_ALLOWED,
        Reason.NO_CHAT_TEMPLATE,
        Reason.TOKENIZER_NOT_ALLOWED,
    }
)
"""Why files are not fetched that no round would admit."""
_NEVER = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True)
class FetchResult:
    """Result of the last fetch of the present spec."""

    fetched: bool
    reason: Reason
    message: str
    at: datetime
    """When the revision was resolved, or the fetch failed."""

    @property
    def infrastructure(self) -> bool:
        """Whether the last fetch failed for an infrastructure reason."""
        return not self.fetched and self.reason.fault is Fault.INFRASTRUCTURE


def fetch_result(status: MinerModelStatus, *, generation: int) -> FetchResult | None:
    """Return the recorded result of the last fetch for this generation of the spec; None while there is none."""
    fetched, resolved = find(status.conditions, ConditionType.FETCHED), status.resolved
    if fetched is None or fetched.observed_generation != generation or fetched.status == ConditionStatus.UNKNOWN:
        return None
    if fetched.status == ConditionStatus.FALSE and is_later(fetched.reason):
        return None  # a later version's verdict, whose meaning this one does not know: the fetch is made again
    if fetched.status == ConditionStatus.FALSE:
        return FetchResult(False, fetched.reason, fetched.message, fetched.last_transition_time)
    return None if resolved is None else FetchResult(True, fetched.reason, fetched.message, resolved.at)


def named_commit(spec: MinerModelSpec) -> str | None:
    """Return the commit that the source names, which cannot change; None for a branch, a tag or a directory."""
    hub = spec.source.hugging_face
    return hub.revision if hub is not None and _COMMIT.match(hub.revision) else None


def recent_enough(
    result: FetchResult, spec: MinerModelSpec, *, started: datetime, cache_is_bounded: bool = False
) -> bool:
    """Whether the result is valid for a round that started at `started`."""
    if result.infrastructure:
        return result.at >= started
    if result.fetched and cache_is_bounded and result.at < started - PRESENT:
        return False
    # Fault Spec: the hub does not show the repository or the revision, which may become visible later.
    lasting = named_commit(spec) is not None and result.reason.fault is not Fault.SPEC
    return lasting or result.at >= started - RECENT


def valid_for(
    model: ModelObject, result: FetchResult, commit: str, *, started: datetime, cache_is_bounded: bool
) -> bool:
    """Whether the result is about this commit, and valid for a round that fixed it at `started` or later."""
    status = model.status
    if result.fetched:
        if status.resolved is None or status.resolved.commit != commit:
            # A directory that has changed since: no other fetch would find that commit.
            return status.attempted == commit and result.at >= started
        return not cache_is_bounded or result.at >= started - PRESENT
    if (status.attempted or named_commit(model.spec)) != commit:
        return False
    if result.infrastructure:
        return result.at >= started
    return result.reason.fault is not Fault.SPEC or result.at >= started - RECENT


def refused_by_others(model: ModelObject, result: FetchResult, rules: Admission) -> bool:
    """Whether the files were not fetched by the rules of other rounds, and these rules admit the model."""
    facts = model.status.resolved
    return result.reason in BY_ADMISSION and facts is not None and refuse(rules, facts) is None


@dataclass(frozen=True, order=True)
class _Demand:
    """A round's demand for a fetch of the model; ordered by time."""

    since: datetime
    """Earliest time of a valid fetch."""
    round_uid: str
    commit: str = field(default="", compare=False)
    """The commit to fetch; empty: what the revision stands for."""

    @property
    def moment(self) -> str:
        """The time as a part of a need: the same round may have the same demand again."""
        return str(int(self.since.timestamp()))

    def start(self, model: ModelObject, *kind: str, verify: bool = False) -> StartFetch:
        """Return the first attempt. `kind` tells apart what one round may demand."""
        need = short_hash(*_identity(model), self.round_uid, *kind)
        return StartFetch(need, self.since, 1, self.commit or None, verify=verify)


def _identity(model: ModelObject) -> tuple[str, str]:
    return model.meta.uid, str(model.meta.generation)


def needed_fetch(
    model: ModelObject, result: FetchResult | None, rounds: Iterable[RoundObject], *, cache_is_bounded: bool = False
) -> StartFetch | None:
    """Return the first attempt of the fetch that the model needs, None if its last result is sufficient.

    A fetch is needed for the present spec, once; for a round that started after a branch, tag or directory was
    resolved; for a round that has fixed another commit; for one that admits what no other did, so that its files were
    not fetched; and after an evaluation that may have missed the files. `result` is the last one; `rounds` are those
    whose frozen set has the model.
    """
    rounds = list(rounds)
    lost = [each for r in rounds for each in _lost(r, model)]
    if due := [each for each in lost if found_again(model, each.commit, since=each.since) is None]:
        last = max(due)
        return last.start(model, "lost", last.moment, verify=True)
    waiting = [(r, entry) for r in rounds if (entry := waiting_entry(r, model)) is not None]
    fixed = _for_fixed_commits(waiting, model)
    if result is None:
        return _first(fixed, model) or StartFetch(short_hash(*_identity(model)), _NEVER, 1)
    if admitting := _for_admission(waiting, model, result):
        return min(admitting).start(model, "admitted")
    if controls := [each for r in rounds for each in _as_control(r, model) if result.at < each.since]:
        last = max(controls)
        return last.start(model, "control", last.moment, verify=True)
    missed = [
        _Demand(r.status.finished_at, r.meta.uid)
        for r in rounds
        if r.status.finished_at is not None and r.status.finished_at > result.at and _may_have_missed_files(r, model)
    ]
    if result.fetched and missed:
        return max(missed).start(model, "missed", verify=True)
    if any(
        valid_for(model, result, each.commit, started=each.since, cache_is_bounded=cache_is_bounded) for each in fixed
    ):
        return None  # the next one starts once that round has recorded this result
    if fixed:
        return _first(fixed, model)
    newest = max(_for_open_revisions(waiting), default=None)
    if newest is None or recent_enough(result, model.spec, started=newest.since, cache_is_bounded=cache_is_bounded):
        return None
    return newest.start(model)


def _first(fixed: Iterable[_Demand], model: ModelObject) -> StartFetch | None:
    """Return the fetch for the first round that has fixed a commit; None if none has."""
    first = min(fixed, default=None)
    return first.start(model, first.commit) if first is not None else None


def _for_fixed_commits(waiting: Iterable[tuple[RoundObject, ModelResult]], model: ModelObject) -> list[_Demand]:
    """Return the demands of rounds that have fixed a commit of the model's present source."""
    return [
        _Demand(r.status.begun, r.meta.uid, entry.commit)
        for r, entry in waiting
        if r.status.begun and entry.commit is not None and entry.repo in (None, origin(model.spec.source))
    ]


def _for_admission(
    waiting: Iterable[tuple[RoundObject, ModelResult]], model: ModelObject, result: FetchResult
) -> list[_Demand]:
    """Return the demands of rounds that admit the model, whose files were not fetched by the rules of others."""
    return [
        _Demand(r.status.begun, r.meta.uid, entry.commit or "")
        for r, entry in waiting
        if r.status.begun
        and (entry.commit is not None or r.spec.tasks.seed_from is None)
        and refused_by_others(model, result, r.spec.admission)
    ]


def _for_open_revisions(waiting: Iterable[tuple[RoundObject, ModelResult]]) -> list[_Demand]:
    """Return the demands of rounds that fix no commit, and take what the revision stands for when they start."""
    return [
        _Demand(r.status.begun, r.meta.uid)
        for r, entry in waiting
        if r.status.begun and entry.commit is None and r.spec.tasks.seed_from is None
    ]


def found_again(model: ModelObject, commit: str, *, since: datetime) -> FetchResult | None:
    """Return the result of a fetch of lost files, after an evaluation has missed them; None until there is one."""
    result, resolved = fetch_result(model.status, generation=model.meta.generation), model.status.resolved
    if result is None or result.at < since:
        return None
    if not result.fetched or (resolved is not None and resolved.commit == commit):
        return result
    if model.status.attempted != commit:
        return None
    text = "the cache has lost its files, and its directory has others now"
    return FetchResult(False, Reason.COMMIT_TOO_LATE, text, result.at)


def urgent(model: ModelObject, rounds: Iterable[RoundObject]) -> bool:
    """Whether a round that has started waits for the model's files, or for a control with them."""
    return any(
        waiting_entry(each, model) is not None or _lost(each, model) or _as_control(each, model) for each in rounds
    )


def _lost(observed: RoundObject, model: ModelObject) -> list[_Demand]:
    """Return the demand of a running round of which an evaluation has missed the model's files."""
    if observed.status.finished_at is not None or observed.spec.suspend:
        return []
    return [
        _Demand(r.finished_at, observed.meta.uid, r.commit)
        for r in observed.status.results
        if (r.model, r.reason, r.repo) == (model.meta.name, Reason.MODEL_FILES_MISSING, origin(model.spec.source))
        and r.state not in FINAL_STATES
        and r.finished_at is not None
        and r.commit is not None
    ]


def _as_control(observed: RoundObject, model: ModelObject) -> list[_Demand]:
    """Return the demand of a running round that has the model fetched again as a control."""
    if observed.status.finished_at is not None or observed.spec.suspend or not observed.status.fetch_controls:
        return []
    control = observed.status.fetch_controls[-1]
    if control.model != model.meta.name:
        return []
    return [
        _Demand(control.since, observed.meta.uid, r.commit or "")
        for r in observed.status.results
        if r.model == control.model
    ]


def _may_have_missed_files(observed: RoundObject, model: ModelObject) -> bool:
    """Whether the model's evaluation failed as it also fails without the model's files.

    The cache evicts the models used longest ago, and its volume may have been replaced by another installation. If the
    files are still there, the fetch finds them at once.
    """
    return observed.status.counts.infra_faults > 0 and any(
        r.model == model.meta.name
        and r.state == ResultState.INFRA_FAULT
        and r.reason in _MISSING_FILES
        and r.weights_digest is not None
        for r in observed.status.results
    )


def waiting_entry(observed: RoundObject, model: ModelObject) -> ModelResult | None:
    """Return the model's entry in a running round that has not admitted it yet."""
    if observed.status.finished_at is not None or observed.spec.suspend:
        return None
    return next(
        (
            r
            for r in observed.status.results
            if r.model == model.meta.name and r.state == ResultState.PENDING and r.weights_digest is None
        ),
        None,
    )
