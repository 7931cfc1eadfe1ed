"""Controls for fetches that gave up: a model that has succeeded is fetched again, and its files are hashed.

If that works, so do hub, machines and volume, and what gave up is the model's own trouble. A control of the same hotkey
proves nothing, because a miner can make its own repository fail; so a second one is of yet another hotkey. Models
without a miner come first, and hotkeys are drawn by the task set: names of models would let a miner choose the
controls.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from bitagent_crds.evalround import FetchControl
from bitagent_crds.model_result import ModelResult, ResultState
from bitagent_operator.observed.objects import ModelObject
from bitagent_operator.plan.models.fetch import fetch_result
from bitagent_operator.plan.rounds.attribution import Decision, Next
from bitagent_operator.plan.rounds.work import Work

MAX_FETCH_CONTROLS = 3
"""Models of a round that are fetched again at most; each of another hotkey."""


def decide_by_control(this: Work, failed: Iterable[ModelResult]) -> Decision:
    """Return the decision about the fetches that gave up, or WAIT for a control, which is begun if there is none."""
    begun = this.observed.status.begun
    controls = [c for c in this.observed.status.fetch_controls if begun is None or c.since >= begun]
    this.fetch_controls = controls
    if controls and (decision := _outcome(this, controls[-1])) is not None:
        return decision
    owners = {owner_of(each) for each in failed}
    tried = {control.model for control in controls}
    owners |= {owner_of(each) for each in this.results if each.model in tried}
    candidates = (
        each
        for each in this.results
        if each.state == ResultState.SUCCEEDED and owner_of(each) not in owners and _usable(this.models.get(each.model))
    )
    task_set = this.observed.status.task_set
    drawn = task_set.digest if task_set is not None else ""
    candidate = min(candidates, key=lambda each: _order(each, drawn_by=drawn), default=None)
    if candidate is not None and len(controls) < MAX_FETCH_CONTROLS:
        this.fetch_controls = [*controls, FetchControl(model=candidate.model, since=this.pass_.now)]
        return Decision(Next.WAIT)
    if controls:
        return Decision(Next.SHARED, f"so did fetches of {', '.join(sorted(tried))}, which had been fetched before")
    return Decision(Next.SHARED, "no other model was fetched meanwhile, with which to compare it")


def _order(result: ModelResult, *, drawn_by: str) -> tuple[bool, str, str]:
    """Return the place of a candidate, the same in every pass."""
    drawn = hashlib.sha256(f"{drawn_by}\n{owner_of(result)}".encode()).hexdigest() if result.hotkey else ""
    return bool(result.hotkey), drawn, result.model


def _outcome(this: Work, control: FetchControl) -> Decision | None:
    """Return the decision by a control; None if it proves nothing, so that another one is needed."""
    model = this.models.get(control.model)
    if model is None or not _usable(model):
        return None
    result = fetch_result(model.status, generation=model.meta.generation)
    if result is None or result.at < control.since:
        return Decision(Next.WAIT)
    return Decision(Next.OWN, f"{control.model} was fetched again meanwhile") if result.fetched else None


def _usable(model: ModelObject | None) -> bool:
    return model is not None and not model.meta.deleting and not model.spec.suspend


def owner_of(result: ModelResult) -> str:
    """Return whose model it is; one without a miner is its own."""
    return f"hotkey {result.hotkey}" if result.hotkey else f"model {result.model}"
