"""TAO of accounts, and the fees of calls: those of a hotkey's calls are charged to the coldkey that owns it."""

from __future__ import annotations

from typing import Any

from bitagent_local.chain.pallets.registry import DispatchError, Event, Origin, handles
from bitagent_local.chain.storage import Storage, View
from bitagent_local.chain.subnet import PALLET

EXISTENTIAL_DEPOSIT = 500
"""Rao below which an account does not exist."""

NEW_LOGIC = 1 << 127
"""The flag of every account that a current runtime has touched."""

COLDKEY_PAYS = frozenset(
    {
        (PALLET, "set_weights"),
        (PALLET, "set_mechanism_weights"),
        (PALLET, "commit_timelocked_weights"),
        (PALLET, "commit_timelocked_mechanism_weights"),
        (PALLET, "serve_axon"),
        (PALLET, "serve_axon_tls"),
        ("Commitments", "set_commitment"),
    }
)
"""Calls of a hotkey whose fee its coldkey pays."""


def free(view: View, account: str) -> int:
    """Return the rao that an account may spend or lose."""
    return int(view.get("System", "Account", account)["data"]["free"])


def set_free(storage: Storage, account: str, rao: int) -> None:
    """Set an account's balance."""
    info = storage.get("System", "Account", account)
    data = {**info["data"], "free": rao, "flags": NEW_LOGIC}
    storage.put("System", "Account", (account,), {**info, "providers": 1, "data": data})


def payer(view: View, signer: str, *, pallet: str, function: str) -> str:
    """Return who pays for a call: the owner of a hotkey for the calls of hotkeys, otherwise the signer."""
    if (pallet, function) not in COLDKEY_PAYS or not view.has(PALLET, "Owner", signer):
        return signer
    return str(view.get(PALLET, "Owner", signer))


def can_pay(view: View, account: str, rao: int) -> bool:
    """Return whether an account can pay a fee and still exist afterwards."""
    return rao == 0 or free(view, account) - rao >= EXISTENTIAL_DEPOSIT


def charge(storage: Storage, account: str, rao: int) -> list[Event]:
    """Take a fee; return its events, in the order of a real chain: first that of the balance, last that of the fee."""
    if rao == 0:
        return []
    set_free(storage, account, free(storage, account) - rao)
    return [
        Event("Balances", "Withdraw", {"who": account, "amount": rao}),
        Event("TransactionPayment", "TransactionFeePaid", {"who": account, "actual_fee": rao, "tip": 0}),
    ]


@handles("Balances", "transfer_keep_alive")
@handles("Balances", "transfer_allow_death")
def transfer(origin: Origin, args: dict[str, Any]) -> list[Event]:
    """Send TAO."""
    rao, to = int(args["value"]), _account(args["dest"])
    left = free(origin.storage, origin.signer) - rao
    if left < 0:
        raise DispatchError("Balances", "InsufficientBalance")
    if left < EXISTENTIAL_DEPOSIT:
        raise DispatchError("Balances", "Expendability")
    if free(origin.storage, to) + rao < EXISTENTIAL_DEPOSIT:
        raise DispatchError("Balances", "ExistentialDeposit")
    set_free(origin.storage, origin.signer, left)
    set_free(origin.storage, to, free(origin.storage, to) + rao)
    return [Event("Balances", "Transfer", {"from": origin.signer, "to": to, "amount": rao})]


def _account(dest: Any) -> str:
    return str(dest["Id"]) if isinstance(dest, dict) else str(dest)
