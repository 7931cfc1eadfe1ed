"""Data that hotkeys publish: at most three fields, and so many bytes in an epoch."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from bitagent_local.chain.pallets import drand
from bitagent_local.chain.pallets.escrow import Escrow
from bitagent_local.chain.pallets.registry import Candidate, DispatchError, Event, Origin, guards, handles
from bitagent_local.chain.scale import plain_bytes
from bitagent_local.chain.storage import Storage
from bitagent_local.chain.subnet import MutableSubnet, Subnet

COMMITMENTS = "Commitments"
MAX_FIELDS = 3
MIN_CHARGE = 100
"""Bytes that every commitment counts for at least."""
HASH_BYTES = 32
REVEALED_KEPT = 10
NOT_DECRYPTED = "Decrypt"
RAW = re.compile(r"Raw(\d+)")


@guards(COMMITMENTS, "set_commitment")
def commitment_guard(candidate: Candidate, args: dict[str, Any]) -> None:
    """Refuse a commitment of a hotkey that is not registered."""
    subnet = Subnet(candidate.view, int(args["netuid"]))
    if not subnet.exists:
        raise DispatchError("SubtensorModule", "SubnetNotExists")
    if subnet.uid(candidate.signer) is None:
        raise DispatchError("SubtensorModule", "HotKeyNotRegisteredInSubNet")


@handles(COMMITMENTS, "set_commitment")
def set_commitment(origin: Origin, args: dict[str, Any]) -> list[Event]:
    """Publish data in place of the hotkey's last ones."""
    subnet, fields = MutableSubnet(origin.storage, int(args["netuid"])), args["info"]["fields"]
    if not subnet.exists or subnet.uid(origin.signer) is None:
        raise DispatchError(COMMITMENTS, "AccountNotAllowedCommit")
    if len(fields) > MAX_FIELDS:
        raise DispatchError(COMMITMENTS, "TooManyFieldsInCommitmentInfo")
    params = (subnet.netuid, origin.signer)
    epoch = int(subnet.get("SubnetEpochIndex"))
    usage = origin.storage.get(COMMITMENTS, "UsedSpaceOf", *params)
    used = int(usage["used_space"]) if usage and int(usage["last_epoch"]) == epoch else 0
    used += space(fields)
    if used > int(origin.storage.get(COMMITMENTS, "MaxSpace")):
        raise DispatchError(COMMITMENTS, "SpaceLimitExceeded")
    origin.storage.put(COMMITMENTS, "UsedSpaceOf", params, {"last_epoch": epoch, "used_space": used})
    store(subnet, origin.signer, args["info"], block=origin.block)
    index = [(int(netuid), str(who)) for netuid, who in origin.storage.get(COMMITMENTS, "TimelockedIndex")]
    index = [entry for entry in index if entry != params]
    sealed = [field["TimelockEncrypted"] for field in fields if _kind(field) == "TimelockEncrypted"]
    origin.storage.put(COMMITMENTS, "TimelockedIndex", (), sorted([*index, params] if sealed else index))
    who = {"netuid": subnet.netuid, "who": origin.signer}
    if sealed:
        return [Event(COMMITMENTS, "TimelockCommitment", {**who, "reveal_round": sealed[0]["reveal_round"]})]
    return [Event(COMMITMENTS, "Commitment", who)]


def store(subnet: MutableSubnet, hotkey: str, info: Mapping[str, Any], *, block: int) -> None:
    """Store a hotkey's commitment."""
    registration = {"deposit": 0, "block": block, "info": info}
    subnet.storage.put(COMMITMENTS, "CommitmentOf", (subnet.netuid, hotkey), registration)
    subnet.storage.put(COMMITMENTS, "LastCommitment", (subnet.netuid, hotkey), block)


def reveal(storage: Storage, *, block: int, escrow: Escrow, missing: frozenset[int]) -> list[Event]:
    """Open the sealed fields whose drand round is stored; return the events.

    What was handed over becomes a revealed commitment, of which the newest ten are kept; what was not stays as a field
    that failed.
    """
    events, waiting = list[Event](), []
    for netuid, who in storage.get(COMMITMENTS, "TimelockedIndex"):
        params, kept = (int(netuid), str(who)), []
        stored = storage.get(COMMITMENTS, "CommitmentOf", *params)
        if stored is None:
            continue
        for field in stored["info"]["fields"]:
            sealed = field["TimelockEncrypted"] if _kind(field) == "TimelockEncrypted" else None
            reveal_round = int(sealed["reveal_round"]) if sealed else 0
            if sealed is None or reveal_round > drand.last_stored(storage) or reveal_round in missing:
                kept.append(field)
                continue
            named = {"netuid": int(netuid), "who": str(who)}
            data = escrow.data(plain_bytes(sealed["encrypted"]))
            if data is None:
                kept.append({"TimelockRevealFailed": sealed})
                failure = {"reveal_round": reveal_round, "error": NOT_DECRYPTED}
                events.append(Event(COMMITMENTS, "CommitmentRevealFailed", named | failure))
            else:
                revealed = list(storage.get(COMMITMENTS, "RevealedCommitments", *params) or [])
                newest = [*revealed, (data, block)][-REVEALED_KEPT:]
                storage.put(COMMITMENTS, "RevealedCommitments", params, newest)
                events.append(Event(COMMITMENTS, "CommitmentRevealed", named))
        if kept != stored["info"]["fields"]:
            if kept:
                storage.put(COMMITMENTS, "CommitmentOf", params, {**stored, "info": {"fields": kept}})
            else:
                storage.delete(COMMITMENTS, "CommitmentOf", *params)
        if any(_kind(field) == "TimelockEncrypted" for field in kept):
            waiting.append(params)
    if events:
        storage.put(COMMITMENTS, "TimelockedIndex", (), waiting)
    return events


def space(fields: Sequence[Any]) -> int:
    """Return the bytes that a commitment counts for."""
    return max(MIN_CHARGE, sum(_size(field) for field in fields))


def _kind(field: Any) -> str:
    return field if isinstance(field, str) else str(next(iter(field)))


def _size(field: Any) -> int:
    kind = _kind(field)
    if raw := RAW.fullmatch(kind):
        return int(raw[1])
    if kind in ("None", "ResetBondsFlag", "TimelockRevealFailed"):
        return 0
    if kind == "TimelockEncrypted":
        return _length(field[kind]["encrypted"])
    return _length(field[kind]) if kind == "BigRaw" else HASH_BYTES


def _length(content: Any) -> int:
    return len(plain_bytes(content))
