"""Alteration `Rewrite`: user turns reworded by a language model."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from bitagent_crds.alterations import Rewrite
from bitagent_crds.conditions import Reason as Fault
from bitagent_crds.results import Task
from bitagent_evaluator.addresses import check_address
from bitagent_evaluator.alterations.alteration import AlterationError, Altered, Reason, Skipped
from bitagent_evaluator.alterations.means import Means
from bitagent_evaluator.alterations.rewriting import prompt
from bitagent_evaluator.alterations.rewriting.judging import Accepted, Bounds, Question
from bitagent_evaluator.alterations.rewriting.kept import Answer
from bitagent_evaluator.alterations.rewriting.reasons import Rejected
from bitagent_evaluator.alterations.rewriting.values import values_of
from bitagent_evaluator.alterations.similarity import EMBEDDINGS, Embedding
from bitagent_evaluator.endpoint import (
    Address,
    Endpoint,
    EndpointUnavailable,
    Failure,
    Patience,
    RequestFailed,
    for_each,
)
from bitagent_evaluator.faults import InfrastructureFault

_log = logging.getLogger(__name__)

EMBEDDING = "MiniLM"
REQUEST_TRIES = 3
"""Requests for one answer. Fewer than usual: a question that gets none keeps its wording, and the next one is waiting."""


class RewordTurns:
    """Every turn of the user whose content is text. A task whose turns are partly reworded is altered; the others stay as they are.

    All questions are asked at the same time, as many as `concurrency` says. What is asked follows from the round's seed, so that another
    round gets other wordings; whether the model answers the same way twice is up to it, which is why answers are kept.
    """

    def __init__(self, parameters: Rewrite) -> None:
        self.parameters = parameters
        self._bounds = Bounds(Decimal(parameters.min_similarity), Decimal(parameters.max_similarity))
        if self._bounds.minimum >= self._bounds.maximum:
            raise AlterationError(
                f"minSimilarity {parameters.min_similarity} is not below maxSimilarity {parameters.max_similarity}"
            )
        try:
            check_address(parameters.url)
        except ValueError as error:
            raise AlterationError(str(error)) from None
        self._embedding: Embedding = EMBEDDINGS.load(EMBEDDING)()
        self.version = f"{self._embedding.version}, prompt {prompt.VERSION}"

    def unsuited(self, task: Task) -> Skipped | None:
        """A task without a user's text stays as it is."""
        return None if _turns(task) else Skipped(Reason.NO_USER_TEXT)

    def apply_all(self, tasks: Sequence[Task], *, seed: str, index: int, means: Means) -> list[Altered | Skipped]:
        """Record: `turns`, for each that was reworded its place among the messages, `from`, `to`, `similarity` and `try`.

        Raises InfrastructureFault when the endpoint cannot be reached, or answers no question at all.
        """
        turns = [
            _Turn(number, place, Question(text, values_of(task.ground_truth), _function_names(task), self._embedding))
            for number, task in enumerate(tasks)
            for place, text in _turns(task)
        ]
        rewriter = _Rewriter(self.parameters, self._bounds, seed, means)
        address = Address(self.parameters.url, self.parameters.model, means.keys.get(index))
        try:
            asyncio.run(rewriter.run(turns, address))
        except EndpointUnavailable as error:
            raise InfrastructureFault(
                Fault.INFRASTRUCTURE_FAULT, f"the rewriter's endpoint is of no use: {error}"
            ) from error
        by_task: dict[int, list[_Turn]] = {}
        for turn in turns:
            by_task.setdefault(turn.task, []).append(turn)
        return [_outcome(task, by_task[number]) for number, task in enumerate(tasks)]


@dataclass
class _Turn:
    """One question on its way."""

    task: int
    """Place of its task."""
    place: int
    """Place of its message in the task."""
    question: Question
    tried: int = 0
    verdict: Accepted | Rejected = Rejected.REQUEST_FAILED


