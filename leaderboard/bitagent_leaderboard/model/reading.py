"""Objects of the API server to what everybody may see. Pure.

This is the one door: what is left out here is on no page, in no feed and in no export. Of a round that is not complete
that is all that would help a miner or a copier of weights: seed, digests, scores, repositories and commits. A failed
round counts as not complete, because it may be taken up again with the same tasks; and so does a round that only builds
tasks, which miners are asked afterwards. Of every object it is what is of the
cluster: messages, which may quote a model's own words, a task or an address; nodes, volumes, endpoints, Secrets; and
how alike near copies are, by which a copier would know how much to change.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from bitagent_crds.conditions import ConditionType, Reason
from bitagent_crds.evalround import EvalRound, EvalRoundSpec, EvalRoundStatus, RoundPhase
from bitagent_crds.minermodel import MinerModel
from bitagent_crds.model_result import FINAL_STATES, ModelResult
from bitagent_crds.names import (
    COMPETITION_LABEL,
    EPOCH_LABEL,
    SUBMITTED_BY_AXON,
    SUBMITTED_BY_LABEL,
    VALIDATOR_LABEL,
)
from bitagent_crds.policies import Standing
from bitagent_crds.seeds import SeedError
from bitagent_crds.tasks import Tasks
from bitagent_crds.texts import digest_of
from bitagent_crds.validator import Validator
from bitagent_kube.conditions import find, holds
from bitagent_kube.objects import Obj, ObjectMeta
from bitagent_leaderboard.model.objects import (
    LastSetting,
    Outcome,
    PastScore,
    Phase,
    Result,
    Round,
    Rules,
    Submission,
    Unpaid,
    ValidatorView,
)
from bitagent_leaderboard.model.online import online_steps
from bitagent_leaderboard.model.text import hub_repo, image_name, shown

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_KEY = re.compile(r"[0-9a-f]{1,32}")
_ID = re.compile(r"[a-z0-9]([-a-z0-9]{0,62}[a-z0-9])?")
_DIGITS = 15
_LATER = "A later version of the operator gives this reason."

_STANDINGS = {
    Standing.NOT_CHOSEN: "It has a score that the policy does not pay.",
    Standing.AT_BASELINE: "Its score is not above what the best constant answer earns.",
    Standing.NEAR_COPY: "Its model is a near copy of an earlier one of another hotkey.",
    Standing.DUPLICATE: "Its model is a copy of an earlier one of another hotkey.",
    Standing.REJECTED: "Its model was not admitted to the round.",
    Standing.MODEL_FAULT: "Its model could not be evaluated by its own fault.",
    Standing.UNSCORED: "All attempts at its model failed, and no earlier score is carried forward.",
    Standing.NOT_IN_ROUND: "The last complete round had no model of it.",
    Standing.AWAITS_SCORE: "Its model is in the running round.",
    Standing.REGISTERED_AGAIN: "It was registered again after it was scored, and earns by the next round.",
    Standing.NOT_REGISTERED: "It has no slot on the subnet.",
    Standing.VALIDATOR: "It is a validator, which a policy never pays.",
}
"""Why a hotkey earns nothing."""


class RoundReader:
    """Reads EvalRounds. Results that have not changed since the last reading of a round are kept.

    A round of a thousand models is written again whenever one of them proceeds.
    """

    def __init__(self) -> None:
        self._last: dict[str, tuple[bool, dict[str, tuple[Obj, Result]]]] = {}

    def __call__(self, obj: Obj) -> Round:
        """Read one. Raises ValueError if it does not conform to this version's schema."""
        meta = _meta(obj)
        status = dict(obj.get("status") or {})
        entries: list[Obj] = status.pop("results", None) or []
        content = EvalRound.model_validate({"spec": obj["spec"], "status": status})
        phase = Phase.WAITING if content.spec.tasks_only else _phase(content.status)
        complete = phase is Phase.COMPLETE
        results = self._results(meta.uid, entries, complete=complete)
        return _round(meta, content, phase, results)

    def _results(self, uid: str, entries: list[Obj], *, complete: bool) -> list[Result]:
        was_complete, last = self._last.pop(uid, (complete, {}))
        known = last if was_complete == complete else {}
        read: dict[str, tuple[Obj, Result]] = {}
        for entry in entries:
            name = str(entry.get("model", ""))
            before = known.get(name)
            result = before[1] if before and before[0] == entry else _result(entry, complete=complete)
            read[name] = (entry, result)
        if not complete:  # a complete one hardly changes, and its entries would stay in memory
            self._last[uid] = (complete, read)
        return [result for _, result in read.values()]

    def forget(self, uids: frozenset[str]) -> None:
        """Forget the rounds that are not among these."""
        self._last = {uid: last for uid, last in self._last.items() if uid in uids}


