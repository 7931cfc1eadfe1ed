"""A message to its answer. Requests are verified already; here is how often, in which turn, and how long."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bitagent_miner.admission import priority
from bitagent_miner.chain import Subnet
from bitagent_miner.endpoint import Model, ModelFailed
from bitagent_miner.feedback import readable
from bitagent_miner.metrics import Metrics
from bitagent_miner.rates import RateLimit
from bitagent_miner.turns import QueueFull, Turns
from bitagent_wire.messages import (
    GetHFModelName,
    GetHFRunModelName,
    IsAlive,
    Message,
    QueryResult,
    QueryTask,
    SetHFModelName,
)
from bitagent_wire.outcomes import words
from bitagent_wire.server import Call, Handler, Rejected, Rejection

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Names:
    """The names that the miner gives."""

    submitted: str | None
    """The model that it submits, `owner/name` or `owner/name@commit`."""
    running: str
    """The model that answers tasks."""


class Handlers:
    """Answers of one miner."""

    def __init__(
        self,
        model: Model,
        names: Names,
        *,
        turns: Turns,
        rate: RateLimit,
        timeout_seconds: float,
        metrics: Metrics,
        subnet: Callable[[], Subnet | None],
        show: Callable[[str], None] = print,
    ) -> None:
        self._model, self._names, self._turns, self._rate = model, names, turns, rate
        self._timeout, self._metrics, self._subnet, self._show = timeout_seconds, metrics, subnet, show

    def by_message(self) -> Mapping[type[Message], Handler]:
        """Return the handlers of a server."""
        return {
            QueryTask: self._limited(self._query),
            QueryResult: self._limited(self._result),
            IsAlive: self._limited(self._alive),
            GetHFModelName: self._limited(self._submitted),
            GetHFRunModelName: self._limited(self._running),
            SetHFModelName: self._limited(self._kept),
        }

    def _limited(self, handler: Handler) -> Handler:
        async def limited(call: Call) -> Message:
            if not self._rate.allows(call.hotkey):
                raise Rejected(Rejection.RATE_LIMITED, "this hotkey asks too often")
            return await handler(call)

        return limited

    async def _query(self, call: Call) -> Message:
        task = call.message
        if not isinstance(task, QueryTask):
            raise Rejected(Rejection.WRONG_TYPE, "not a QueryTask")
        seconds = min(self._timeout, call.timeout_seconds or self._timeout)
        try:
            async with asyncio.timeout(seconds):
                text = await self._answer(task, call.hotkey)
        except TimeoutError:
            self._metrics.model_requests.labels("Timeout").inc()
            raise Rejected(Rejection.TIMEOUT, f"no answer within {seconds:g} s") from None
        except QueueFull:
            raise Rejected(Rejection.BUSY, "the queue is full of requests with more stake") from None
        except ModelFailed as error:
            self._metrics.model_requests.labels("Failed").inc()
            log.warning("%s", error)
            raise Rejected(Rejection.FAILED, "the model did not answer") from None
        return task.model_copy(update={"response": text, "hf_run_model_name": self._names.running})

    async def _answer(self, task: QueryTask, hotkey: str) -> str:
        try:
            async with self._turns.turn(priority(hotkey, self._subnet())):
                self._metrics.waiting.set(self._turns.waiting)
                started = time.monotonic()
                completion = await self._model.answer(task)
        finally:
            self._metrics.waiting.set(self._turns.waiting)
        self._metrics.model_seconds.observe(time.monotonic() - started)
        self._metrics.model_requests.labels("Answered").inc()
        self._metrics.tokens.labels("prompt").inc(completion.prompt_tokens)
        self._metrics.tokens.labels("answer").inc(completion.answer_tokens)
        return completion.text

    async def _result(self, call: Call) -> Message:
        if isinstance(call.message, QueryResult):
            self._metrics.feedback.inc()
            lines = readable(call.message.results).split("\n")
            self._show("\n".join([f"feedback from {call.hotkey}", *(f"  {line}" for line in lines)]))
        return call.message

    async def _alive(self, _call: Call) -> Message:
        return IsAlive(response=True)

    async def _submitted(self, _call: Call) -> Message:
        return GetHFModelName(hf_model_name=self._names.submitted)

    async def _running(self, _call: Call) -> Message:
        return GetHFRunModelName(hf_run_model_name=self._names.running)

    async def _kept(self, call: Call) -> Message:
        if isinstance(call.message, SetHFModelName):
            log.info("validator %s keeps the model %s", call.hotkey, words(call.message.hf_model_name))
        return call.message
