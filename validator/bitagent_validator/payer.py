"""Set the weights: what is wanted, whether the chain has it, and a submission when it does not.

A pass never waits for a submission; it runs beside the loop and its end wakes the loop.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bitagent_crds.conditions import Reason
from bitagent_crds.validator import Competition, ValidatorSpec
from bitagent_validator.chain.connection import ChainUnavailable, Connection
from bitagent_validator.chain.facts import Subnet
from bitagent_validator.metrics import Metrics
from bitagent_validator.policy import POLICIES
from bitagent_validator.recorder import Recorder
from bitagent_validator.state import AcceptedRow, PendingRow, ScoredRound, Store
from bitagent_validator.weights.messages import Outcome, Request, Result
from bitagent_validator.weights.plan import Failure, Intent, Progress, Step, Verdict, plan_weights
from bitagent_validator.weights.submission import submit
from bitagent_validator.weights.vector import Wanted, combine, quantize

log = logging.getLogger(__name__)

ERA_BLOCKS = 32
"""Life of a transaction. After as many blocks, one that was never seen can be given up for good."""
BACKOFF_BLOCKS_MAX = 64
STATES_KEPT = 200
"""Nodes forget the state of blocks older than about 256; what is younger than this must be there."""

REASONS = {
    "rate_limited": Reason.RATE_LIMITED,
    "not_registered": Reason.NOT_REGISTERED,
    "not_authorized": Reason.NO_PERMIT,
    "insufficient_balance": Reason.STAKE_TOO_LOW,
}
"""Reasons of the contract for the SDK's error codes; the others are SubmissionFailed."""


@dataclass(frozen=True)
class Computed:
    """The weights of this pass."""

    weights: Mapping[str, float]
    """By hotkey; empty when nobody is to be paid."""
    wanted: Wanted | None


def compute(
    competitions: list[Competition],
    *,
    scored: Mapping[str, ScoredRound],
    entrants: Mapping[str, frozenset[str]],
    subnet: Subnet,
) -> Computed:
    """Apply every competition's policy to its last complete round. Pure."""
    shares = {
        c.id: POLICIES[c.policy](scored[c.id].standings(entrants.get(c.id, frozenset())), subnet.neurons)
        for c in competitions
        if c.id in scored
    }
    weights = combine(shares, reward_shares={c.id: c.reward_share for c in competitions})
    row = quantize(weights, rules=subnet.rules)
    rounds = tuple(scored[competition].round for competition in sorted(shares))
    return Computed(weights, Wanted(row, rounds) if row else None)


@dataclass(frozen=True)
class Account:
    """Who submits, and where the key is."""

    hotkey: str
    hotkey_file: Path

    def on(self, netuid: int) -> str:
        """The account on one subnet, as records name it."""
        return f"{netuid}/{self.hotkey}"


