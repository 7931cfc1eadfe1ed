"""What other endpoints say about commitments that have changed, at the same block.

A node at an honest height can invent commitments, or hide them, and nothing in its own answers shows that. Other
endpoints are asked when something is new, and only then.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from bitagent_validator.chain.connection import Connection
from bitagent_validator.chain.elsewhere import ask_elsewhere
from bitagent_validator.chain.published import Published

PAUSE_SECONDS = 300.0
"""Time after a second reading that no endpoint has answered before another one."""

Said = Mapping[str, Published | None]
"""Commitments by hotkey; None for one of an unknown form."""
Elsewhere = Callable[..., Awaitable[Sequence[Said]]]


@dataclass(frozen=True)
class Opinion:
    """What others say about a reading."""

    doubtful: frozenset[str] = frozenset()
    """Hotkeys of whose commitments others say something else, and none the same."""
    unconfirmed: frozenset[str] = frozenset()
    """Hotkeys of whose commitments no other has said anything since they changed."""
    outvoted: bool = False
    """Whether two others say the same against the endpoint that is used."""


_NONE = object()
"""Stands for no commitment, which is something that can be said as well."""


def opinion_of(said: Said, others: Sequence[Said], *, changed: Collection[str]) -> Opinion:
    """Return what others say about the commitments of some hotkeys, or about their having none."""
    if not others:
        return Opinion(unconfirmed=frozenset(changed))
    different = frozenset(h for h in changed if all(each.get(h, _NONE) != said.get(h, _NONE) for each in others))
    first, *rest = others
    outvoted = bool(rest) and any(all(e.get(h, _NONE) == first.get(h, _NONE) for e in rest) for h in different)
    return Opinion(doubtful=different, outvoted=outvoted)


async def published_elsewhere(urls: Sequence[str], *, genesis: str, netuid: int, block: int) -> list[Said]:
    """Return what endpoints of the same chain say at a block: of those that say it in time."""

    async def read(other: Connection) -> Said:
        return await other.published(netuid, block=block)

    return await ask_elsewhere(urls, genesis=genesis, block=block, read=read)


class SecondReadings:
    """Remembers which commitments another endpoint has confirmed. `elsewhere` asks the others."""

    def __init__(
        self, *, elsewhere: Elsewhere = published_elsewhere, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._elsewhere, self._clock = elsewhere, clock
        self._confirmed: dict[str, object] = {}
        """By hotkey; what is not in it counts as changed."""
        self._rest_until = 0.0

    async def compare(
        self, said: Said, *, hotkeys: Collection[str], others: Sequence[str], genesis: str, netuid: int, block: int
    ) -> Opinion:
        """Return what other endpoints say about the registered hotkeys' commitments that are new in this reading.

        Without other endpoints everything is believed.
        """
        if not others:
            self._confirmed.clear()
            return Opinion()
        # Whoever registers again is new.
        known = self._confirmed = {hotkey: each for hotkey, each in self._confirmed.items() if hotkey in hotkeys}
        changed = {h for h in hotkeys if h not in known or known[h] != said.get(h, _NONE)}
        if not changed:
            return Opinion()
        answers: Sequence[Said] = ()
        if self._clock() >= self._rest_until:
            answers = await self._elsewhere(others, genesis=genesis, netuid=netuid, block=block)
            self._rest_until = 0.0 if answers else self._clock() + PAUSE_SECONDS
        opinion = opinion_of(said, answers, changed=changed)
        for hotkey in changed - opinion.doubtful - opinion.unconfirmed:
            known[hotkey] = said.get(hotkey, _NONE)
        return opinion
