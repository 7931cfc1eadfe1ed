"""Calls in blocks and at the pool: finds the pallet's handler or guard. Calls without a handler are filtered."""

from __future__ import annotations

from bitagent_local.chain.extrinsics import Call

# Each of these modules registers its calls.
from bitagent_local.chain.pallets import (  # noqa: F401
    balances,
    commit_reveal,
    commitments,
    registration,
    serving,
    weights,
)
from bitagent_local.chain.pallets.registry import CHECKS, HANDLERS, Candidate, DispatchError, Event, Origin


def dispatch(origin: Origin, call: Call) -> list[Event]:
    """Run a call. Raises DispatchError if it is refused; the state is unchanged then."""
    handler = HANDLERS.get((call.pallet, call.function))
    if handler is None:
        raise DispatchError("System", "CallFiltered")
    return handler(origin, call.args)


def guard(candidate: Candidate, call: Call) -> None:
    """Make the runtime's checks before the pool or a block takes a call. Raises DispatchError if it is refused."""
    check = CHECKS.get((call.pallet, call.function))
    if check is not None:
        check(candidate, call.args)