class Payer:
    """The submissions of one hotkey."""

    def __init__(
        self, account: Account, store: Store, recorder: Recorder, metrics: Metrics, *, changed: Callable[[], None]
    ) -> None:
        self._account = account
        self._store = store
        self._recorder = recorder
        self._metrics = metrics
        self._changed = changed
        self._task: asyncio.Task[Result] | None = None
        self._extrinsic = ""
        self._expires: int | None = None
        self._failure: Failure | None = None
        self._failures = 0

    def verdict(self, spec: ValidatorSpec, computed: Computed, subnet: Subnet) -> Verdict:
        """What is to be done about the weights, by what is known now."""
        state, account = self._store.state, self._account.on(subnet.netuid)
        progress = Progress(
            # Records of another hotkey or subnet tell nothing about this one.
            intent=state.pending.intent() if state.pending and state.pending.account == account else None,
            sent=state.accepted.sent() if state.accepted and state.accepted.account == account else None,
            in_flight=self._task is not None,
            expires=self._expires,
            failure=self._failure,
        )
        return plan_weights(
            mode=spec.weights.mode,
            version_key=spec.weights.version_key,
            wanted=computed.wanted,
            any_round=bool(state.scored),
            subnet=subnet,
            progress=progress,
        )

    async def act(self, spec: ValidatorSpec, computed: Computed, subnet: Subnet, *, connection: Connection) -> Verdict:
        """Take one step, if one is due; returns the verdict that then holds.

        Raises:
            ApiError: The step could not be written down, and was not taken.
            ChainUnavailable: The chain could not be asked.
        """
        await self._settle_submission(subnet, connection)
        verdict = self.verdict(spec, computed, subnet)
        if verdict.step is Step.FORGET:
            await self._forget()
            verdict = self.verdict(spec, computed, subnet)
        if verdict.step is Step.CONFIRM:
            await self._confirm(subnet, connection)
            verdict = self.verdict(spec, computed, subnet)
        if verdict.step is Step.SUBMIT and computed.wanted:
            await self._submit(spec, Intent(computed.wanted, subnet.block), subnet, endpoint=connection.endpoint)
            verdict = replace(verdict, step=Step.WAIT)
        return verdict

    async def stop(self) -> None:
        """Kill a submission that is under way."""
        if self._task and not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task})
            self._task = None

    async def _submit(self, spec: ValidatorSpec, intent: Intent, subnet: Subnet, *, endpoint: str) -> None:
        row, rounds = dict(intent.wanted.row), intent.wanted.rounds
        account = self._account.on(subnet.netuid)
        pending = PendingRow(since=intent.since, row=row, rounds=rounds, account=account)
        await self._store.save(self._store.state.model_copy(update={"pending": pending}))
        self._extrinsic, self._expires, self._failure = "", None, None
        request = Request(
            endpoint=endpoint,
            hotkey_file=self._account.hotkey_file,
            hotkey=self._account.hotkey,
            netuid=spec.netuid,
            weights={subnet.neurons[hotkey].uid: value for hotkey, value in row.items()},
            version_key=spec.weights.version_key,
            era_blocks=ERA_BLOCKS,
        )
        log.info("submitting the weights of %s for %d hotkeys", ", ".join(rounds), len(row))
        self._task = asyncio.create_task(self._timed(request, spec.weights.timeout_seconds))
        self._task.add_done_callback(lambda _: self._changed())

    async def _timed(self, request: Request, seconds: float) -> Result:
        began = time.monotonic()
        try:
            return await submit(request, timeout_seconds=seconds)
        finally:
            self._metrics.submission_seconds.observe(time.monotonic() - began)

    async def _settle_submission(self, subnet: Subnet, connection: Connection) -> None:
        """Take note of a submission that ended, and of how long a transaction of it may still be around."""
        if self._task and self._task.done():
            # Kept until the end of this: a pass that fails half-way does it again.
            result = self._task.result()
            if result.outcome is not Outcome.INCLUDED:
                self._fail(result, subnet)
            if result.outcome is Outcome.REFUSED:
                await self._store.save(self._store.state.model_copy(update={"pending": None}))
            self._task, self._extrinsic = None, result.extrinsic
            self._metrics.submissions.labels(result.outcome.value).inc()
            if self._failure:
                await self._recorder.warn("WeightsFailed", self._failure.message)
        if self._store.state.pending and self._task is None and self._expires is None:
            # Whoever was submitting is dead by now, so nothing signed later than this head exists.
            self._expires = await connection.head() + ERA_BLOCKS

    def _fail(self, result: Result, subnet: Subnet) -> None:
        wait = min(2**self._failures, BACKOFF_BLOCKS_MAX)
        self._failures += 1
        reason = REASONS.get(result.code, Reason.SUBMISSION_FAILED)
        if result.outcome is Outcome.TIMED_OUT:
            reason = Reason.SUBMISSION_TIMED_OUT
        self._failure = Failure(reason, result.message or "no reason was given", retry_block=subnet.block + wait)

    async def _forget(self) -> None:
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
        accepted = AcceptedRow(
            digest=pending.intent().wanted.digest,
            block=block,
            at=at,
            rounds=pending.rounds,
            extrinsic=extrinsic,
            hotkeys=len(pending.row),
            account=pending.account,
        )
        await self._store.save(self._store.state.model_copy(update={"pending": None, "accepted": accepted}))
        self._failure, self._failures, self._expires = None, 0, None
        self._metrics.submissions.labels("Confirmed").inc()
        text = f"weights of {', '.join(pending.rounds)} for {len(pending.row)} hotkeys are on the chain: extrinsic {extrinsic}"
        await self._recorder.note("WeightsSet", text)

    async def _inclusion(self, block: int, *, age: int, connection: Connection) -> tuple[str, datetime]:
        """The extrinsic that set the weights in a block, and the block's time; as near as can be told when it is old."""
        try:
            extrinsic = self._extrinsic or await connection.weights_extrinsic(block, hotkey=self._account.hotkey)
            return extrinsic, await connection.timestamp(block)
        except ChainUnavailable:
            if age < STATES_KEPT:
                raise
        # The pod was away for long, and the node no longer tells; the weights stand all the same.
        reckoned = datetime.now(UTC) - timedelta(seconds=age * connection.block_seconds)
        return self._extrinsic or str(block), reckoned.replace(microsecond=0)