def _round(meta: ObjectMeta, content: EvalRound, phase: Phase, results: list[Result]) -> Round:
    spec, status, complete = content.spec, content.status or EvalRoundStatus(), phase is Phase.COMPLETE
    labels, epoch = meta.labels, meta.labels.get(EPOCH_LABEL, "")
    results.sort(key=lambda result: (result.rank is None, result.rank or 0, result.model))
    counts = {name: count for name, count in status.counts if isinstance(count, int) and count}
    estimate = status.estimate if phase is Phase.RUNNING else None
    done = sum(result.state in FINAL_STATES for result in results)
    tasks = status.task_set if complete else None
    return Round(
        name=meta.name,
        uid=meta.uid,
        version=meta.version,
        created=meta.created,
        phase=phase,
        outcome=_round_outcome(status, phase),
        validator=_name_or_none(labels.get(VALIDATOR_LABEL)),
        competition=_id_or_none(labels.get(COMPETITION_LABEL)),
        epoch=int(epoch) if epoch.isascii() and epoch.isdecimal() and len(epoch) <= _DIGITS else None,
        started=status.started_at,
        finished=status.finished_at if phase in (Phase.COMPLETE, Phase.FAILED) else None,
        scorer=shown(str(spec.evaluation.scorer), 63),
        tasks=tasks.count if tasks is not None else spec.tasks.count,
        percent=estimate.percent if estimate is not None else None,
        end=estimate.end if estimate is not None else None,
        ended=done,
        selected=len(results),
        counts=counts,
        results=tuple(results),
        ranked=tuple(result for result in results if result.rank is not None),
        by_model={result.model: result for result in results},
        asked_online=spec.tasks_only,
        secrets=_secrets(spec.tasks),
        baseline=tasks.baseline if tasks is not None else None,
        seed=_seed(spec.tasks) if complete else None,
        task_set_digest=tasks.digest if tasks is not None else None,
        ranking_digest=status.leaderboard_digest if complete else None,
        image=image_name(status.image) if complete and status.image else None,
        archive=status.archive.uri if complete and status.archive is not None else None,
        document=_document(spec) if complete else None,
    )


def _phase(status: EvalRoundStatus | None) -> Phase:
    """Return the phase; one that reports Failed beside Complete has failed."""
    conditions = status.conditions if status is not None else []
    if holds(conditions, ConditionType.FAILED):
        return Phase.FAILED
    if holds(conditions, ConditionType.COMPLETE):
        return Phase.COMPLETE
    if status is not None and status.phase == RoundPhase.SUSPENDED:
        return Phase.SUSPENDED
    return Phase.RUNNING if holds(conditions, ConditionType.RUNNING) else Phase.WAITING


def _round_outcome(status: EvalRoundStatus, phase: Phase) -> Outcome:
    deciding = {Phase.FAILED: ConditionType.FAILED, Phase.COMPLETE: ConditionType.COMPLETE}
    ready = find(status.conditions, deciding.get(phase, ConditionType.READY))
    return outcome(ready.reason if ready is not None else Reason.PENDING)


@lru_cache(maxsize=512)
def outcome(reason: Reason) -> Outcome:
    """Return a reason with its sentence; of a later version's reason none is known."""
    return Outcome(str(reason.value), reason.meaning or _LATER)


def _result(entry: Obj, *, complete: bool) -> Result:
    found = ModelResult.model_validate(entry)
    progress = found.progress
    state = str(found.state.value)
    public = Result(
        model=found.model,
        uid=found.model_uid,
        state=state,
        outcome=outcome(found.reason),
        hotkey=found.hotkey,
        duplicate_of=found.duplicate_of,
        done=progress.done if progress is not None and found.state not in FINAL_STATES else 0,
        total=progress.total if progress is not None and found.state not in FINAL_STATES else 0,
    )
    if not complete:
        return public
    return Result(
        model=public.model,
        uid=public.uid,
        state=state,
        outcome=public.outcome,
        hotkey=public.hotkey,
        duplicate_of=public.duplicate_of,
        repo=hub_repo(found.repo),
        commit=found.commit,
        near_copy_of=found.near_copy_of,
        score=found.score,
        interval=(float(found.interval[0]), float(found.interval[1])) if found.interval is not None else None,
        rank=found.rank,
        passed=found.passed,
        loss=found.loss,
        key=found.key if found.key is not None and _KEY.fullmatch(found.key) else None,
        digest=found.result_digest,
        prompt_format=found.prompt_format,
        engine=json.dumps(found.engine.model_dump(mode="json", by_alias=True, exclude_none=True), sort_keys=True)
        if found.engine is not None
        else "{}",
    )


def _secrets(tasks: Tasks) -> frozenset[str]:
    """Return digests of all that the seed follows from: the seed itself, or the block and what was committed to."""
    parts = [tasks.seed] if tasks.seed is not None else []
    if tasks.seed_from is not None:
        parts.append(f"{tasks.seed_from.block}:{tasks.seed_from.secret_digest}")
    if (seed := _seed(tasks)) is not None:
        parts.append(seed)
    return frozenset(digest_of(part.encode()) for part in parts)


def _seed(tasks: Tasks) -> str | None:
    try:
        return shown(tasks.known_seed())
    except SeedError:
        return None


