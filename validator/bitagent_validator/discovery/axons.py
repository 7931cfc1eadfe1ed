"""What the miners' axons answer to GetHFModelName: asked now and then, beside the passes of the loop.

The last answer that names a model holds until another one does: a miner that is away for a while withdraws nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from bitagent_crds.discovery import AxonDiscovery, CommitmentFault
from bitagent_validator.chain.connection import Connection
from bitagent_validator.chain.endpoints import of_local_chain
from bitagent_validator.chain.facts import Neuron, Subnet
from bitagent_validator.discovery.commitments import CommittedModel, Fault, Parsed, parse_name
from bitagent_validator.metrics import Metrics
from bitagent_validator.questions import Questioner, address_of, open_questioner
from bitagent_validator.wallet import Account, load_hotkey
from bitagent_wire.messages import GetHFModelName
from bitagent_wire.outcomes import Answer, KnownProtocols, Outcome

log = logging.getLogger(__name__)

ANSWER_BYTES = 64 * 1024
"""Largest answer that is read: it is one name."""
OpenQuestioner = Callable[..., AbstractAsyncContextManager[Questioner]]


@dataclass(frozen=True)
class Answered:
    """What one hotkey's axon has answered."""

    block: int
    """The block at which it was asked when it first answered so."""
    parsed: Parsed
    registered_at: int
    """The block of the hotkey's registration: an answer is not that of the next holder of a slot."""


def parse_answer(answer: Answer[GetHFModelName]) -> Parsed:
    """Return the submission in an answer, or why there is none. The miner's words are not repeated."""
    if answer.outcome is Outcome.ADDRESS_REFUSED:
        return Fault(CommitmentFault.ADDRESS_REFUSED, answer.detail[:128])
    if answer.message is None:
        return Fault(CommitmentFault.NO_ANSWER, answer.outcome.value)
    return parse_name(answer.message.hf_model_name or "")


def merged(
    before: Mapping[str, Answered], answers: Mapping[str, Parsed], *, neurons: Mapping[str, Neuron], block: int
) -> dict[str, Answered]:
    """Return what is known after the axons were asked at a block.

    A good answer stays when a later one is none; hotkeys that are not registered any more, or again, are dropped.
    """
    found = {
        hotkey: known
        for hotkey, known in before.items()
        if hotkey in neurons and neurons[hotkey].registered_at == known.registered_at
    }
    for hotkey, parsed in answers.items():
        if hotkey not in neurons:
            continue
        known = found.get(hotkey)
        if known is not None and (known.parsed == parsed or _names(known.parsed, not_=parsed)):
            continue
        found[hotkey] = Answered(block, parsed, neurons[hotkey].registered_at)
    return found


def _names(known: Parsed, *, not_: Parsed) -> bool:
    return isinstance(known, CommittedModel) and not isinstance(not_, CommittedModel)


class AxonReader:
    """The answers of one subnet's axons."""

    def __init__(
        self,
        account: Account,
        metrics: Metrics,
        *,
        changed: Callable[[], object],
        open_questions: OpenQuestioner = open_questioner,
    ) -> None:
        self._account = account
        self._metrics = metrics
        self._changed = changed
        """Called when the axons have answered."""
        self._open_questions = open_questions
        self._known = KnownProtocols()
        self._task: asyncio.Task[dict[str, Answer[GetHFModelName]]] | None = None
        self._asked: int | None = None
        """The number of the interval in which the axons were asked last."""
        self._block = 0
        """The block at which they were."""
        self.answers: Mapping[str, Answered] = {}
        """By hotkey: those that were asked, and have answered or not."""

    def reconcile(self, subnet: Subnet, settings: AxonDiscovery, *, connection: Connection) -> bool:
        """Take the answers that have come, and ask again if that is due; return whether there are new answers.

        Raises what kept the last questions from being asked at all, once.
        """
        new = self._take(subnet)
        interval = subnet.block // settings.every_blocks
        if self._task is None and (self._asked is None or interval > self._asked):
            self._asked, self._block = interval, subnet.block
            self._task = asyncio.create_task(self._ask(subnet, settings, connection))
            self._task.add_done_callback(lambda _: self._changed())
        return new

    async def close(self) -> None:
        """Stop asking, and forget all answers."""
        task, self._task = self._task, None
        self._asked, self.answers = None, {}
        if task is not None:
            task.cancel()
            await asyncio.wait([task], timeout=2.0)

    def _take(self, subnet: Subnet) -> bool:
        if self._task is None or not self._task.done():
            return False
        task, self._task = self._task, None
        answers = task.result()
        for answer in answers.values():
            self._metrics.axon_answers.labels(answer.outcome.value).inc()
        parsed = {hotkey: parse_answer(answer) for hotkey, answer in answers.items()}
        self.answers = merged(self.answers, parsed, neurons=subnet.neurons, block=self._block)
        return True

    async def _ask(
        self, subnet: Subnet, settings: AxonDiscovery, connection: Connection
    ) -> dict[str, Answer[GetHFModelName]]:
        signer = load_hotkey(self._account.hotkey_file)
        local = of_local_chain(connection.url, genesis=connection.genesis)
        addresses = (address_of(n) for hotkey, n in sorted(subnet.neurons.items()) if hotkey != self._account.hotkey)
        async with self._open_questions(signer, local=local, known=self._known) as questioner:
            return await questioner.ask_all(
                {address: GetHFModelName() for address in addresses if address is not None},
                timeout_seconds=settings.timeout_seconds,
                maximum_bytes=ANSWER_BYTES,
            )
