"""Online evaluation of all competitions: when a step begins, what it changes, and what is reported.

Steps run beside the passes of the loop, each in a task of its own; a pass begins them, and records what they found. A
step that a killed process had begun is begun again with the same sample and task, if its interval has not ended.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version

from bitagent_crds.conditions import ConditionStatus, ConditionType, Reason
from bitagent_crds.names import pool_name
from bitagent_crds.online import (
    LEFT_OUT_MAX,
    ONLINE_RESULTS_MAX,
    LeftOut,
    LeftOutReason,
    Online,
    OnlineOutcome,
    OnlineResult,
    OnlineStatus,
)
from bitagent_crds.validator import Competition
from bitagent_kube.conditions import ConditionValue, clip
from bitagent_kube.errors import ApiError
from bitagent_kube.resources import ROUNDS
from bitagent_validator.chain.connection import ChainUnavailable, Connection, SubnetNotFound
from bitagent_validator.chain.endpoints import of_local_chain
from bitagent_validator.chain.facts import Subnet
from bitagent_validator.competitions.seed_secrets import SecretUnavailable, SeedSecrets
from bitagent_validator.objects import Round, ValidatorObject
from bitagent_validator.online.examiner import Examiner
from bitagent_validator.online.feedback import held_seconds
from bitagent_validator.online.means import recorded
from bitagent_validator.online.pool import PoolPlan, plan_pools, pool_manifest, pool_of
from bitagent_validator.online.sample import draw, step_seed, task_seed
from bitagent_validator.online.step import StepPlan, StepReport, UsablePool, run_step, scores_of
from bitagent_validator.online.transcripts import Transcripts, transcript
from bitagent_validator.policy.registry import terms_of
from bitagent_validator.questions import Questioner, open_questioner
from bitagent_validator.services import Services
from bitagent_validator.tracking.rows import rows_of
from bitagent_validator.tracking.tracker import Tracker, settings_of
from bitagent_validator.wallet import Account, load_hotkey
from bitagent_wire.hotkey_file import HotkeyFileError
from bitagent_wire.outcomes import KnownProtocols

log = logging.getLogger(__name__)

STEP_SECONDS = 900.0
"""Time limit of one step; a step that reaches it does not count."""
LATE_BLOCKS = 200
"""Blocks after its own within which a step may begin: nodes keep the state of about 256."""
CLOSE_SECONDS = 2.0
VERSION = version("bitagent")
"""The version of this program, in the names of runs."""

OpenQuestioner = Callable[..., AbstractAsyncContextManager[Questioner]]


@dataclass
class _Run:
    """One competition."""

    task: asyncio.Task[StepReport] | None = None
    """The step under way, or one that has ended and is not recorded yet."""
    block: int = 0
    """The block of the step that was begun last."""
    report: StepReport | None = None
    """What the last step found that was recorded, whether it counted or not."""
    counted: StepReport | None = None
    """The last one that counted."""
    problem: tuple[Reason, str] | None = None
    """Why no step begins; None if one may."""
    refusal: str = ""
    """Why its pool could not be created; each reason is posted once as an Event."""


class OnlineController:
    """The steps of one Validator's competitions."""

    def __init__(
        self,
        services: Services,
        *,
        account: Account,
        uid: str,
        secrets: SeedSecrets,
        transcripts: Transcripts,
        tracker: Tracker,
        changed: Callable[[], object],
        examiner: Callable[[], Examiner] = Examiner,
        open_questions: OpenQuestioner = open_questioner,
    ) -> None:
        self._services = services
        self._account = account
        self._uid = uid
        """The Validator's."""
        self._secrets = secrets
        self._transcripts = transcripts
        self._tracker = tracker
        self._changed = changed
        """Called when a step has ended."""
        self._examiner = examiner
        self._open_questions = open_questions
        self._known = KnownProtocols()
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
            await self._forget(competition.id)
            return
        uid, tracking = subnet.me.uid if subnet.me else None, me.spec.tracking if me.spec else None
        await self._tracker.configure(settings_of(tracking, uid=uid, version=VERSION))
        run = self._runs.setdefault(competition.id, _Run())
        await self._record(me, competition, settings, run, subnet)
        if blocked:
            run.problem = (Reason.ROUNDS_NOT_STARTED, f"no miner is asked: {blocked}")
            return
        plan = await self._pools(me, competition, settings, run, block=subnet.block, connection=connection)
        run.problem = run.problem if run.refusal else _pool_problem(plan)
        block = subnet.block // settings.every_blocks * settings.every_blocks
        known = self._services.store.state.online.get(competition.id)
        done = max(run.block, known.block if known else 0)
        late = subnet.block - block > min(settings.every_blocks, LATE_BLOCKS)
        if run.task is None and plan.usable and block > done and not late:
            run.block = block
            run.task = asyncio.create_task(
                self._step(competition, settings, plan.usable, block=block, netuid=subnet.netuid, connection=connection)
            )
            run.task.add_done_callback(lambda _: self._changed())

    def status(self, competitions: Sequence[Competition]) -> list[OnlineStatus]:
        """Return what is reported about the competitions that ask miners."""
        return [self._status(c.id) for c in competitions if c.online is not None and c.id in self._runs]

    def condition(self, competitions: Sequence[Competition]) -> ConditionValue | None:
        """Return the condition of the competition in the worst state; None if none asks miners."""
        found = [_value(c.id, self._runs.get(c.id, _Run())) for c in competitions if c.online is not None]
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

    async def _forget(self, competition: str) -> None:
        run = self._runs.pop(competition, None)
        if run is not None and run.task is not None:
            run.task.cancel()
        state = self._services.store.state
        if competition in state.online:
            kept = {name: each for name, each in state.online.items() if name != competition}
            await self._services.store.save(state.model_copy(update={"online": kept}))

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
            run.counted = report
        run.task, run.report = None, report
        self._measure(competition.id, report)
        if report.results or report.message:
            known = self._services.store.state.online.get(competition.id)
            content = transcript(report, known, at=datetime.now(UTC), validator=me.name)
            self._transcripts.put(content)
            uid = subnet.me.uid if subnet.me else None
            self._tracker.put(rows_of(content, validator_uid=uid, version=VERSION))
        if report.message:
            log.warning("competition %s, step of block %d: %s", competition.id, run.block, report.message)

    def _measure(self, competition: str, report: StepReport) -> None:
        metrics = self._services.metrics
        metrics.online_steps.labels(competition, report.reason.value if report.message else "Counted").inc()
        for result in report.results:
            metrics.online_answers.labels(competition, result.outcome.value).inc()
            if result.answer is not None:
                metrics.online_answer_seconds.observe(result.answer.seconds)
        known = self._services.store.state.online.get(competition)
        if known is not None:
            metrics.online_step_block.labels(competition).set(known.block)
            metrics.online_miners.labels(competition).set(len(known.means))
        if report.plan is not None:
            counts = Counter(report.plan.sample.left_out.values())
            for reason in LeftOutReason:
                metrics.online_left_out.labels(competition, reason.value).set(counts[reason])

    async def _pools(
        self,
        me: ValidatorObject,
        competition: Competition,
        settings: Online,
        run: _Run,
        *,
        block: int,
        connection: Connection,
    ) -> PoolPlan:
        """Create the pool of the present period, and delete those that are not asked any more; return the plan."""
        services = self._services
        plan = plan_pools(settings.pool, block=block, pools=self._pools_of(competition.id))
        if plan.create is not None:
            await self._create(me, competition, settings, run, period=plan.create, connection=connection)
        else:
            run.refusal = ""
        for name in plan.delete:
            round_ = services.rounds.objects.get(name)
            if round_ is not None:
                await services.client.delete(ROUNDS, name, uid=round_.uid)
                services.rounds.drop(round_.uid)
                log.info("%s is deleted: later tasks are asked", name)
        return plan_pools(settings.pool, block=block, pools=self._pools_of(competition.id))

    async def _create(
        self,
        me: ValidatorObject,
        competition: Competition,
        settings: Online,
        run: _Run,
        *,
        period: int,
        connection: Connection,
    ) -> None:
        services = self._services
        name = pool_name(me.name, competition.id, period)
        try:
            seed = self._secrets.pool_seed(competition, period=period, genesis=connection.genesis)
        except SecretUnavailable as error:
            run.problem, run.refusal = (Reason.POOL_UNAVAILABLE, str(error)), str(error)
            return
        body = pool_manifest(
            competition,
            settings.pool,
            period,
            seed=seed,
            block_seconds=connection.block_seconds,
            validator=me.name,
            namespace=me.namespace,
            owner=me.reference.as_owner(),
        )
        try:
            services.rounds.put(await services.client.create(body))
        except ApiError as error:
            if error.conflict:
                existing = await services.client.get(ROUNDS, name)
                if existing is not None:
                    services.rounds.put(existing)
                run.refusal = ""
                return
            if not 400 <= error.code < 500:
                raise
            problem = f"{name} cannot be created: {error}"
            if run.refusal != problem:
                await services.events.warning("RoundRefused", problem)
            run.problem, run.refusal = (Reason.POOL_UNAVAILABLE, problem), problem
            return
        run.refusal = ""
        log.info("%s is created: tasks of period %d", name, period)

    def _pools_of(self, competition: str) -> list[Round]:
        rounds = self._services.rounds.objects.values()
        return [r for r in rounds if r.tasks_only and r.competition == competition and r.owner == self._uid]

    async def _step(
        self,
        competition: Competition,
        settings: Online,
        pools: Sequence[Round],
        *,
        block: int,
        netuid: int,
        connection: Connection,
    ) -> StepReport:
        """Carry out a step; whatever goes wrong is in the report. Raises CancelledError."""
        examiner = self._examiner()
        try:
            async with asyncio.timeout(STEP_SECONDS):
                plan = await self._plan(competition, settings, pools, block=block, netuid=netuid, connection=connection)
                signer = load_hotkey(self._account.hotkey_file)
                local = of_local_chain(connection.url, genesis=connection.genesis)
                async with self._open_questions(signer, local=local, known=self._known) as questioner:
                    return await run_step(plan, examiner=examiner, questioner=questioner)
        except ChainUnavailable as error:
            return _failed(block, error.reason, str(error))
        except (SubnetNotFound, HotkeyFileError) as error:
            return _failed(block, Reason.CHAIN_UNREACHABLE, str(error))
        except TimeoutError:
            return _failed(block, Reason.EXAMINER_UNAVAILABLE, f"the step was not done in {STEP_SECONDS:g} s")
        except Exception as error:
            log.exception("the step of block %d failed", block)
            return _failed(block, Reason.PART_FAILED, f"{type(error).__name__}: {error}")
        finally:
            await examiner.close()

    async def _plan(
        self,
        competition: Competition,
        settings: Online,
        pools: Sequence[Round],
        *,
        block: int,
        netuid: int,
        connection: Connection,
    ) -> StepPlan:
        """Return what the step of a block does, by the chain at that block."""
        block_hash = await connection.block_hash(block)
        subnet = await connection.subnet(netuid, hotkey=self._account.hotkey, block=block)
        seed = step_seed(genesis=connection.genesis, block_hash=block_hash, netuid=netuid, competition=competition.id)
        sample = draw(
            subnet.neurons,
            seed=seed,
            size=settings.sample_size,
            own=self._account.hotkey,
            excluded=settings.exclude_hotkeys,
            validator_stake=terms_of(competition).validator_stake,
        )
        return StepPlan(
            competition=competition.id,
            block=block,
            seed=task_seed(seed),
            sample=sample,
            settings=settings,
            pools=[UsablePool(p.name, pool_of(p, competition), float(p.baseline or 0)) for p in pools],
            known=self._services.store.state.online.get(competition.id),
            held_seconds=held_seconds(competition),
        )

    def _status(self, competition: str) -> OnlineStatus:
        run, state = self._runs[competition], self._services.store.state.online.get(competition)
        report = run.report
        left_out = report.plan.sample.left_out if report is not None and report.plan is not None else {}
        means = state.means if state else {}
        results = []
        for result in (report.results if report else ())[:ONLINE_RESULTS_MAX]:
            mean = means.get(result.neuron.hotkey)
            results.append(
                OnlineResult(
                    hotkey=result.neuron.hotkey,
                    outcome=result.outcome,
                    score=None if result.score is None else f"{result.score:.6f}",
                    mean=f"{mean.mean:.6f}" if mean else None,
                    message=clip(result.message, 128),
                )
            )
        return OnlineStatus(
            competition=competition,
            block=state.block if state else 0,
            pool=(state.pool if state else "") or None,
            miners=len(means),
            results=results,
            left_out_count=len(left_out),
            left_out=[LeftOut(hotkey=h, reason=reason) for h, reason in sorted(left_out.items())[:LEFT_OUT_MAX]],
        )