def _document(spec: EvalRoundSpec) -> Mapping[str, Any] | None:
    """Return the spec by which anyone can ask the same; None if not everybody can have the tasks by it."""
    for source in spec.tasks.sources:
        dataset = source.hugging_face
        if source.bfcl is None and (dataset is None or dataset.token_secret_ref is not None):
            return None
    if any(alteration.rewrite is not None for alteration in spec.tasks.alterations):
        return None
    evaluation = spec.evaluation.model_copy(update={"generate_seconds": spec.generate_seconds})
    return {"tasks": spec.tasks.to_wire(), "evaluation": evaluation.to_wire(), "models": {"matchLabels": {}}}


def read_model(obj: Obj) -> Submission:
    """Read a MinerModel. Raises ValueError if it does not conform to this version's schema."""
    meta = _meta(obj)
    content = MinerModel.model_validate({key: obj[key] for key in ("spec", "status") if key in obj})
    spec, status = content.spec, content.status
    ready = find(status.conditions, ConditionType.READY) if status is not None else None
    committed = spec.miner.commit_block if spec.miner is not None else None
    source = spec.source.hugging_face
    # What is committed to on the chain is public; anything else is not, before a round has scored it. What an axon has
    # answered is not a commitment, although it has a block: its miner may publish the repository later.
    answered = meta.labels.get(SUBMITTED_BY_LABEL) == SUBMITTED_BY_AXON
    shows = source is not None and committed is not None and not answered and source.token_secret_ref is None
    public = source if shows else None
    facts = status.resolved if status is not None and public is not None else None
    return Submission(
        name=meta.name,
        uid=meta.uid,
        version=meta.version,
        created=meta.created,
        outcome=outcome(ready.reason if ready is not None else Reason.PENDING),
        hotkey=spec.miner.hotkey if spec.miner is not None else None,
        committed=committed,
        repo=hub_repo(public.repo) if public is not None else None,
        commit=public.revision if public is not None else None,
        architecture=shown(facts.architecture, 128) if facts is not None else "",
        parameters=facts.parameters if facts is not None else None,
        license=shown(facts.license, 128) if facts is not None else "",
        past=tuple(
            PastScore(each.round, each.score, each.rank, each.at)
            for each in (status.history if status is not None else ())
        ),
    )


def read_validator(obj: Obj) -> ValidatorView:
    """Read a Validator. Raises ValueError if it does not conform to this version's schema."""
    meta = _meta(obj)
    content = Validator.model_validate({key: obj[key] for key in ("spec", "status") if key in obj})
    spec, status = content.spec, content.status
    condition = find(status.conditions, ConditionType.WEIGHTS_CURRENT) if status is not None else None
    # Before the chain shows a row, only this validator may know it: others would copy it.
    current = condition is not None and condition.status == "True" and condition.reason == Reason.WEIGHTS_SET
    last = status.last_weights if status is not None else None
    weights = [(each.hotkey, each.weight) for each in status.weights] if status is not None and current else []
    return ValidatorView(
        name=meta.name,
        uid=meta.uid,
        version=meta.version,
        netuid=spec.netuid,
        mode=str(spec.weights.mode),
        competitions=tuple(
            Rules(
                id=each.id,
                reward_share=each.reward_share,
                scorer=shown(str(each.round.evaluation.scorer), 63),
                policy=shown(str(each.policy), 63),
                every_blocks=each.schedule.every_blocks,
                tasks=each.round.tasks.count,
                mechanism=each.mechanism,
            )
            for each in spec.competitions
        ),
        hotkey=status.hotkey if status is not None else None,
        slot=status.uid if status is not None else None,
        block=status.block if status is not None else None,
        current_rounds={each.competition: each.round for each in status.current_rounds} if status is not None else {},
        weights_outcome=outcome(condition.reason) if condition is not None else None,
        weights_current=current,
        weights=tuple(sorted(weights, key=lambda pair: (-float(pair[1]), pair[0]))),
        unpaid=tuple(
            Unpaid(shown(each.competition), each.hotkey, str(each.reason.value), _STANDINGS.get(each.reason, _LATER))
            for each in (status.unpaid if status is not None and current else ())
        ),
        online=online_steps(status.online) if status is not None and current else (),
        last=LastSetting(last.block, last.at, tuple(last.rounds), shown(last.extrinsic), last.hotkeys)
        if last is not None
        else None,
        refused_claims=frozenset(
            (each.round, claim.model)
            for each in (status.current_rounds if status is not None else ())
            for claim in each.refused_claims
        ),
    )


def _meta(obj: Obj) -> ObjectMeta:
    meta = ObjectMeta.parse(obj)
    if len(meta.name) > 63 or not _NAME.fullmatch(meta.name):
        raise ValueError(f"metadata.name: {shown(meta.name)!r} is not the name of an object")
    return meta


def _name_or_none(text: str | None) -> str | None:
    return text if text is not None and len(text) <= 63 and _NAME.fullmatch(text) else None


def _id_or_none(text: str | None) -> str | None:
    return text if text is not None and _ID.fullmatch(text) else None