@dataclass
class _Rewriter:
    """Asks and judges until every turn has its verdict."""

    parameters: Rewrite
    bounds: Bounds
    seed: str
    means: Means
    _done: int = 0
    _patience: Patience = field(default_factory=Patience)
    _asking: dict[str, asyncio.Lock] = field(default_factory=dict)
    _judge: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(max_workers=1))

    async def run(self, turns: Sequence[_Turn], address: Address) -> None:
        """Raises EndpointUnavailable."""
        progress = self.means.progress
        progress.phase(f"having {len(turns)} questions reworded")
        with self._judge:
            async with Endpoint(
                address, timeout_seconds=self.parameters.timeout_seconds, tries=REQUEST_TRIES
            ) as endpoint:

                async def settle(turn: _Turn) -> None:
                    await self._settle(turn, endpoint)
                    self._done += 1
                    progress.answered(self._done, len(turns))

                await for_each(turns, settle, concurrency=self.parameters.concurrency)
        self._patience.check()

    async def _settle(self, turn: _Turn, endpoint: Endpoint) -> None:
        """Try until a rewording is taken, or `tries` are used up. Judging takes a moment, so it is done beside the event loop."""
        for number in range(1, self.parameters.tries + 1):
            answer = await self._answer(turn.question.text, number, endpoint)
            turn.tried = number
            turn.verdict = await asyncio.get_running_loop().run_in_executor(self._judge, self._verdict, turn, answer)
            if isinstance(turn.verdict, Accepted) or answer.failed == Failure.REFUSED:
                return

    def _verdict(self, turn: _Turn, answer: Answer) -> Accepted | Rejected:
        if answer.text is None:
            return Rejected.REQUEST_FAILED
        if answer.cut_off:
            return Rejected.TOO_LONG
        return turn.question.judge(prompt.rewording(answer.text, turn.question.text), self.bounds)

    async def _answer(self, question: str, number: int, endpoint: Endpoint) -> Answer:
        """The answer to a question; tasks that ask the same share it, or a rebuild from kept answers would differ."""
        key = self._key(question, number)
        async with self._asking.setdefault(key, asyncio.Lock()):
            known = self.means.answers.get(key)
            if known is not None:
                if known.text is not None:
                    self._patience.answered()
                return known
            answer = await self._asked(question, key, endpoint)
            self.means.answers.add(key, answer)
            return answer

    async def _asked(self, question: str, key: str, endpoint: Endpoint) -> Answer:
        try:
            reply = await endpoint.chat(
                prompt.messages(question),
                max_tokens=self.parameters.max_tokens,
                temperature=float(self.parameters.temperature),
                seed=int(key[:8], 16) >> 1,
            )
        except RequestFailed as error:
            _log.info("a question is not reworded: %s", error)
            self._patience.failed(error)
            return Answer(None, failed=error.failure.value)
        self._patience.answered()
        return Answer(reply.text, cut_off=reply.cut_off)

    def _key(self, question: str, number: int) -> str:
        """What an answer depends on. The address is no part of it: another server of the same model will do."""
        chosen = self.parameters
        asked: list[Any] = [prompt.VERSION, chosen.model, chosen.temperature, chosen.max_tokens, self.seed]
        return hashlib.sha256(json.dumps([*asked, question, number]).encode()).hexdigest()


def _turns(task: Task) -> list[tuple[int, str]]:
    return [
        (place, message["content"])
        for place, message in enumerate(task.messages)
        if message.get("role") == "user" and isinstance(message.get("content"), str) and message["content"].strip()
    ]


def _function_names(task: Task) -> set[str]:
    """Names that would tell something: those on offer, and those that were before the task was altered."""
    return {function["name"] for known in (task, task.parent) if known is not None for function in known.functions}


def _outcome(task: Task, turns: Sequence[_Turn]) -> Altered | Skipped:
    messages = list(task.messages)
    reworded: list[dict[str, Any]] = []
    for turn in turns:
        if isinstance(turn.verdict, Accepted):
            messages[turn.place] = {**messages[turn.place], "content": turn.verdict.text}
            record = {"message": turn.place, "from": turn.question.text, "to": turn.verdict.text}
            reworded.append(record | {"similarity": turn.verdict.similarity, "try": turn.tried})
    if reworded:
        return Altered(task.model_copy(update={"messages": messages}), {"turns": reworded})
    return Skipped(next(turn.verdict for turn in turns if not isinstance(turn.verdict, Accepted)))
