"""Whose trouble the evaluations of a round are that gave up: their repetitions, the control, and the decision.

The rules are in `attribution`; this module applies them to a round's results and Jobs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from bitagent_crds.evalround import EvalRoundStatus
from bitagent_crds.model_result import FINAL_STATES, ModelResult, ResultState
from bitagent_crds.names import control_key
from bitagent_kube.conditions import clip
from bitagent_operator import naming
from bitagent_operator.observed.objects import ModelObject
from bitagent_operator.plan.interface import StartEvaluation
from bitagent_operator.plan.jobs.outcome import MESSAGE_LENGTH
from bitagent_operator.plan.models.fetch import fetch_result
from bitagent_operator.plan.rounds.attempts import GaveUp, StartAttempt, Update
from bitagent_operator.plan.rounds.attribution import (
    BECAUSE_LENGTH,
    FETCH_CAUSES,
    MAX_CONTROLS,
    MAX_IN_TURN,
    Control,
    Decision,
    Next,
    Peers,
    control_of,
    decide,
    decide_fetch,
)
from bitagent_operator.plan.rounds.controls import control_state
from bitagent_operator.plan.rounds.fetch_controls import decide_by_control, owner_of
from bitagent_operator.plan.rounds.work import Slots, Work

_PREFERRED_NODES = 16
"""Nodes that a Job may name as preferred: the pod stays small, and any of them will do."""

State = Update | StartAttempt | GaveUp
"""State of one evaluation."""


@dataclass(frozen=True)
class NextControl:
    """A Job of a control that may be created: key and entry are those of a model that has succeeded."""

    key: str
    entry: ModelResult
    attempt: int


@dataclass(frozen=True)
class Controls:
    """The controls of a round with failures."""

    found: tuple[Control, ...] = ()
    """Those that were begun."""
    keys: frozenset[str] = frozenset()
    """Keys of all of them, and of the next ones."""
    next: tuple[NextControl, ...] = ()
    """What may be started now, as far as there are models: one, or the rest after MAX_IN_TURN have failed."""


def controls_for(this: Work, found: Mapping[int, tuple[str, State]]) -> Controls:
    """Return the controls that decide about the evaluations that gave up, as far as there are models for them.

    Their models do not change once they have a Job, whatever becomes of the facts by which they were chosen.
    """
    if not any(isinstance(state, GaveUp) for _, state in found.values()):
        return Controls()
    known = [state.applied_to(this.results[i]) for i, (_, state) in found.items() if isinstance(state, Update)]
    begun = [r for r in known if _key(this, r) in this.jobs]
    states: list[Control] = []
    keys: set[str] = set()
    next_: list[NextControl] = []
    candidates = control_candidates(known, this.models, drawn_by=drawn_by(this.observed.status), begun=begun)
    for entry in candidates:  # those that were begun come first
        key = _key(this, entry)
        if key not in this.jobs and not _may_begin(states, next_):
            break
        keys.add(key)
        state = control_state(entry.model, this.jobs.get(key, []), this.observed.spec, this.pods, this.pass_)
        if isinstance(state, StartAttempt):
            refusal = this.refusal(key, state.number)
            if refusal is None or not refusal.final:
                next_.append(NextControl(key, entry, state.number))
                continue
            state = Control(entry.model, succeeded=False, message=refusal.message)
        states.append(state)
    return Controls(tuple(states), frozenset(keys), tuple(next_))


def _may_begin(begun: Sequence[Control], next_: Sequence[NextControl]) -> bool:
    """Whether one more control may be begun: alone after one that failed, beside others after MAX_IN_TURN of them."""
    failed = sum(control.succeeded is False for control in begun)
    if failed >= MAX_IN_TURN:
        return True
    return not next_ and all(control.succeeded is not None for control in begun) and (failed > 0 or not begun)


def drawn_by(status: EvalRoundStatus) -> str:
    """Return what decides the draw of controls: unknown when models are registered, the same in every pass."""
    return status.task_set.digest if status.task_set is not None else ""


def _key(this: Work, entry: ModelResult) -> str:
    return control_key(entry.evaluation_key or "", series=this.observed.status.series)


def control_candidates(
    results: Iterable[ModelResult],
    models: Mapping[str, ModelObject],
    *,
    drawn_by: str,
    begun: Iterable[ModelResult] = (),
) -> list[ModelResult]:
    """Return the results of the models with which controls would be made, each of another hotkey; of `begun` first.

    The largest, then the largest without a miner, then those that `drawn_by` draws. Their files must stay in the model
    cache until the controls have ended.
    """
    left = [result for result in results if result.state == ResultState.SUCCEEDED]
    parameters, chosen = _parameters(left, models), [r for r in begun if r.state == ResultState.SUCCEEDED]
    while len(chosen) < MAX_CONTROLS:
        owners = {owner_of(result) for result in chosen}
        left = [result for result in left if owner_of(result) not in owners]
        if not left:
            break
        match len(chosen):
            case 0:
                among = left
            case 1:
                among = [result for result in left if not result.hotkey] or left
            case _:
                drawn = min((owner_of(result) for result in left), key=lambda owner: _lot(drawn_by, owner))
                among = [result for result in left if owner_of(result) == drawn]
        chosen.append(control_of(among, parameters))
    return chosen


def _lot(drawn_by: str, owner: str) -> str:
    return hashlib.sha256(f"{drawn_by}\n{owner}".encode()).hexdigest()


def _parameters(entries: Iterable[ModelResult], models: Mapping[str, ModelObject]) -> dict[str, int]:
    """Return the number of parameters by model, where its facts are still those of the commit that was evaluated."""
    found = {entry.model: (entry.commit, models.get(entry.model)) for entry in entries}
    return {
        name: model.status.resolved.parameters
        for name, (commit, model) in found.items()
        if model is not None and model.status.resolved is not None and model.status.resolved.commit == commit
    }


def settle(this: Work, gave_up: Mapping[int, tuple[str, GaveUp]], controls: Controls, slots: Slots) -> None:
    """Take the next step for what gave up: the results, and the Jobs to start."""
    _settle_fetches(this, gave_up)
    if not gave_up:
        return
    others = [result for i, result in enumerate(this.results) if i not in gave_up]
    succeeded = [result for result in others if result.state == ResultState.SUCCEEDED]
    peers = Peers(
        unfinished=any(result.state not in FINAL_STATES for result in others),
        infrastructure_failed=any(result.state == ResultState.INFRA_FAULT for result in others),
        nodes=frozenset(result.node for result in succeeded if result.node) | _nodes_of_shards(this),
        any_succeeded=bool(succeeded),
        controls=controls.found,
        another=bool(controls.next),
    )
    decisions = decide({key: state.update.failures for key, state in gave_up.values()}, peers)
    may_start = not this.observed.spec.suspend
    for i, (key, state) in gave_up.items():
        match decisions[key]:
            case Decision(step=Next.REPEAT) if state.next_attempt > naming.MAX_ATTEMPTS:
                this.results[i] = _decided(this, i, Decision(Next.SHARED, "no attempt is left to repeat it"))
            case Decision(step=Next.REPEAT) if (refusal := this.refusal(key, state.next_attempt)) is not None:
                if refusal.final:
                    because = f"it cannot be repeated: {refusal.message}"
                    this.results[i] = _decided(this, i, Decision(Next.SHARED, because))
            case Decision(step=Next.REPEAT) if may_start and key not in this.busy:
                failed = {node for failure in state.update.failures for node in failure.nodes}
                nodes = _preferred(peers.nodes - failed or peers.nodes)
                slots.take(StartEvaluation(key, state.next_attempt, this.results[i], pods=1, preferred_nodes=nodes))
            case Decision(step=Next.OWN | Next.SHARED) as decision:
                this.results[i] = _decided(this, i, decision)
            case _:
                pass
    wants_control = any(decision.step is Next.CONTROL for decision in decisions.values())
    if not wants_control or not may_start:
        return
    nodes = _preferred(node for _, state in gave_up.values() for node in state.update.failures[-1].nodes)
    for it in controls.next:
        if it.key not in this.busy and this.refusal(it.key, it.attempt) is None:
            start = StartEvaluation(it.key, it.attempt, it.entry, pods=1, preferred_nodes=nodes, control=True)
            slots.take(start)


def _nodes_of_shards(this: Work) -> frozenset[str]:
    """Return the nodes on which a shard of any evaluation has ended well; a result names that of its last one alone."""
    uids = {job.meta.uid for jobs in this.jobs.values() for job in jobs if job.pods > 1}
    return frozenset(p.node for p in this.pods if p.meta.owner_uid in uids and p.phase == "Succeeded" and p.node)


def _settle_fetches(this: Work, gave_up: Container[int]) -> None:
    """Decide about the models whose fetch gave up, once the others have ended."""
    failed = [i for i, result in enumerate(this.results) if fetch_gave_up(result)]
    others = [result for i, result in enumerate(this.results) if i not in gave_up and not fetch_gave_up(result)]
    if not failed or any(result.state not in FINAL_STATES for result in others):
        return
    known = [this.models.get(result.model) for result in others if result.state == ResultState.SUCCEEDED]
    fetched = [m.status.resolved.at for m in known if m is not None and m.status.resolved is not None]
    fetched += [this.pass_.last_fetched] if this.pass_.last_fetched is not None else []
    decisions: dict[int, Decision] = {}
    for i in failed:
        entry, model = this.results[i], this.models.get(this.results[i].model)
        found = fetch_result(model.status, generation=model.meta.generation) if model is not None else None
        failed_at = found.at if found is not None else this.pass_.now
        decisions[i] = decide_fetch(entry.reason, failed_at, fetched)
    open_ = [i for i, decision in decisions.items() if decision.step is Next.CONTROL]
    by_control = decide_by_control(this, [this.results[i] for i in open_]) if open_ else None
    for i, decision in decisions.items():
        settled = decision if by_control is None or decision.step is not Next.CONTROL else by_control
        if settled.step is not Next.WAIT:
            this.results[i] = _decided(this, i, settled)


def fetch_gave_up(result: ModelResult) -> bool:
    """Whether the fetch of a model gave up for a cause that the model can have, and that is not decided."""
    return result.state == ResultState.PENDING and result.weights_digest is None and result.reason in FETCH_CAUSES


def _preferred(nodes: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(nodes))[:_PREFERRED_NODES])


def _decided(this: Work, i: int, decision: Decision) -> ModelResult:
    """Return the entry in its final state, with its last cause and how it was decided."""
    entry, now = this.results[i], this.pass_.now
    because = clip(decision.because, BECAUSE_LENGTH)
    message = f"{clip(entry.message, MESSAGE_LENGTH - len(because) - 2)}; {because}"
    state = ResultState.UNSCORED if decision.step is Next.OWN else ResultState.INFRA_FAULT
    return replace(Update.of(entry), state=state, message=message, finished_at=now).applied_to(entry)
