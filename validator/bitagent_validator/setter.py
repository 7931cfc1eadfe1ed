"""Set the weights: compute them, compare them with the chain, and submit them when they differ.

A pass of the loop never waits for a submission: it runs beside the loop and wakes it when it ends.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bitagent_crds.conditions import Reason
from bitagent_crds.validator import Competition, ValidatorSpec
from bitagent_kube.events import ObjectEvents
from bitagent_validator.chain.connection import ChainUnavailable, Connection
from bitagent_validator.chain.facts import Subnet
from bitagent_validator.metrics import Metrics
from bitagent_validator.policy.eligibility import Standings
from bitagent_validator.policy.interface import Pay, PolicyError
from bitagent_validator.policy.registry import pay
from bitagent_validator.state import Row, StateStore
from bitagent_validator.weights.plan import Decision, Step, SubmissionFailure, SubmissionProgress, plan_weights
from bitagent_validator.weights.submit import SubmissionOutcome, SubmissionRequest, SubmissionResult, submit
from bitagent_validator.weights.vector import combine, quantize

log = logging.getLogger(__name__)

ERA_BLOCKS = 32
"""Lifetime of a transaction, in blocks; one that was not included by then never will be."""
BACKOFF_BLOCKS_MAX = 64
STATES_KEPT = 200
"""Blocks whose state every node has: nodes discard states that are older than about 256 blocks."""

REASONS = {
    "rate_limited": Reason.RATE_LIMITED,
    "not_registered": Reason.NOT_REGISTERED,
    "not_authorized": Reason.NO_PERMIT,
    "insufficient_balance": Reason.STAKE_TOO_LOW,
}
"""Reasons by the SDK's error codes; all other codes are SubmissionFailed."""


@dataclass(frozen=True)
class ComputedWeights:
    """The weights of this pass."""

    shares: Mapping[str, float]
    """By hotkey; empty if no hotkey is to be paid."""
    row: Row | None
    """The same as a planned row; None if no hotkey is to be paid."""
    policy_problem: str = ""
    """Why a policy could not be applied; there are no weights then."""
    pay: Mapping[str, Mapping[str, Pay]] = field(default_factory=dict)
    """By competition and hotkey: what each hotkey with a model earns, and why."""


def compute_weights(
    competitions: list[Competition], *, standings: Mapping[str, Standings], subnet: Subnet
) -> ComputedWeights:
    """Apply every competition's policy to what is known about its hotkeys.

    If one policy cannot be applied there are no weights at all: its share must not go to the other competitions.
    """
    try:
        by_competition = {c.id: pay(c, standings.get(c.id, Standings(None)), subnet.neurons) for c in competitions}
    except PolicyError as error:
        return ComputedWeights({}, None, policy_problem=str(error))
    shares = {
        competition: {hotkey: each.share for hotkey, each in pays.items() if each.share}
        for competition, pays in by_competition.items()
    }
    combined = combine(shares, reward_shares={c.id: c.reward_share for c in competitions})
    weights = quantize(combined, rules=subnet.rules)
    rounds = tuple(known.scored.round for _, known in sorted(standings.items()) if known.scored)
    return ComputedWeights(combined, Row.planned(weights, rounds) if weights else None, pay=by_competition)


@dataclass(frozen=True)
class Account:
    """The hotkey that sets weights, and its key file."""

    hotkey: str
    hotkey_file: Path

    def on(self, netuid: int) -> str:
        """Return the name of the account on one subnet, as rows record it."""
        return f"{netuid}/{self.hotkey}"


