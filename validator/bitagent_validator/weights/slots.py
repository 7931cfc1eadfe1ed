"""Who holds the slots of a row, by what other endpoints say at the same block.

A row is sent by slots. A node that shows them in another order has the weights go to others, and signs nothing itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from bitagent_crds.conditions import Reason
from bitagent_validator.chain.connection import ChainUnavailable, Connection
from bitagent_validator.chain.elsewhere import ask_elsewhere
from bitagent_validator.chain.facts import Subnet
from bitagent_validator.state.rows import Row
from bitagent_validator.weights.obstacles import Obstacle

AGAIN_BLOCKS = 10
"""Blocks after which others are asked again that have contradicted a row."""
Slots = Mapping[str, int]
"""By hotkey."""
Elsewhere = Callable[..., Awaitable[Sequence[Slots]]]


def misplaced(said: Slots, others: Sequence[Slots]) -> list[str]:
    """Return the hotkeys that no other endpoint has in the slot that is said; none if no other says anything."""
    if not others:
        return []
    return sorted(hotkey for hotkey, uid in said.items() if all(each.get(hotkey) != uid for each in others))


def slots_of(subnet: Subnet) -> dict[str, int]:
    """Return all slots of a subnet."""
    return {hotkey: neuron.uid for hotkey, neuron in subnet.neurons.items()}


def waits_until(subnet: Subnet) -> int:
    """Return the block until which a row waits that others contradict: before the chain ignores this validator."""
    block, cutoff = subnet.block, subnet.rules.activity_cutoff
    last = subnet.me.last_update if subnet.me is not None else 0
    until = block + cutoff // 2
    if last + cutoff <= block:
        return until  # it is ignored already
    return min(until, max(block, last + cutoff * 9 // 10))


async def slots_elsewhere(
    urls: Sequence[str], *, genesis: str, netuid: int, hotkey: str, block: int
) -> list[dict[str, int]]:
    """Return the slots of a subnet at a block as other endpoints of the same chain have them."""

    async def read(other: Connection) -> dict[str, int]:
        return slots_of(await other.subnet(netuid, hotkey=hotkey, block=block))

    return await ask_elsewhere(urls, genesis=genesis, block=block, read=read)


@dataclass(frozen=True)
class Contradiction:
    """What other endpoints have said against a row."""

    obstacle: Obstacle
    until: int
    """The block from which on the row is sent all the same."""
    again: int
    """The block from which on they are asked again."""


class SecondLook:
    """Looks at a row's slots from other endpoints before it is sent. `elsewhere` asks them."""

    def __init__(self, *, elsewhere: Elsewhere = slots_elsewhere) -> None:
        self._elsewhere = elsewhere
        self._contradicted: Contradiction | None = None

    async def obstacle(
        self, row: Row, subnet: Subnet, connection: Connection, *, others: Sequence[str]
    ) -> Obstacle | None:
        """Return why a row is not sent now; None if others say the same, or nothing.

        If one contradicts, which is right is not known, and a row that is sent may pay others. It waits for a person,
        but not until the chain ignores this validator. Raises ChainUnavailable if two agree on something else.
        """
        if not others:
            return None
        before, uids = self._contradicted, slots_of(subnet)
        if before and subnet.block < before.again:
            return before.obstacle if subnet.block < before.until else None
        paid = {hotkey: uids[hotkey] for hotkey in row.weights}
        at = {"genesis": connection.genesis, "netuid": subnet.netuid, "hotkey": subnet.hotkey, "block": subnet.block}
        said = await self._elsewhere(others, **at)
        wrong = misplaced(paid, said)
        if not wrong:
            self._contradicted = None
            return None
        text = f"{connection.endpoint} has {wrong[0]} in slot {paid[wrong[0]]}, and no other endpoint that answers has"
        if len({each.get(wrong[0]) for each in said}) < len(said):
            raise ChainUnavailable(text, reason=Reason.CHAIN_CONTRADICTED)
        until = before.until if before else waits_until(subnet)
        text += (
            ": remove the wrong one from spec.chain, or add a third that decides; "
            f"from block {until} on weights are set all the same"
        )
        obstacle = Obstacle(Reason.CHAIN_CONTRADICTED, text)
        self._contradicted = Contradiction(obstacle, until=until, again=subnet.block + AGAIN_BLOCKS)
        return obstacle if subnet.block < until else None
