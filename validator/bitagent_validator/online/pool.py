"""The pools of online evaluation: EvalRounds that only build a task set, one for each period. Pure.

The operator builds a pool as it builds the tasks of a round, from the competition's sources and alterations and a seed
of its own, so that a pool's tasks are drawn apart from those of any round. It is asked from the next period on: two
validators that build it at different speeds change pools at the same block. The first one is asked when it is built.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bitagent_crds.evalround import EvalRoundSpec
from bitagent_crds.examiner import Pool
from bitagent_crds.names import COMPETITION_LABEL, MANAGED_BY_LABEL, ONLINE_LABEL, VALIDATOR_LABEL, pool_name
from bitagent_crds.online import OnlinePool
from bitagent_crds.schema import API_VERSION
from bitagent_crds.validator import Competition
from bitagent_validator.competitions.rounds import AHEAD_OF_TIME_BLOCKS, MANAGER
from bitagent_validator.objects import Round, RoundPhase

KEPT = 2
"""Complete pools that stay: the one that is asked, and the next one."""
_SHORTEST_BOUND, _LONGEST_BOUND = 3600, 31536000


@dataclass(frozen=True)
class PoolPlan:
    """The pools of one competition, and what to do about them."""

    create: int | None = None
    """The period whose pool is to be created."""
    usable: tuple[Round, ...] = ()
    """Complete ones: the one that is to be asked, and others if its files are gone."""
    delete: tuple[str, ...] = ()
    """Names of those that are not asked any more."""
    waiting: str = ""
    """The one that is being built; empty if none is."""
    failed: str = ""
    """Why the latest one could not be built; empty if it could, or may be yet."""
    unreadable: str = ""
    """The latest one, if this version cannot read it: whether it is built is not known. The next period has another."""


def plan_pools(settings: OnlinePool, *, block: int, pools: Sequence[Round]) -> PoolPlan:
    """Return which pools of a competition to create, to ask and to delete at a block."""
    current = block // settings.every_blocks
    # Of another `everyBlocks`, or created at a height that is not believed any more: no period of theirs would end.
    # A node may be behind by more than a short period.
    ahead = block + max(settings.every_blocks, AHEAD_OF_TIME_BLOCKS)
    later = [p for p in pools if _period(p) * settings.every_blocks > ahead]
    ordered = sorted((p for p in pools if p.period is not None and p not in later), key=_period)
    latest = ordered[-1] if ordered else None
    building = [p for p in ordered if p.phase is RoundPhase.UNFINISHED and p.readable]
    complete = [p for p in ordered if p.phase is RoundPhase.COMPLETE and p.task_set_digest]
    due = latest is None or _period(latest) < current
    earlier = [p for p in complete if _period(p) < current]
    preferred = sorted(complete, key=lambda p: (p not in earlier[-1:], -_period(p)))
    kept = {p.name for p in (*complete[-KEPT:], *building, *ordered[-1:])}
    return PoolPlan(
        create=current if due and not building else None,
        usable=tuple(preferred),
        delete=tuple(p.name for p in (*ordered, *later) if p.name not in kept),
        waiting=building[-1].name if building else "",
        failed=f"{latest.name} failed: {latest.failure}" if latest and latest.phase is RoundPhase.FAILED else "",
        unreadable=latest.name if latest and not latest.readable else "",
    )


def _period(pool: Round) -> int:
    return -1 if pool.period is None else pool.period


def pool_of(round_: Round, competition: Competition) -> Pool:
    """Return how the examiner finds a complete pool, and how it scores answers to its tasks."""
    return Pool(round_uid=round_.uid, digest=round_.task_set_digest, scorer=competition.round.evaluation.scorer)


def pool_manifest(
    competition: Competition,
    settings: OnlinePool,
    period: int,
    *,
    seed: str,
    block_seconds: float,
    validator: str,
    namespace: str,
    owner: Mapping[str, object],
) -> dict[str, object]:
    """Return the EvalRound of one period's pool.

    Creating it twice is harmless, since its name follows from validator, competition and period.
    """
    template = competition.round.to_wire()
    tasks = {name: value for name, value in template["tasks"].items() if name != "secretRef"}
    bound = min(max(_SHORTEST_BOUND, math.ceil(settings.every_blocks * block_seconds)), _LONGEST_BOUND)
    spec = EvalRoundSpec.model_validate(
        {
            **template,
            "tasksOnly": True,
            "activeDeadlineSeconds": bound,
            "tasks": {**tasks, "count": settings.count, "seed": seed},
        }
    )
    return {
        "apiVersion": API_VERSION,
        "kind": "EvalRound",
        "metadata": {
            "name": pool_name(validator, competition.id, period),
            "namespace": namespace,
            "labels": {
                VALIDATOR_LABEL: validator,
                COMPETITION_LABEL: competition.id,
                ONLINE_LABEL: str(period),
                MANAGED_BY_LABEL: MANAGER,
            },
            "ownerReferences": [dict(owner)],
        },
        "spec": spec.to_wire(),
    }
