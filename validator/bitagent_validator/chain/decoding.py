"""Answers of the SDK as plain data. Pure."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any

from bitagent_validator.chain.facts import Axon, Commit, Commitment, Neuron, Rules
from bitagent_validator.chain.published import Published

DEFAULT_ACTIVITY_CUTOFF = 5000
"""The chain's default, in blocks, for runtimes that do not report it."""
COLUMNS = ("coldkeys", "validator_permit", "last_update", "block_at_registration", "total_stake")
"""What a metagraph must have of each hotkey."""


def check_metagraph(raw: Mapping[str, Any], *, netuid: int, block: int) -> None:
    """Raise ValueError if a metagraph cannot be that of a subnet at a block.

    The SDK fills what is missing with nothing: hotkeys would be without permit, or seem to have registered again. Such
    a record comes of a node that was interrupted, or from a runtime of another version than its description.
    """
    hotkeys = list(raw.get("hotkeys") or ())
    count = len(hotkeys)
    if int(raw.get("netuid", netuid)) != netuid:
        raise ValueError(f"it is of subnet {raw['netuid']}")
    if not count or len(set(map(str, hotkeys))) != count or int(raw.get("num_uids", count)) != count:
        raise ValueError(f"it has {len(set(map(str, hotkeys)))} hotkeys in {raw.get('num_uids')} slots")
    for column in COLUMNS:
        if len(raw.get(column) or ()) < count:
            raise ValueError(f"{column} is missing for some of its {count} hotkeys")
    latest = max(*map(int, raw["block_at_registration"]), *map(int, raw["last_update"]))
    # A runtime may count the block that is under way.
    if latest > block + 1:
        raise ValueError(f"something happened at block {latest}, and this is block {block}")


def axon_of(record: Any) -> Axon | None:
    """Return an axon as the chain has it; None if nothing is served, or if it is not an address."""
    try:
        number, port, kind = int(record["ip"]), int(record["port"]), int(record["ip_type"])
        address = ipaddress.IPv6Address(number) if kind == 6 else ipaddress.IPv4Address(number)
        return Axon(str(address), port, int(record["protocol"])) if number and 0 < port < 65536 else None
    except (LookupError, TypeError, ValueError):
        return None


def neuron_of(neuron: Any, axon: Any) -> Neuron:
    """Return a neuron of the metagraph."""
    return Neuron(
        uid=int(neuron.uid),
        hotkey=str(neuron.hotkey),
        stake=int(neuron.total_stake.rao),
        permit=bool(neuron.validator_permit),
        registered_at=int(neuron.block_at_registration),
        last_update=int(neuron.last_update),
        coldkey=str(neuron.coldkey or ""),
        dividends=float(neuron.dividends or 0),
        axon=axon_of(axon),
    )


def commit_digest(content: Any) -> str:
    """Return the BlakeTwo256 hash of a sealed row, as the chain's event has it."""
    data = bytes.fromhex(content.removeprefix("0x")) if isinstance(content, str) else bytes(content)
    return "0x" + hashlib.blake2b(data, digest_size=32).hexdigest()


def commitment_of(found: Published) -> Commitment:
    """Return a commitment as text."""
    # The chain forgets the block of a sealed commitment once that is revealed.
    return Commitment(text=found.content.decode(errors="replace"), block=None if found.revealed else found.block)


def rules_of(raw: dict[str, Any], *, stake_threshold: int) -> Rules:
    """Return the rules of a subnet; raises LookupError, TypeError or ValueError if one is missing or no number."""
    return Rules(
        rate_limit=int(raw["weights_rate_limit"]),
        version_key=int(raw["weights_version"]),
        min_weights=int(raw["min_allowed_weights"]),
        max_weight=int(raw["max_weights_limit"]),
        commit_reveal=bool(raw["commit_reveal_weights_enabled"]),
        stake_threshold=stake_threshold,
        activity_cutoff=int(raw.get("activity_cutoff") or DEFAULT_ACTIVITY_CUTOFF),
        reveal_period=int(raw.get("commit_reveal_period") or 1),
    )


def commits_of(found: Iterable[tuple[Any, Any]], *, hotkey: str) -> tuple[Commit, ...]:
    """Return the sealed rows of one hotkey that wait for their reveal, the oldest first, from those of each epoch."""
    commits = [
        Commit(epoch=int(epoch), block=int(block), digest=commit_digest(content))
        for epoch, entries in found
        for owner, block, content, _ in entries or []
        if str(owner) == hotkey
    ]
    return tuple(sorted(commits, key=lambda c: c.block))
