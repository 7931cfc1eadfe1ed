"""Online evaluation of all competitions: when a step begins, and what it changes.

Steps run beside the passes of the loop, each in a task of its own; a pass begins them, and records what they found. A
step that a killed process had begun is begun again with the same sample and task, if its interval has not ended.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version

from bitagent_crds.conditions import ConditionStatus, Reason
from bitagent_crds.online import Online, OnlineStatus
from bitagent_crds.validator import Competition
from bitagent_kube.conditions import ConditionValue
from bitagent_validator.chain.connection import Connection
from bitagent_validator.chain.facts import Subnet
from bitagent_validator.objects import ValidatorObject
from bitagent_validator.online.attempt import Due, StepAttempts
from bitagent_validator.online.means import recorded
from bitagent_validator.online.pools import PoolRounds, Problem
from bitagent_validator.online.reporting import measure, status_of, value_of
from bitagent_validator.online.step import StepReport, scores_of
from bitagent_validator.online.transcripts import Transcripts, transcript
from bitagent_validator.services import Services
from bitagent_validator.tracking.rows import rows_of
from bitagent_validator.tracking.tracker import Tracker, settings_of

log = logging.getLogger(__name__)

LATE_BLOCKS = 200
"""Blocks after its own within which a step may begin: nodes keep the state of about 256."""
CLOSE_SECONDS = 2.0
VERSION = version("bitagent")
"""The version of this program, in the names of runs."""


@dataclass
class _Run:
    """One competition."""

    task: asyncio.Task[StepReport] | None = None
    """The step under way, or one that has ended and is not recorded yet."""
    block: int = 0
    """The block of the step that was begun last."""
    report: StepReport | None = None
    """What the last step found that was recorded, whether it counted or not."""
    problem: Problem | None = None
    """Why no step begins; None if one may."""


class OnlineController:
    """The steps of one Validator's competitions."""

    def __init__(
        self,
        services: Services,
        *,
        pools: PoolRounds,
        attempts: StepAttempts,
        transcripts: Transcripts,
        tracker: Tracker,
        changed: Callable[[], object],
    ) -> None:
        self._services = services
        self._pools = pools
        self._attempts = attempts
        self._transcripts = transcripts
        self._tracker = tracker
        self._changed = changed
        """Called when a step has ended."""
        self._runs: dict[str, _Run] = {}

    async def reconcile(
        self,
        me: ValidatorObject,
        competition: Competition,
        subnet: Subnet,
        *,
        connection: Connection,
        blocked: str = "",
    ) -> None:
        """Record a step that has ended, take care of the pools, and begin the step that is due.

        `blocked` says why nothing is to be begun. Raises ApiError if the API server does not answer; it is then done
        again.
        """
        settings = competition.online
        if settings is None:
            return
        uid, tracking = subnet.me.uid if subnet.me else None, me.spec.tracking if me.spec else None
        await self._tracker.configure(settings_of(tracking, uid=uid, version=VERSION))
        run = self._runs.setdefault(competition.id, _Run())
        await self._record(me, competition, settings, run, subnet)
        if blocked:
            run.problem = (Reason.ROUNDS_NOT_STARTED, f"no miner is asked: {blocked}")
            return
        plan = await self._pools.reconcile(me, competition, block=subnet.block, connection=connection)
        run.problem = self._pools.problem(competition.id, plan)
        block = subnet.block // settings.every_blocks * settings.every_blocks
        known = self._services.store.state.online.get(competition.id)
        done = max(run.block, known.block if known else 0)
        late = subnet.block - block > min(settings.every_blocks, LATE_BLOCKS)
        if run.task is None and plan.usable and block > done and not late:
            run.block = block
            due = Due(competition, plan.usable, block=block, netuid=subnet.netuid)
            run.task = asyncio.create_task(self._attempts.run(due, connection))
            run.task.add_done_callback(lambda _: self._changed())

    async def forget_others(self, competitions: Sequence[Competition]) -> None:
        """End the steps of all competitions but those of the spec that ask miners, and delete their pools.

        Averages are deleted where `online` was removed; those of a competition that was removed stay as its scores do.
        Raises ApiError; what is left is then done again, also by a process that starts later.
        """
        asked = {each.id for each in competitions if each.online is not None}
        if not asked:
            await self._tracker.configure(None)
        for gone in self._runs.keys() - asked:
            run = self._runs.pop(gone)
            if run.task is not None:
                run.task.cancel()
        state = self._services.store.state
        dropped = {each.id for each in competitions} - asked
        if state.online.keys() & dropped:
            kept = {name: each for name, each in state.online.items() if name not in dropped}
            await self._services.store.save(state.model_copy(update={"online": kept}))
        await self._pools.delete_others(asked)

    def status(self, competitions: Sequence[Competition]) -> list[OnlineStatus]:
        """Return what is reported about the competitions that ask miners."""
        asked = [c.id for c in competitions if c.online is not None and c.id in self._runs]
        means = self._services.store.state.online
        return [status_of(each, self._runs[each].report, means.get(each)) for each in asked]

    def condition(self, competitions: Sequence[Competition]) -> ConditionValue | None:
        """Return the condition of the competition in the worst state; None if none asks miners."""
        runs = {c.id: self._runs.get(c.id, _Run()) for c in competitions if c.online is not None}
        found = [value_of(name, problem=run.problem, report=run.report) for name, run in runs.items()]
        order = (ConditionStatus.FALSE, ConditionStatus.UNKNOWN, ConditionStatus.TRUE)
        return min(found, key=lambda value: order.index(value.status), default=None)

    async def close(self) -> None:
        """End the steps under way."""
        tasks = [run.task for run in self._runs.values() if run.task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_SECONDS)
        self._transcripts.close(seconds=CLOSE_SECONDS)
        await self._tracker.close()

    async def _record(
        self, me: ValidatorObject, competition: Competition, settings: Online, run: _Run, subnet: Subnet
    ) -> None:
        """Record what a step found that has ended. Raises ApiError; it is then recorded by a later pass."""
        if run.task is None or not run.task.done():
            return
        report = run.task.result()
        if report.counts and report.pool is not None:
            state = self._services.store.state
            known = state.online.get(competition.id)
            after = recorded(
                known,
                scores_of(report, subnet.neurons),
                neurons=subnet.neurons,
                block=report.block,
                alpha=settings.alpha_percent / 100,
                pool=report.pool.name,
                baseline=report.pool.baseline,
            )
            if known is None or known.block < report.block:  # else a write of which no answer came was in effect
                await self._services.store.save(
                    state.model_copy(update={"online": {**state.online, competition.id: after}})
                )
        run.task, run.report = None, report
        known = self._services.store.state.online.get(competition.id)
        measure(self._services.metrics, competition.id, report, known)
        if report.results or report.message:
            content = transcript(report, known, at=datetime.now(UTC), validator=me.name)
            self._transcripts.put(content)
            uid = subnet.me.uid if subnet.me else None
            self._tracker.put(rows_of(content, validator_uid=uid, version=VERSION))
        if report.message:
            log.warning("competition %s, step of block %d: %s", competition.id, run.block, report.message)
