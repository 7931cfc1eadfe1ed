"""Whose row the newest setting on the chain is. Pure.

The chain does not say who sent a row, and moves a hotkey's last update for each.
"""

from __future__ import annotations

from collections.abc import Collection

from bitagent_validator.chain.calls import SentRow
from bitagent_validator.chain.facts import Neuron, Subnet
from bitagent_validator.state.rows import Reveal, Row, weights_digest
from bitagent_validator.weights.vector import same_values, same_weights


def may_be_on_chain(row: Row, subnet: Subnet) -> bool:
    """Whether the newest setting is this row."""
    if is_readable(row, subnet):
        return True
    if not subnet.rules.commit_reveal:
        return False
    return not row.commit or any(commit.digest == row.commit for commit in subnet.commits)


def is_readable(row: Row, subnet: Subnet) -> bool:
    """Whether the chain shows this row, by the slots to which it was sent; or by hotkey, since slots are numbered again
    when a subnet is made smaller."""
    return same_values(row.by_uid, subnet.uid_weights) or same_weights(row.weights, subnet.weights)


def is_sent(row: Row, sent: SentRow, *, mechanism: int) -> bool:
    """Whether a row that was found in a block is this one, whatever the chain has made of it since."""
    if sent.mechanism != mechanism:
        return False
    return sent.commit == row.commit if sent.commit else same_values(row.by_uid, sent.by_uid)


def is_late_reveal(subnet: Subnet, me: Neuron, accepted: Row | None, *, unopened: Collection[str]) -> bool:
    """Whether the last update is that of an earlier sealed row, which the chain has opened since.

    Where rows are not sealed any more, it counts as a setting, and replaces a row that was set openly meanwhile.
    `unopened` are the digests of such rows.
    """
    if any(commit.block == me.last_update for commit in subnet.commits) or not subnet.weights:
        return False
    return weights_digest(subnet.weights) in unopened or (
        accepted is not None and accepted.reveal is Reveal.OPEN and is_readable(accepted, subnet)
    )


def foreign_update(subnet: Subnet, me: Neuron, accepted: Row | None, *, unopened: Collection[str] = ()) -> int | None:
    """Return the block at which another process has set weights for this hotkey since the last accepted row."""
    if accepted is None or me.last_update <= max(accepted.block, me.registered_at):
        return None
    if any(commit.digest == accepted.commit for commit in subnet.commits if commit.block == me.last_update):
        return None
    if not subnet.rules.commit_reveal and is_readable(accepted, subnet):
        return None
    if is_late_reveal(subnet, me, accepted, unopened=unopened):
        return None
    return me.last_update