class WeightSetter:
    """Reconciles planned weights with the chain for one hotkey; submits when they differ."""

    def __init__(
        self,
        account: Account,
        store: StateStore,
        events: ObjectEvents,
        metrics: Metrics,
        *,
        changed: Callable[[], None],
    ) -> None:
        self._account = account
        self._store = store
        self._events = events
        self._metrics = metrics
        self._changed = changed
        self._task: asyncio.Task[SubmissionResult] | None = None
        self._extrinsic = ""
        self._expires: int | None = None
        self._failure: SubmissionFailure | None = None
        self._failures = 0

    def decide(self, spec: ValidatorSpec, computed: ComputedWeights, subnet: Subnet) -> Decision:
        """Return what is to be done about the weights, given what is known now."""
        state, account = self._store.state, self._account.on(subnet.netuid)
        progress = SubmissionProgress(
            # Records of another hotkey or subnet say nothing about this account.
            pending=state.pending if state.pending and state.pending.account == account else None,
            accepted=state.accepted if state.accepted and state.accepted.account == account else None,
            in_flight=self._task is not None,
            expires=self._expires,
            failure=self._failure,
        )
        return plan_weights(
            mode=spec.weights.mode,
            version_key=spec.weights.version_key,
            planned=computed.row,
            any_round=bool(state.scored),
            subnet=subnet,
            progress=progress,
            policy_problem=computed.policy_problem,
        )

    async def step(
        self, spec: ValidatorSpec, computed: ComputedWeights, subnet: Subnet, *, connection: Connection
    ) -> Decision:
        """Carry out one step if one is due; return the decision that then holds.

        Raises ApiError if the step could not be recorded (it is not carried out then), and ChainUnavailable if the
        chain cannot be read.
        """
        await self._collect_result(subnet, connection)
        decision = self.decide(spec, computed, subnet)
        if decision.step is Step.DISCARD:
            await self._discard()
            decision = self.decide(spec, computed, subnet)
        if decision.step is Step.CONFIRM:
            await self._confirm(subnet, connection)
            decision = self.decide(spec, computed, subnet)
        if decision.step is Step.SUBMIT and computed.row:
            await self._submit(spec, computed.row, subnet, endpoint=connection.endpoint)
            decision = replace(decision, step=Step.WAIT)
        return decision

    async def stop(self) -> None:
        """Kill the submission in progress, if there is one."""
        if self._task and not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task})
            self._task = None

    async def _submit(self, spec: ValidatorSpec, planned: Row, subnet: Subnet, *, endpoint: str) -> None:
        pending = planned.as_pending(since=subnet.block, account=self._account.on(subnet.netuid))
        await self._store.save(self._store.state.model_copy(update={"pending": pending}))
        self._extrinsic, self._expires, self._failure = "", None, None
        request = SubmissionRequest(
            endpoint=endpoint,
            hotkey_file=self._account.hotkey_file,
            hotkey=self._account.hotkey,
            netuid=spec.netuid,
            weights={subnet.neurons[hotkey].uid: weight for hotkey, weight in pending.weights.items()},
            version_key=spec.weights.version_key,
            era_blocks=ERA_BLOCKS,
        )
        log.info("submitting %s for %d hotkeys", pending.source, pending.hotkeys)
        self._task = asyncio.create_task(self._timed(request, spec.weights.timeout_seconds))
        self._task.add_done_callback(lambda _: self._changed())

    async def _timed(self, request: SubmissionRequest, seconds: float) -> SubmissionResult:
        began = time.monotonic()
        try:
            return await submit(request, timeout_seconds=seconds)
        finally:
            self._metrics.submission_seconds.observe(time.monotonic() - began)

    async def _collect_result(self, subnet: Subnet, connection: Connection) -> None:
        """Process the result of a submission that ended, and determine until when its transaction may be included."""
        if self._task and self._task.done():
            # The task is kept until all of this is done: a pass that fails half-way repeats it.
            result = self._task.result()
            if result.outcome is not SubmissionOutcome.INCLUDED:
                self._record_failure(result, subnet)
            if result.outcome is SubmissionOutcome.REFUSED:
                await self._store.save(self._store.state.model_copy(update={"pending": None}))
            self._task, self._extrinsic = None, result.extrinsic
            self._metrics.submissions.labels(result.outcome.value).inc()
            if self._failure:
                await self._events.warning("WeightsFailed", self._failure.message, occasion=str(subnet.block))
        if self._store.state.pending and self._task is None and self._expires is None:
            # The submitting process has exited, so no extrinsic can have been signed after this head.
            self._expires = await connection.head() + ERA_BLOCKS

    def _record_failure(self, result: SubmissionResult, subnet: Subnet) -> None:
        wait = min(2**self._failures, BACKOFF_BLOCKS_MAX)
        self._failures += 1
        reason = REASONS.get(result.code, Reason.SUBMISSION_FAILED)
        if result.outcome is SubmissionOutcome.TIMED_OUT:
            reason = Reason.SUBMISSION_TIMED_OUT
        message = result.message or "no reason was given"
        self._failure = SubmissionFailure(reason, message, retry_block=subnet.block + wait)

    async def _discard(self) -> None:
        log.warning("the last submission expired without reaching the chain")
        await self._store.save(self._store.state.model_copy(update={"pending": None}))
        self._expires = None
        self._metrics.submissions.labels("Lost").inc()

    async def _confirm(self, subnet: Subnet, connection: Connection) -> None:
        pending = self._store.state.pending
        if pending is None or subnet.me is None:
            return
        block = subnet.me.last_update
        extrinsic, at = await self._inclusion(block, age=subnet.block - block, connection=connection)
        accepted = pending.as_accepted(block=block, at=at, extrinsic=extrinsic)
        await self._store.save(self._store.state.model_copy(update={"pending": None, "accepted": accepted}))
        self._failure, self._failures, self._expires = None, 0, None
        self._metrics.submissions.labels("Confirmed").inc()
        text = f"{accepted.source} for {accepted.hotkeys} hotkeys are on the chain: extrinsic {extrinsic}"
        await self._events.normal("WeightsSet", text)

    async def _inclusion(self, block: int, *, age: int, connection: Connection) -> tuple[str, datetime]:
        """Return the extrinsic that set the weights in a block, and the block's time; estimated if it is too old."""
        try:
            extrinsic = self._extrinsic or await connection.weights_extrinsic(block, hotkey=self._account.hotkey)
            return extrinsic, await connection.timestamp(block)
        except ChainUnavailable:
            if age < STATES_KEPT:
                raise
        # The pod did not run for long, and the node has discarded the block's state. The weights are set nevertheless.
        estimated = datetime.now(UTC) - timedelta(seconds=age * connection.block_seconds)
        return self._extrinsic or str(block), estimated.replace(microsecond=0)
