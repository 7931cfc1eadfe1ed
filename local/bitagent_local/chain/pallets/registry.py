"""Tables of calls: the handler of each, and the checks by which the pool refuses it before any block.

A handler checks first and writes last, so a refused call leaves only its ``ExtrinsicFailed`` event. The order of the
checks is the pallet's, because it decides which error a client sees.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bitagent_local.chain.storage import Storage, View


class DispatchError(Exception):
    """A pallet's error, by its names in the metadata."""

    def __init__(self, pallet: str, name: str) -> None:
        super().__init__(f"{pallet}.{name}")
        self.pallet = pallet
        self.name = name


CUSTOM_ERRORS: Mapping[str, int] = {
    "NotEnoughStakeToSetWeights": 1,
    "SubnetNotExists": 3,
    "SettingWeightsTooFast": 6,
    "CommittingWeightsTooFast": 6,
    "HotKeyNotRegisteredInNetwork": 10,
    "InvalidIpAddress": 11,
    "ServingRateLimitExceeded": 12,
    "InvalidPort": 13,
    "InvalidRevealRound": 15,
    "HotKeyNotRegisteredInSubNet": 19,
}
"""Numbers by which the runtime's transaction extension names a pallet's errors to the pool."""
BAD_REQUEST = 255
"""The number of all other errors."""


def custom_error(error: DispatchError) -> str:
    """Return a pallet's error in the words of a node that refuses an extrinsic for it."""
    return f"Custom error: {CUSTOM_ERRORS.get(error.name, BAD_REQUEST)}"


@dataclass(frozen=True)
class Event:
    """An event that a call deposits in its block."""

    pallet: str
    name: str
    attributes: Any


@dataclass(frozen=True)
class Origin:
    """The signer of a call, and the block that it runs in."""

    storage: Storage
    signer: str
    block: int


@dataclass(frozen=True)
class Candidate:
    """The signer of a call that asks for a place in the pool, the state that it is judged by, and the next block."""

    view: View
    signer: str
    block: int


Handler = Callable[[Origin, dict[str, Any]], list[Event]]
Check = Callable[[Candidate, dict[str, Any]], None]
HANDLERS: dict[tuple[str, str], Handler] = {}
CHECKS: dict[tuple[str, str], Check] = {}


def handles(pallet: str, function: str) -> Callable[[Handler], Handler]:
    """Register the handler of a call."""

    def register(handler: Handler) -> Handler:
        HANDLERS[(pallet, function)] = handler
        return handler

    return register


def guards(pallet: str, *functions: str) -> Callable[[Check], Check]:
    """Register the checks that the pool makes before it takes calls; they raise DispatchError."""

    def register(check: Check) -> Check:
        CHECKS.update({(pallet, function): check for function in functions})
        return check

    return register
