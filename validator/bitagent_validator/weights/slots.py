"""Who holds the slots of a row, by what other endpoints say at the same block.

A row is sent by slots. A node that shows them in another order has the weights go to others, and signs nothing itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from bitagent_validator.chain.connection import Connection
from bitagent_validator.chain.elsewhere import ask_elsewhere
from bitagent_validator.chain.facts import Subnet

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


async def slots_elsewhere(
    urls: Sequence[str], *, genesis: str, netuid: int, hotkey: str, block: int
) -> list[dict[str, int]]:
    """Return the slots of a subnet at a block as other endpoints of the same chain have them."""

    async def read(other: Connection) -> dict[str, int]:
        return slots_of(await other.subnet(netuid, hotkey=hotkey, block=block))

    return await ask_elsewhere(urls, genesis=genesis, read=read)
