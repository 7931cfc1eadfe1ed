"""Rounds, models and validators, reduced to what everybody may see. Pure data.

A round that is not complete has no scores, no ranks, no seed and no digests here: see `reading`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

Interval = tuple[float, float]


class Phase(StrEnum):
    """How far a round is."""

    WAITING = "Waiting"
    """Models are fixed, files fetched, or the tasks built."""
    RUNNING = "Running"
    SUSPENDED = "Suspended"
    COMPLETE = "Complete"
    """Scores and ranks are final."""
    FAILED = "Failed"
    """It pays no one; it may be taken up again."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Why something is as it is: a reason of the API with the API's own sentence about it."""

    reason: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Result:
    """One model in one round."""

    model: str
    uid: str | None
    """uid of the MinerModel; another one of the same name is another model."""
    state: str
    outcome: Outcome
    hotkey: str | None = None
    duplicate_of: str | None = None
    done: int = 0
    total: int = 0
    """Tasks that are answered, and that are asked, while the evaluation runs; 0 if that is not known."""
    repo: str | None = None
    """Repository on the hub; None for other origins, and until the round is complete, as all below."""
    commit: str | None = None
    near_copy_of: str | None = None
    score: str | None = None
    interval: Interval | None = None
    """95 % confidence interval of the score; None of rounds whose evaluator did not report it."""
    rank: int | None = None
    passed: int | None = None
    loss: str | None = None
    key: str | None = None
    digest: str | None = None
    """SHA-256 of the manifest of its results."""
    prompt_format: str | None = None
    engine: str = "{}"
    """Choices for the engine, as JSON."""


@dataclass(frozen=True, slots=True)
class Round:
    """One EvalRound."""

    name: str
    uid: str
    version: int
    created: datetime
    phase: Phase
    outcome: Outcome
    """Why it is in that phase."""
    validator: str | None = None
    competition: str | None = None
    epoch: int | None = None
    started: datetime | None = None
    finished: datetime | None = None
    scorer: str = ""
    tasks: int = 0
    """Number of tasks."""
    percent: int | None = None
    """Share of the evaluations that is done, while it runs."""
    end: datetime | None = None
    """When it may end, while it runs."""
    ended: int = 0
    """Models with a final verdict."""
    selected: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)
    """Models by state."""
    results: tuple[Result, ...] = ()
    """In the order of the ranking; models without a rank follow by name."""
    ranked: tuple[Result, ...] = ()
    """Those of the results with a rank."""
    by_model: Mapping[str, Result] = field(default_factory=dict, compare=False)
    asked_online: bool = False
    """Whether it only builds tasks that miners are asked online: they are secret for as long as it exists."""
    secrets: frozenset[str] = frozenset()
    """Digests of what its tasks follow from, by which it is found that another round has the same; never shown."""
    baseline: str | None = None
    """Score of the best constant answer; None until it is complete, as all below."""
    seed: str | None = None
    task_set_digest: str | None = None
    ranking_digest: str | None = None
    image: str | None = None
    archive: str | None = None
    """Address of its archive, as the operator has it; never shown."""
    document: Mapping[str, Any] | None = field(default=None, compare=False)
    """What `bitagent-eval plan` needs of its spec; None if its tasks are not from public sources alone."""

    @property
    def complete(self) -> bool:
        """Whether scores and ranks are final."""
        return self.phase is Phase.COMPLETE

    @property
    def at(self) -> datetime:
        """Time by which rounds are put in order: of the end, or of the creation."""
        return self.finished or self.created

    @property
    def measures_loss(self) -> bool:
        """Whether losses are ranked."""
        return any(result.loss is not None for result in self.results)


@dataclass(frozen=True, slots=True)
class PastScore:
    """Outcome of a round that may be deleted."""

    round: str
    score: str
    rank: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Submission:
    """One MinerModel."""

    name: str
    uid: str
    version: int
    created: datetime
    outcome: Outcome
    """The reason of its condition Ready."""
    hotkey: str | None = None
    committed: int | None = None
    """Block of the commitment on the chain."""
    repo: str | None = None
    """Repository on the hub, if it is public knowledge: named in a commitment on the chain."""
    commit: str | None = None
    architecture: str = ""
    parameters: int | None = None
    license: str = ""
    past: tuple[PastScore, ...] = ()
    """Outcomes that its status remembers, newest first."""


@dataclass(frozen=True, slots=True)
class Rules:
    """One competition of a Validator's spec."""

    id: str
    reward_share: int
    scorer: str
    policy: str
    every_blocks: int
    tasks: int
    mechanism: int


@dataclass(frozen=True, slots=True)
class Unpaid:
    """A hotkey that earns nothing by a competition."""

    competition: str
    hotkey: str
    standing: str
    meaning: str


@dataclass(frozen=True, slots=True)
class LastSetting:
    """The last weights that the chain accepted."""

    block: int
    at: datetime
    rounds: tuple[str, ...]
    extrinsic: str
    hotkeys: int


@dataclass(frozen=True, slots=True)
class OnlineAnswer:
    """What became of one miner in a step of online evaluation."""

    hotkey: str
    outcome: Outcome
    score: str | None
    mean: str | None
    """Moving average of its scores after the step."""


@dataclass(frozen=True, slots=True)
class OnlineStep:
    """The last step of online evaluation of a competition."""

    competition: str
    block: int
    miners: int
    """Number of hotkeys that have a moving average."""
    answers: tuple[OnlineAnswer, ...]
    """Miners that were drawn, the largest average first."""


@dataclass(frozen=True, slots=True)
class ValidatorView:
    """One Validator."""

    name: str
    uid: str
    version: int
    netuid: int
    mode: str
    """Set, DryRun or Off."""
    competitions: tuple[Rules, ...] = ()
    hotkey: str | None = None
    slot: int | None = None
    """Number of the hotkey's slot on the subnet."""
    block: int | None = None
    current_rounds: Mapping[str, str] = field(default_factory=dict)
    """Name of the latest round by competition."""
    weights_outcome: Outcome | None = None
    """The reason of its condition WeightsCurrent."""
    weights_current: bool = False
    """Whether the chain shows the computed weights."""
    weights: tuple[tuple[str, str], ...] = ()
    """Hotkey and weight, the largest first; empty unless the chain shows them."""
    unpaid: tuple[Unpaid, ...] = ()
    """Empty unless the chain shows the weights."""
    online: tuple[OnlineStep, ...] = ()
    """Empty unless the chain shows the weights."""
    last: LastSetting | None = None
    refused_claims: frozenset[tuple[str, str]] = frozenset()
    """Round and model whose claim to a commitment the chain contradicts."""
