"""What a process reports that waits because another Validator acts for its hotkey on the subnet.

A second pod of the same Validator reports nothing: the first one does.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

from bitagent_crds.conditions import ConditionStatus, ConditionType, Reason
from bitagent_kube.client import Client
from bitagent_kube.conditions import ConditionValue, parse_conditions, update_conditions
from bitagent_kube.errors import ApiError
from bitagent_kube.objects import Obj
from bitagent_kube.resources import LEASES, VALIDATORS
from bitagent_validator.objects import ValidatorObject
from bitagent_validator.wallet import Account

log = logging.getLogger(__name__)


@asynccontextmanager
async def standby_reports(
    client: Client, me: ValidatorObject, account: Account, *, lease: str
) -> AsyncIterator[Callable[[str], None]]:
    """Report who acts, for a `with` block in which this process waits for the Lease of this name.

    Yields a function to call with the present holder.
    """
    waiting = asyncio.Event()
    holders = {"now": ""}

    def held_by(holder: str) -> None:
        if holders["now"] != holder:
            holders["now"] = holder
            waiting.set()

    async def report() -> None:
        while True:
            await waiting.wait()
            waiting.clear()
            try:
                owner = other_owner(await client.get(LEASES, lease), uid=me.uid)
                if owner:
                    await client.write_status(VALIDATORS, me.name, standby_status(me, account, owner, holders["now"]))
            except ApiError as error:
                holders["now"] = ""  # The next look at the Lease reports again.
                log.warning("who acts for the hotkey cannot be reported: %s", error)

    task = asyncio.create_task(report())
    try:
        yield held_by
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def other_owner(lease: Obj | None, *, uid: str) -> str:
    """Return the name of another Validator that a Lease belongs to; empty if it is this one's, or no one's."""
    owners = (lease or {}).get("metadata", {}).get("ownerReferences") or []
    return next((str(each.get("name", "")) for each in owners if each.get("uid") != uid), "")


def standby_status(me: ValidatorObject, account: Account, owner: str, holder: str) -> Obj:
    """Return the status of a Validator whose hotkey another one uses."""
    text = (
        f"Validator {owner} (pod {holder}) acts for hotkey {account.hotkey} on this subnet: delete one of the two "
        "Validators, or give them different hotkeys"
    )
    values = [
        ConditionValue(kind, ConditionStatus.FALSE, Reason.STANDING_BY, text)
        for kind in (ConditionType.ROUND_CURRENT, ConditionType.WEIGHTS_CURRENT)
    ]
    previous = parse_conditions(me.status.get("conditions") or [])
    conditions = update_conditions(values, previous=previous, generation=me.generation, now=datetime.now(UTC))
    return {"hotkey": account.hotkey, "message": text, "conditions": [each.to_wire() for each in conditions]}
