"""Set the weights: compute them, compare them with the chain, and submit them when they differ.

A pass of the loop never waits for a submission: it runs beside the loop and wakes it when it ends.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from bitagent_crds.conditions import Reason
from bitagent_crds.validator import ChainRead, ValidatorSpec, Weights
from bitagent_kube.errors import ApiError
from bitagent_kube.events import ObjectEvents
from bitagent_validator.chain.connection import ChainUnavailable, Connection
from bitagent_validator.chain.facts import Subnet
from bitagent_validator.metrics import Metrics
from bitagent_validator.state.documents import State
from bitagent_validator.state.rows import Reveal, Row, Setting
from bitagent_validator.state.store import StateStore
from bitagent_validator.wallet import Account
from bitagent_validator.weights.computed import ComputedWeights, guard_obstacle
from bitagent_validator.weights.fill import burn_target, change_between
from bitagent_validator.weights.plan import (
    Decision,
    Obstacle,
    Step,
    SubmissionFailure,
    SubmissionProgress,
    changed_hands,
    plan_weights,
)
from bitagent_validator.weights.reasons import meaning
from bitagent_validator.weights.submit import SubmissionOutcome, SubmissionRequest, SubmissionResult, submit
from bitagent_validator.weights.turns import Turns

log = logging.getLogger(__name__)

ERA_BLOCKS = 32
"""Lifetime of a transaction, in blocks; one that was not included by then never will be."""
BACKOFF_BLOCKS_MAX = 64
STATES_KEPT = 200
"""Blocks whose state every node has: nodes discard states that are older than about 256 blocks."""


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
        turns: Turns | None = None,
        mechanism: int = 0,
    ) -> None:
        self._account = account
        self._store = store
        self._events = events
        self._metrics = metrics
        self._changed = changed
        self._turns = turns
        self._mechanism = mechanism
        self._best = 0
        """The highest block seen."""
        self._missed = ""
        """The digest of the sealed commit whose loss was counted last."""
        self._task: asyncio.Task[SubmissionResult] | None = None
        self._extrinsic = ""
        self._paid: Mapping[str, Mapping[str, int]] | None = None
        """By competition: the shares behind the row that this process submitted last; None after its end."""
        self._expires: int | None = None
        self._failure: SubmissionFailure | None = None
        self._failures = 0

    def decide(
        self,
        spec: ValidatorSpec,
        computed: ComputedWeights,
        subnet: Subnet,
        *,
        accepts: str = "",
        skew: float | None = None,
    ) -> Decision:
        """Return what is to be done about the weights, given what is known now.

        `accepts` is what a person says about a row that the guard holds; `skew` is that of the clock, None if it fits.
        """
        state, account = self._store.state, self._account.on(subnet.netuid)
        pending, accepted = state.pending.get(self._mechanism), state.accepted.get(self._mechanism)
        progress = SubmissionProgress(
            # Records of another hotkey or subnet say nothing about this account.
            pending=pending if pending and pending.account == account else None,
            accepted=accepted if accepted and accepted.account == account else None,
            in_flight=self._task is not None,
            expires=self._expires,
            included=_block_of(self._extrinsic),
            failure=self._failure,
        )
        decision = plan_weights(
            mode=spec.weights.mode,
            version_key=sent_version_key(spec.weights, subnet.rules.version_key),
            planned=computed.row,
            any_round=bool(state.scored),
            subnet=subnet,
            progress=progress,
            policy_problem=computed.policy_problem,
            held=guard_obstacle(
                spec.weights.guard,
                computed,
                # Without a record, as after the loss of the ConfigMap, the chain's row is the last one.
                progress.accepted.weights if progress.accepted else subnet.weights,
                accepts=accepts,
            ),
            skew=skew,
            fill=spec.weights.fill,
            target=burn_target(spec.weights.burn, subnet)[0],
        )
        return with_notes(decision, computed)

    async def step(
        self,
        spec: ValidatorSpec,
        computed: ComputedWeights,
        subnet: Subnet,
        *,
        connection: Connection,
        accepts: str = "",
        skew: float | None = None,
    ) -> Decision:
        """Carry out one step if one is due; return the decision that then holds.

        Raises ApiError if the step could not be recorded (it is not carried out then), and ChainUnavailable if the
        chain cannot be read.
        """

        def decide() -> Decision:
            return self.decide(spec, computed, subnet, accepts=accepts, skew=skew)

        self._best = max(self._best, subnet.block)
        await self._collect_result(spec, subnet, connection)
        decision = decide()
        if decision.step is Step.DISCARD:
            await self._discard()
            decision = decide()
        if decision.step is Step.CONFIRM:
            await self._confirm(computed, subnet, connection)
            decision = decide()
        if decision.step is Step.REVEALED:
            await self._revealed()
            decision = decide()
        if decision.step is Step.SUBMIT and decision.row:
            if decision.reason is Reason.REVEAL_MISSED:
                await self._count_missed(decision.message)
            for sentence in changed_hands(self._store.state.accepted.get(self._mechanism), subnet):
                await self._events.warning("SlotChangedHands", sentence)
            key = max(subnet.rules.version_key, await connection.version_key(spec.netuid))
            changed = await self._changed_since(spec, computed, subnet, connection, key=key)
            if changed is not None:
                return replace(decision, step=Step.WAIT, reason=changed.reason, message=changed.message)
            sent = sent_version_key(spec.weights, key)
            await self._submit(spec, decision.row, subnet, url=connection.url, version_key=sent)
            self._paid = _behind(decision.row, computed)
            decision = replace(decision, step=Step.WAIT)
        return decision

    async def _changed_since(
        self, spec: ValidatorSpec, computed: ComputedWeights, subnet: Subnet, connection: Connection, *, key: int
    ) -> Obstacle | None:
        """Return what the newest block has changed of what decided: the version `key`, or whose weights are burnt.

        Either makes the setting wait for the next look at the subnet.
        """
        if sent_version_key(spec.weights, key) < key:
            return Obstacle(Reason.VERSION_KEY_TOO_LOW, f"the subnet requires version key {key} since this block")
        if computed.owner and computed.owner == subnet.owner_hotkey:
            owner = await connection.owner(spec.netuid)
            if owner != subnet.owner_hotkey:
                return Obstacle(Reason.WEIGHTS_PENDING, f"the subnet's owner is {owner} since this block")
        return None

    async def stop(self) -> None:
        """Kill the submission in progress, if there is one."""
        if self._task and not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task})
            self._task = None

    async def _submit(self, spec: ValidatorSpec, planned: Row, subnet: Subnet, *, url: str, version_key: int) -> None:
        uids = {hotkey: subnet.neurons[hotkey].uid for hotkey in planned.weights}
        pending = planned.as_pending(
            since=subnet.block, account=self._account.on(subnet.netuid), uids=uids, epoch=subnet.epoch
        )
        state = self._store.state.with_pending(self._mechanism, pending)
        try:
            await self._store.save(state)
        except ApiError as error:
            if error.conflict or not 400 <= error.code < 500:
                raise
            # A record that is refused must not cost the weights: this process remembers, and the chain is read anyway.
            log.error("the row cannot be recorded, and is sent all the same: %s", error)
            self._store.remember(state)
        self._extrinsic, self._expires, self._failure = "", None, None
        request = SubmissionRequest(
            endpoint=url,
            hotkey_file=self._account.hotkey_file,
            hotkey=self._account.hotkey,
            netuid=spec.netuid,
            mechanism=self._mechanism,
            sealed=subnet.rules.commit_reveal,
            finalized=spec.chain.read is ChainRead.FINALIZED,
            weights=pending.by_uid,
            version_key=version_key,
            era_blocks=ERA_BLOCKS,
        )
        log.info("submitting %s for %d hotkeys", pending.source, pending.hotkeys)
        self._task = asyncio.create_task(self._timed(request, spec.weights.timeout_seconds))
        self._task.add_done_callback(lambda _: self._changed())

    async def _timed(self, request: SubmissionRequest, seconds: float) -> SubmissionResult:
        if self._turns is None:
            return await self._measured(request, seconds)
        async with self._turns.turn():
            return await self._measured(request, seconds)

    async def _measured(self, request: SubmissionRequest, seconds: float) -> SubmissionResult:
        began = time.monotonic()
        try:
            return await submit(request, timeout_seconds=seconds)
        finally:
            self._metrics.submission_seconds.observe(time.monotonic() - began)

    async def _collect_result(self, spec: ValidatorSpec, subnet: Subnet, connection: Connection) -> None:
        """Process the result of a submission that ended, and determine until when its transaction may be included."""
        pending = self._store.state.pending.get(self._mechanism)
        if self._task and self._task.done():
            # The task is kept until all of this is done: a pass that fails half-way repeats it.
            result = _result_of(self._task)
            if result.outcome is not SubmissionOutcome.INCLUDED:
                self._record_failure(result, subnet)
            if result.certain:
                pending = None
            elif pending:
                pending = pending.model_copy(
                    update={"commit": result.commit or pending.commit, "signed": result.signed or None}
                )
            if pending != self._store.state.pending.get(self._mechanism):
                await self._save(self._store.state.with_pending(self._mechanism, pending))
            self._task, self._extrinsic = None, result.extrinsic
            self._metrics.submissions.labels(result.outcome.value).inc()
            if result.code == "hotkey_changed":
                raise HotkeyChanged(result.message)
            if self._failure:
                await self._events.warning("WeightsFailed", self._failure.message, occasion=str(subnet.block))
        if pending and self._task is None and self._expires is None:
            # The submitting process has exited, so no extrinsic can have been signed after this head, and the node that
            # is asked now may be behind the one that was asked then.
            longest = math.ceil(spec.weights.timeout_seconds / connection.block_seconds)
            signed = pending.signed if pending.signed is not None else min(pending.since + longest, self._best)
            self._expires = max(await connection.head(), signed, pending.since) + ERA_BLOCKS

    def _record_failure(self, result: SubmissionResult, subnet: Subnet) -> None:
        wait = min(2**self._failures, BACKOFF_BLOCKS_MAX)
        self._failures += 1
        reason = meaning(name=result.error, code=result.code).reason
        if result.outcome is SubmissionOutcome.TIMED_OUT:
            reason = Reason.SUBMISSION_TIMED_OUT
        message = result.message or "no reason was given"
        if reason is Reason.CANNOT_PAY_FEES:
            me = subnet.me
            message += f"; fees are paid by the coldkey that owns the hotkey{f' ({me.coldkey})' if me else ''}: fund it"
        self._failure = SubmissionFailure(reason, message, retry_block=subnet.block + wait)

    async def _save(self, state: State) -> None:
        """Record a state; one that the API server refuses for good is remembered."""
        try:
            await self._store.save(state)
        except ApiError as error:
            if error.conflict or not 400 <= error.code < 500:
                raise
            log.error("the state cannot be recorded: %s", error)
            self._store.remember(state)

    async def _revealed(self) -> None:
        accepted = self._store.state.accepted.get(self._mechanism)
        if accepted is None:
            return
        revealed = accepted.model_copy(update={"reveal": Reveal.REVEALED})
        state = self._store.state.with_accepted(self._mechanism, revealed)
        await self._save(state.with_reveal(self._mechanism, accepted.block, missed=False))
        self._metrics.reveals.labels("Revealed").inc()

    async def _count_missed(self, message: str) -> None:
        accepted = self._store.state.accepted.get(self._mechanism)
        occasion = str(accepted.block) if accepted else ""
        if accepted is None or self._missed == occasion:
            return
        self._missed = occasion
        await self._save(self._store.state.with_reveal(self._mechanism, accepted.block, missed=True))
        self._metrics.reveals.labels("Missed").inc()
        await self._events.warning("RevealMissed", message, occasion=occasion)

    async def _discard(self) -> None:
        log.warning("the last submission expired without reaching the chain")
        await self._save(self._store.state.with_pending(self._mechanism, None))
        self._expires = None
        self._metrics.submissions.labels("Lost").inc()

    async def _confirm(self, computed: ComputedWeights, subnet: Subnet, connection: Connection) -> None:
        pending = self._store.state.pending.get(self._mechanism)
        if pending is None or subnet.me is None:
            return
        block = subnet.me.last_update
        extrinsic, at = await self._inclusion(block, age=subnet.block - block, connection=connection)
        sealed = subnet.rules.commit_reveal
        found = next((each.digest for each in subnet.commits if each.block == block), "")
        # A process that was killed as it sent the row did not say its hash.
        pending = pending.model_copy(update={"commit": pending.commit or found})
        accepted = pending.as_accepted(
            block=block, at=at, extrinsic=extrinsic, reveal=Reveal.PENDING if sealed else Reveal.OPEN
        )
        state = self._store.state.with_pending(self._mechanism, None).with_accepted(self._mechanism, accepted)
        before = self._store.state.accepted.get(self._mechanism)
        setting = Setting(
            mechanism=self._mechanism,
            block=block,
            at=at,
            rounds=accepted.rounds,
            hotkeys=accepted.hotkeys,
            digest=accepted.digest,
            extrinsic=extrinsic,
            change=round(change_between(before.weights, accepted.weights), 4) if before else 0.0,
            reveal=accepted.reveal,
        )
        state = state.with_setting(setting)
        paid = _behind(accepted, computed) if self._paid is None else self._paid
        held = {**state.held, **{name: dict(shares) for name, shares in paid.items()}}
        await self._save(state.model_copy(update={"held": held}))
        self._failure, self._failures, self._expires, self._paid = None, 0, None, None
        self._metrics.submissions.labels("Confirmed").inc()
        text = f"{accepted.source} for {accepted.hotkeys} hotkeys are on the chain: extrinsic {extrinsic}"
        if sealed:
            text = f"{accepted.source} for {accepted.hotkeys} hotkeys were sent sealed: extrinsic {extrinsic}"
        await self._events.normal("WeightsSet", text)
        for sentence in changed_hands(accepted, subnet):
            await self._events.warning("SlotChangedHands", sentence, occasion=str(block))

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


class HotkeyChanged(Exception):
    """The hotkey file holds another key than at the start: the process must be restarted."""


def _result_of(task: asyncio.Task[SubmissionResult]) -> SubmissionResult:
    """Return the result of an ended submission; an error of its own is a result as well."""
    if task.cancelled():
        return SubmissionResult(outcome=SubmissionOutcome.UNKNOWN, message="the submission was stopped", signed=0)
    error = task.exception()
    if error is None:
        return task.result()
    message = f"{type(error).__name__}: {error}"
    return SubmissionResult(outcome=SubmissionOutcome.UNKNOWN, message=message, signed=0)


def _block_of(extrinsic: str) -> int | None:
    """Return the block of an extrinsic, `block-index`; None if there is none."""
    block = extrinsic.partition("-")[0]
    return int(block) if block.isdecimal() else None


def _behind(row: Row, computed: ComputedWeights) -> Mapping[str, Mapping[str, int]]:
    """Return the shares by competition behind a row: none if it is not the one computed now, but the last good one."""
    return computed.paid if computed.row and computed.row.digest == row.digest else {}


def sent_version_key(weights: Weights, subnets: int) -> int:
    """Return the version key that is sent: the configured one, or the subnet's own if it may be followed."""
    return max(weights.version_key, subnets) if subnets <= weights.follow_version_key_up_to else weights.version_key


def with_notes(decision: Decision, computed: ComputedWeights) -> Decision:
    """Return a decision that also says which policy failed, and why nothing is burnt."""
    notes = [f"{name}: {why}; its last shares stay" for name, why in sorted(computed.failed.items())]
    reason = Reason.POLICY_FAILED
    if computed.burn_problem:
        notes.append(computed.burn_problem)
        reason = reason if computed.failed else Reason.BURN_UNAVAILABLE
    if not notes:
        return decision
    message = "; ".join([*notes, decision.message])
    if decision.reason in (Reason.WEIGHTS_SET, Reason.WEIGHTS_PENDING, Reason.NO_ELIGIBLE_MINERS):
        return replace(decision, current=False, reason=reason, message=message)
    return replace(decision, message=message)
