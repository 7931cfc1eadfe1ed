"""Questions to many miners at once: each has its whole time, and none of them can raise anything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TypeVar

import aiohttp

from bitagent_crds.examiner import MAX_ANSWER, bounded_answer
from bitagent_validator.chain.facts import Neuron
from bitagent_wire.addresses import AddressRule
from bitagent_wire.client import CONNECTIONS, ask, open_session, places
from bitagent_wire.keys import Signer
from bitagent_wire.messages import Message, QueryTask
from bitagent_wire.outcomes import Answer, KnownProtocols, MinerAddress

M = TypeVar("M", bound=Message)


def address_of(neuron: Neuron) -> MinerAddress | None:
    """Return where a miner says that it serves; None if it serves nothing."""
    axon = neuron.axon
    return MinerAddress(neuron.hotkey, axon.address, axon.port) if axon is not None else None


@dataclass(frozen=True)
class _Limits:
    """Those of one question to many miners."""

    seconds: float
    maximum_bytes: int
    large: asyncio.Semaphore
    """Places for large answers."""


@dataclass
class Questioner:
    """Asks miners in the name of one hotkey, over one session."""

    session: aiohttp.ClientSession
    signer: Signer
    rule: AddressRule
    known: KnownProtocols
    _turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(CONNECTIONS))

    async def ask_all(
        self, messages: Mapping[MinerAddress, M], *, timeout_seconds: float, maximum_bytes: int
    ) -> dict[str, Answer[M]]:
        """Ask each miner its message and return what came of it, by hotkey."""
        miners: Sequence[MinerAddress] = list(messages)
        limits = _Limits(timeout_seconds, maximum_bytes, places(maximum_bytes))
        answers = await asyncio.gather(*(self._ask(miner, messages[miner], limits) for miner in miners))
        return {miner.hotkey: answer for miner, answer in zip(miners, answers, strict=True)}

    async def _ask(self, miner: MinerAddress, message: M, limits: _Limits) -> Answer[M]:
        # A miner's time begins when its turn comes: slow ones take no time from the others.
        async with self._turns:
            answer = await ask(
                self.session,
                signer=self.signer,
                miner=self.known.preferred(miner),
                message=message,
                timeout_seconds=limits.seconds,
                maximum_bytes=limits.maximum_bytes,
                rule=self.rule,
                large=limits.large,
            )
        self.known.note(miner, answer)
        return kept(answer)


def kept(answer: Answer[M]) -> Answer[M]:
    """Return an answer with as much of its text as is ever scored: those of all miners are in memory together."""
    message = answer.message
    if not isinstance(message, QueryTask) or len(message.response) <= MAX_ANSWER:
        return answer
    return replace(answer, message=message.model_copy(update={"response": bounded_answer(message.response)}))


@asynccontextmanager
async def open_questioner(signer: Signer, *, local: bool, known: KnownProtocols) -> AsyncIterator[Questioner]:
    """Open a session for a `with` block; `local` allows private addresses, as on a chain of this machine."""
    async with open_session() as session:
        yield Questioner(session, signer, AddressRule.LOCAL if local else AddressRule.PUBLIC, known)
