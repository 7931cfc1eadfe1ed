"""Sealed weights: commits that are timelocked by drand, and their reveal, which applies a row or drops it silently.

A commit waits in ``TimelockedWeightCommits`` under its epoch. In the epoch that is ``RevealPeriodEpochs`` later the
chain opens it as soon as its drand round is stored, and sets the row by the whole check list of plain weights. What
fails then, leaves nothing but a line in the node's log.

Opening needs signatures of future drand rounds, which a chain without a network cannot have. Instead the row is handed
to the chain beside the sealed bytes, under their hash (``Escrow``); a commit whose row was never handed over is dropped
like one that cannot be decrypted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bitagent_local.chain.pallets import drand
from bitagent_local.chain.pallets.escrow import Escrow, OpenRow
from bitagent_local.chain.pallets.registry import Candidate, DispatchError, Event, Origin, guards, handles
from bitagent_local.chain.pallets.weights import (
    apply_row,
    enough_stake,
    existing_mechanism,
    mechanism_of,
    rate_limit,
    rate_limit_guard,
    registered,
)
from bitagent_local.chain.scale import blake2_256, plain_bytes, to_hex
from bitagent_local.chain.storage import Storage, View
from bitagent_local.chain.subnet import PALLET, MutableSubnet, Subnet, storage_index

COMMITS = "TimelockedWeightCommits"
MAX_UNREVEALED = 10

CALLS = ("commit_timelocked_weights", "commit_timelocked_mechanism_weights")


@dataclass(frozen=True)
class Outcome:
    """What became of a commit in its reveal epoch. The real chain writes this to the node's log only."""

    block: int
    hotkey: str
    mechanism: int
    committed_at: int
    dropped: str | None
    """Why the row was not set; ``None`` if it was."""


@guards(PALLET, *CALLS)
def commit_guard(candidate: Candidate, args: dict[str, Any]) -> None:
    """Refuse a commit without stake, for a round that has passed, or too soon after the last one."""
    subnet = Subnet(candidate.view, int(args["netuid"]))
    enough_stake(subnet, candidate.signer)
    if int(args["reveal_round"]) < drand.last_stored(candidate.view):
        raise DispatchError(PALLET, "InvalidRevealRound")
    rate_limit_guard(subnet, candidate, mechanism=mechanism_of(args), error="CommittingWeightsTooFast")


@handles(PALLET, "commit_timelocked_weights")
@handles(PALLET, "commit_timelocked_mechanism_weights")
def commit_weights(origin: Origin, args: dict[str, Any]) -> list[Event]:
    """Queue sealed weights under the current epoch. Permit, length and version key are only checked at the reveal."""
    subnet, mechanism = MutableSubnet(origin.storage, int(args["netuid"])), mechanism_of(args)
    existing_mechanism(subnet, mechanism)
    if not subnet.get("CommitRevealWeightsEnabled"):
        raise DispatchError(PALLET, "CommitRevealDisabled")
    if int(args["commit_reveal_version"]) != int(origin.storage.get(PALLET, "CommitRevealWeightsVersion")):
        raise DispatchError(PALLET, "IncorrectCommitRevealVersion")
    uid = registered(subnet, origin.signer)
    rate_limit(subnet, uid, origin.block, mechanism=mechanism, error="CommittingWeightsTooFast")
    index, epoch = storage_index(subnet.netuid, mechanism), subnet.epoch_of(origin.block)
    queued = list(origin.storage.get(PALLET, COMMITS, index, epoch))
    if sum(entry[0] == origin.signer for entry in queued) >= MAX_UNREVEALED:
        raise DispatchError(PALLET, "TooManyUnrevealedCommits")
    reveal_round = int(args["reveal_round"])
    entry = (origin.signer, origin.block, args["commit"], reveal_round)
    origin.storage.put(PALLET, COMMITS, (index, epoch), [*queued, entry])
    subnet.updated(uid, origin.block, mechanism=mechanism)
    digest = to_hex(blake2_256(plain_bytes(args["commit"])))
    return [Event(PALLET, "TimelockedWeightsCommitted", (origin.signer, index, digest, reveal_round))]


