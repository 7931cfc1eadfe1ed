"""Whose trouble a failed evaluation is: the model's own, or the infrastructure's.

An evaluation that gives up for a cause that a model can have decides nothing by itself: an honest model on a broken
machine ends the same way. So the round makes an experiment. When all others have ended,

1. each such model is tried once more, on machines where others succeeded, if possible;
2. if it fails again, a control is run: a model that has succeeded is evaluated again from the start, on the machines of
   the failures, if possible;
3. if that fails too, by such a cause, further controls are run, each of another hotkey: a miner can make its model
   fail. The second one is run alone, the others beside each other, up to MAX_CONTROLS.

If one control succeeds, the machines work, and the failures are the models' own, however many they are: what a few
miners register cannot make them anything else. If all fail, or if there is no model for one, the infrastructure is at
fault. So a round cannot be spoiled by the miners of MAX_CONTROLS - 1 hotkeys, as long as one other has succeeded.
The first control is the largest model that has succeeded, because a machine can be in order for small ones only. The
second is one without a miner, if the round has any: its operator registered it, and no miner can make it fail. The
others are drawn, by the digest of the round's tasks, which cannot be known when models are registered.

A fetch that gave up needs no repetition: all models are fetched by the same machines, and it was tried several times.
It is the model's own trouble if another model was fetched meanwhile, for whichever round. If none was, a model that has
succeeded is fetched again as a control (see `fetch_controls`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from bitagent_crds.conditions import Reason
from bitagent_crds.model_result import Failure, ModelResult
from bitagent_kube.conditions import clip

OWN_CAUSES = frozenset(
    {
        Reason.OUT_OF_MEMORY,
        Reason.DEADLINE_EXCEEDED,
        Reason.CRASHED,
        Reason.ENGINE_FAILED,
        Reason.ENGINE_STALLED,
        Reason.NODE_PRESSURE,
    }
)
"""Causes that a model can have by its shape, its prompts or its answers. All others of an evaluation that gives up are
the infrastructure's: image, scheduling, quota, preemption, a lost node or result, volumes, a stopped process."""


def may_be_own(reason: Reason, *, ran: bool) -> bool:
    """Whether a model can have caused the failure. `ran`: whether a pod was seen to run, without which none can."""
    return ran and reason in OWN_CAUSES


FETCH_CAUSES = frozenset(
    {
        Reason.OUT_OF_MEMORY,
        Reason.DEADLINE_EXCEEDED,
        Reason.CRASHED,
        Reason.NODE_PRESSURE,
        Reason.FILES_CHANGED,
    }
)
"""Causes that a model can have of a fetch that gave up after all its attempts. The hub, the volume and the cache are
not among them."""
FETCH_PERIOD = timedelta(minutes=30)
"""Time of all attempts of a fetch that ends by itself, the pauses between them included."""
SLOW_FETCH_PERIOD = timedelta(hours=24)
"""Time of all attempts of a fetch whose first pod reaches its deadline each time; each follows at once."""

BECAUSE_LENGTH = 256
"""Longest text of a decision, in characters."""
MAX_CONTROLS = 8
"""Controls of a round at most, those after the first only if all before have failed."""
MAX_IN_TURN = 2
"""Controls that are run one after the other; the rest are run beside each other, so that none delays the round by more
than a deadline."""


class Next(StrEnum):
    """What is next for an evaluation that gave up."""

    WAIT = "wait"
    """Others have not ended."""
    REPEAT = "repeat"
    """Try it once more."""
    CONTROL = "control"
    """Evaluate another model as a control."""
    OWN = "own"
    """It is the model's own trouble."""
    SHARED = "shared"
    """It is the infrastructure's."""


@dataclass(frozen=True)
class Control:
    """A control of a round, so far."""

    model: str
    succeeded: bool | None = None
    """None while it runs."""
    node: str = ""
    """Node on which it succeeded."""
    beside: tuple[str, ...] = ()
    """Nodes on which its shards succeeded."""
    message: str = ""
    """Why it failed."""
    own: bool = False
    """Whether it ended by a cause that its model can have, or for lack of its files: another control tells more."""


@dataclass(frozen=True)
class Decision:
    """The next step, and why."""

    step: Next
    because: str = ""