def _failed(block: int, reason: Reason, message: str) -> StepReport:
    return StepReport(None, reason=reason, message=message, block=block)


def _pool_problem(plan: PoolPlan) -> tuple[Reason, str] | None:
    if plan.usable:
        return None
    if plan.waiting:
        return Reason.POOL_PENDING, f"{plan.waiting} builds the first tasks"
    if plan.failed:
        return Reason.POOL_UNAVAILABLE, f"{plan.failed}; raise its spec.retry, or wait for the next period"
    return Reason.POOL_PENDING, "the first tasks are about to be built"


def _value(competition: str, run: _Run) -> ConditionValue:
    """Return the OnlineCurrent condition of one competition."""
    kind, report = ConditionType.ONLINE_CURRENT, run.report
    if run.problem is not None:
        reason, text = run.problem
        waits = reason is Reason.POOL_PENDING
        status = ConditionStatus.UNKNOWN if waits else ConditionStatus.FALSE
        return ConditionValue(kind, status, reason, f"{competition}: {text}")
    if report is None:
        text = f"{competition}: the first step has not ended"
        return ConditionValue(kind, ConditionStatus.UNKNOWN, Reason.ONLINE_STEP_PENDING, text)
    if report.message:
        return ConditionValue(kind, ConditionStatus.FALSE, report.reason, f"{competition}: {report.message}")
    scored = sum(result.outcome is OnlineOutcome.SCORED for result in report.results)
    text = f"{competition}: {scored} of {len(report.results)} miners answered the task of block {report.block}"
    return ConditionValue(kind, ConditionStatus.TRUE, Reason.ONLINE_STEP_DONE, text)
