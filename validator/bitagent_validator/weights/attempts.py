"""The submissions of one mechanism: the one under way, what became of the last one, and when another may be tried."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable

from bitagent_crds.conditions import Reason
from bitagent_validator.chain.connection import Connection
from bitagent_validator.chain.facts import Subnet
from bitagent_validator.metrics import Metrics
from bitagent_validator.state.rows import ERA_BLOCKS, Row
from bitagent_validator.weights.plan import SubmissionFailure
from bitagent_validator.weights.reasons import meaning
from bitagent_validator.weights.submit import SubmissionOutcome, SubmissionRequest, SubmissionResult, submit
from bitagent_validator.weights.turns import Turns

log = logging.getLogger(__name__)

ERA_BLOCKS_MAX = 4096
"""Longest lifetime of a transaction: the chain's longest that begins at any block."""
BACKOFF_BLOCKS_MAX = 64


def era_blocks(*, best: int, final: int) -> int:
    """Return the lifetime of a transaction that is signed now, in blocks: a power of two.

    The SDK lets it begin at the last final block (`bittensor._transport.interface`), so while finality stalls, as many
    blocks of it have passed already. What is left is at least ERA_BLOCKS.
    """
    passed = max(0, best - final)
    if passed <= ERA_BLOCKS // 4:  # as always: the last blocks are not final
        return ERA_BLOCKS
    return min(1 << (passed + ERA_BLOCKS - 1).bit_length(), ERA_BLOCKS_MAX)


class Attempts:
    """What this process knows about its submissions: one at a time, beside the loop, which it wakes when it ends."""

    def __init__(self, metrics: Metrics, *, changed: Callable[[], None], turns: Turns | None) -> None:
        self._metrics = metrics
        self._changed = changed
        self._turns = turns
        self._task: asyncio.Task[SubmissionResult] | None = None
        self._failures = 0
        self.extrinsic = ""
        """The extrinsic of the last submission, `block-index`, as far as its process said."""
        self.expires: int | None = None
        """The block after which the last transaction can no longer enter the chain; None if not known yet."""
        self.failure: SubmissionFailure | None = None

    @property
    def in_flight(self) -> bool:
        """Whether a submission runs, or has ended without having been processed."""
        return self._task is not None

    @property
    def ended(self) -> SubmissionResult | None:
        """The result of a submission that has ended, until it is released; an error of its own is a result as well."""
        return _result_of(self._task) if self._task and self._task.done() else None

    def begin(self, request: SubmissionRequest, *, seconds: float) -> None:
        """Start a submission with a time limit."""
        self.extrinsic, self.expires, self.failure = "", None, None
        self._task = asyncio.create_task(self._timed(request, seconds))
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

    async def stop(self) -> None:
        """Kill the submission in progress, if there is one."""
        if self._task and not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task})
            self._task = None

    def fail(self, result: SubmissionResult, *, subnet: Subnet) -> None:
        """Record a submission that did not succeed, and when the next one is due."""
        wait = min(2**self._failures, BACKOFF_BLOCKS_MAX)
        self._failures += 1
        reason = meaning(name=result.error, code=result.code).reason
        if result.outcome is SubmissionOutcome.TIMED_OUT:
            reason = Reason.SUBMISSION_TIMED_OUT
        message = result.message or "no reason was given"
        if reason is Reason.CANNOT_PAY_FEES:
            me = subnet.me
            message += f"; fees are paid by the coldkey that owns the hotkey{f' ({me.coldkey})' if me else ''}: fund it"
        self.failure = SubmissionFailure(reason, message, retry_block=subnet.block + wait)

    def release(self, result: SubmissionResult) -> None:
        """Forget the submission that has ended with this result, which is recorded."""
        self._task, self.extrinsic = None, result.extrinsic
        self._metrics.submissions.labels(result.outcome.value).inc()

    async def look_ahead(self, pending: Row, *, seconds: float, best: int, connection: Connection) -> None:
        """Determine until which block the transaction of a pending row may be included. Raises ChainUnavailable.

        Its process has exited, so no extrinsic can have been signed after the present head, and the node that is asked
        now may be behind the one that was asked then. `best` is the highest block seen.
        """
        if self._task is not None or self.expires is not None:
            return
        longest = math.ceil(seconds / connection.block_seconds)
        signed = pending.signed if pending.signed is not None else min(pending.since + longest, best)
        self.expires = max(await connection.head(), signed, pending.since) + pending.era

    def lost(self) -> None:
        """Record that the last transaction has expired without effect."""
        self.expires = None
        self._metrics.submissions.labels("Lost").inc()

    def confirmed(self) -> None:
        """Record that the last row was seen on the chain."""
        self.failure, self._failures, self.expires = None, 0, None
        self._metrics.submissions.labels("Confirmed").inc()


def _result_of(task: asyncio.Task[SubmissionResult]) -> SubmissionResult:
    if task.cancelled():
        return SubmissionResult(outcome=SubmissionOutcome.UNKNOWN, message="the submission was stopped", signed=0)
    error = task.exception()
    if error is None:
        return task.result()
    message = f"{type(error).__name__}: {error}"
    return SubmissionResult(outcome=SubmissionOutcome.UNKNOWN, message=message, signed=0)


def block_of(extrinsic: str) -> int | None:
    """Return the block of an extrinsic, `block-index`; None if there is none."""
    block = extrinsic.partition("-")[0]
    return int(block) if block.isdecimal() else None