def decide_fetch(reason: Reason, failed_at: datetime, fetched: Iterable[datetime]) -> Decision:
    """Return whose trouble a fetch was that gave up for one of FETCH_CAUSES at `failed_at`.

    `fetched`: the times at which fetches of other models began that have succeeded. One that began beside or after the
    first attempt of this one was made by the same machines, volume and hub. Without one a control decides.
    """
    period = SLOW_FETCH_PERIOD if reason is Reason.DEADLINE_EXCEEDED else FETCH_PERIOD
    if any(at >= failed_at - period for at in fetched):
        return Decision(Next.OWN, "another model was fetched meanwhile")
    return Decision(Next.CONTROL)


@dataclass(frozen=True)
class Peers:
    """The other evaluations of the round."""

    unfinished: bool
    """Whether one has not ended; those that gave up and wait for a decision have."""
    infrastructure_failed: bool
    """Whether one ended by a fault of the infrastructure, so that the round cannot complete."""
    nodes: frozenset[str]
    """Nodes on which one succeeded."""
    any_succeeded: bool
    controls: tuple[Control, ...] = ()
    """Those that were begun."""
    another: bool = True
    """Whether there is a model for one more control that may be started now."""


def decide(failed: Mapping[str, Sequence[Failure]], peers: Peers) -> dict[str, Decision]:
    """Return the next step for each evaluation that gave up, by its key, from its failures in order."""
    if peers.unfinished:
        return dict.fromkeys(failed, Decision(Next.WAIT))
    if peers.infrastructure_failed:
        return dict.fromkeys(failed, Decision(Next.SHARED, "the infrastructure failed another model too"))
    if not peers.any_succeeded:
        return dict.fromkeys(failed, Decision(Next.SHARED, "no other model succeeded, with which to compare it"))
    if any(len(failures) < 2 for failures in failed.values()):
        return {key: Decision(Next.REPEAT if len(failures) < 2 else Next.WAIT) for key, failures in failed.items()}
    good = [control for control in peers.controls if control.succeeded]
    if not good:
        return dict.fromkeys(failed, _without_good_control(peers))
    # Once a control has failed, an earlier success proves nothing: its machine may have broken since.
    unbroken = all(control.succeeded is not False for control in peers.controls)
    proven = {node for control in good for node in (control.node, *control.beside) if node}
    sound = (peers.nodes if unbroken else frozenset[str]()) | proven
    found = {key: _compared(failures, good[0], sound) for key, failures in failed.items()}
    # Another control may run on the machine of the failure.
    undecided = (
        _without_good_control(peers) if any(control.succeeded is not True for control in peers.controls) else None
    )
    if undecided is None or undecided.step is Next.SHARED:
        return found
    return {key: undecided if each.step is Next.SHARED else each for key, each in found.items()}


def _without_good_control(peers: Peers) -> Decision:
    """Return what is next while no control has succeeded."""
    failed = [control for control in peers.controls if control.succeeded is False]
    if not peers.controls or (peers.another and all(control.own for control in failed)):
        return Decision(Next.CONTROL)
    if any(control.succeeded is None for control in peers.controls):
        return Decision(Next.WAIT)
    if len(failed) > MAX_IN_TURN:
        names = clip(", ".join(control.model for control in failed), BECAUSE_LENGTH // 2)
        text = f"the controls {names} failed too, although they had succeeded before: {failed[-1].message}"
        return Decision(Next.SHARED, clip(text, BECAUSE_LENGTH))
    found = [f"the control {c.model} failed too, although it had succeeded before: {c.message}" for c in failed]
    return Decision(Next.SHARED, "; ".join(clip(text, BECAUSE_LENGTH // max(1, len(found)) - 2) for text in found))


def _compared(failures: Sequence[Failure], control: Control, sound: frozenset[str]) -> Decision:
    """Return the decision after a control that succeeded. A machine that only failed proves nothing by itself."""
    nodes = {node for failure in failures for node in failure.nodes}
    if len(nodes) > 1 or nodes & sound:
        return Decision(Next.OWN, f"tried again at the end, while {control.model} succeeded again")
    only = ", ".join(sorted(nodes)) or "an unknown node"
    return Decision(Next.SHARED, f"it only ran on {only}, where no model succeeded")


def control_of(succeeded: Sequence[ModelResult], parameters: Mapping[str, int]) -> ModelResult:
    """Return the model for a control: the largest, then the slowest, then the first by name.

    `parameters`: number of parameters by model, as far as they are known. Raises ValueError without a model.
    """
    return min(succeeded, key=lambda r: (-parameters.get(r.model, 0), -_duration(r), r.model))


def _duration(result: ModelResult) -> float:
    seconds = result.seconds
    return 0.0 if seconds is None else float(seconds.load) + float(seconds.generate) + float(seconds.score)