def reveal(
    storage: Storage, netuid: int, *, block: int, escrow: Escrow, missing: frozenset[int]
) -> tuple[list[Event], list[Outcome]]:
    """Open the commits whose epoch has come, before the epoch of the block runs; return events and outcomes.

    Commits whose drand round is not stored, or is one of the ``missing`` ones, wait for the next block of this epoch.
    """
    subnet, events, outcomes = MutableSubnet(storage, netuid), list[Event](), list[Outcome]()
    current, period = subnet.epoch_of(block), int(subnet.get("RevealPeriodEpochs"))
    for mechanism in range(subnet.mechanisms):
        index = storage_index(netuid, mechanism)
        for epoch, key in _epochs(storage, index):
            if epoch < current - period:
                for hotkey, committed_at, _, reveal_round in storage.get(PALLET, COMMITS, index, epoch):
                    expired = f"its epoch is over, drand round {reveal_round} did not come"
                    outcomes.append(Outcome(block, str(hotkey), mechanism, int(committed_at), expired))
                storage.delete_raw(key)
        if current < period:
            continue
        params = (index, current - period)
        waiting = []
        for hotkey, committed_at, commit, reveal_round in storage.get(PALLET, COMMITS, *params):
            if int(reveal_round) > drand.last_stored(storage) or int(reveal_round) in missing:
                waiting.append((hotkey, committed_at, commit, reveal_round))
                continue
            origin = Origin(storage, str(hotkey), block)
            happened, dropped = _open(origin, netuid, mechanism, escrow.row(plain_bytes(commit)))
            events += happened
            outcomes.append(Outcome(block, str(hotkey), mechanism, int(committed_at), dropped))
        if waiting:
            storage.put(PALLET, COMMITS, params, waiting)
        else:
            storage.delete(PALLET, COMMITS, *params)
    return events, outcomes


def oldest_commits(subnet: Subnet, *, mechanism: int, block: int) -> dict[str, int]:
    """Return the block of the oldest commit that is not revealed, by hotkey."""
    oldest: dict[str, int] = {}
    index = storage_index(subnet.netuid, mechanism)
    expired = subnet.epoch_of(block) - int(subnet.get("RevealPeriodEpochs"))
    for epoch, _ in _epochs(subnet.view, index):
        if epoch >= expired:
            for hotkey, committed_at, *_ in subnet.view.get(PALLET, COMMITS, index, epoch):
                oldest[str(hotkey)] = min(oldest.get(str(hotkey), int(committed_at)), int(committed_at))
    return oldest


def _open(origin: Origin, netuid: int, mechanism: int, row: OpenRow | None) -> tuple[list[Event], str | None]:
    """Set the row of a commit; return the events, and why it was dropped if it was."""
    if row is None:
        return [], "its row was not handed over, as if it could not be decrypted"
    if row.hotkey != origin.signer:
        return [], f"it was sealed by {row.hotkey}"
    try:
        events = apply_row(
            origin,
            netuid=netuid,
            mechanism=mechanism,
            targets=row.targets,
            values=row.values,
            version_key=row.version_key,
        )
    except DispatchError as refused:
        return [], str(refused)
    index = storage_index(netuid, mechanism)
    return [*events, Event(PALLET, "TimelockedWeightsRevealed", (index, origin.signer))], None


def _epochs(view: View, index: int) -> list[tuple[int, bytes]]:
    """Return the epochs under which commits are stored, and their keys, which end with the epoch's eight bytes."""
    key: bytes = view.runtime.storage_key(PALLET, COMMITS, (index, 0))
    # The last part is a hash of eight bytes and the epoch itself.
    found = view.keys(prefix=key[:-16], after=b"", count=1 << 20)
    return [(int.from_bytes(key[-8:], "little"), key) for key in found]
