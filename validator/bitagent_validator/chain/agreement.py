"""Which heights are believed, by the times of their blocks and by what several endpoints say. Pure.

A chain makes at most one block in a slot of time. Of two of its blocks, the later one is therefore the higher one, by
no more blocks than there are slots between their timestamps: that holds for a node that is behind and for one whose
blocks are not final for hours, and not for a node that serves an invented height.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

TOLERANCE_BLOCKS = 20
"""Blocks by which two heights may differ in any case."""
ALONE_SECONDS = 1800.0
"""For how long a height counts that one endpoint alone has said, since it was said last."""
AGREED_SECONDS = 86400.0
"""For how long a height counts that several endpoints have agreed on."""


@dataclass(frozen=True)
class Claim:
    """The last finalised block of an endpoint, by its own words."""

    height: int
    stamp: float
    """The block's timestamp, in seconds since the Unix epoch."""


@dataclass(frozen=True)
class Anchor:
    """The height that others are compared with."""

    claim: Claim
    at: float
    """When it was confirmed last, by a clock that only advances."""
    agreed: bool = False
    """Whether several endpoints have agreed on it."""

    def counts(self, now: float) -> bool:
        """Whether it still says something about other heights."""
        return now - self.at < (AGREED_SECONDS if self.agreed else ALONE_SECONDS)


def agree(one: Claim, other: Claim, *, slot_seconds: float) -> bool:
    """Whether two claims can be of one chain."""
    early, late = sorted((one, other), key=lambda each: each.stamp)
    slots = (late.stamp - early.stamp) / slot_seconds
    return -TOLERANCE_BLOCKS <= late.height - early.height <= slots + TOLERANCE_BLOCKS


def limit_of(claim: Claim, *, seconds: float, slot_seconds: float) -> int:
    """Return the highest block that the chain can have reached when the claim's block is so many seconds old."""
    return claim.height + int(max(seconds, 0.0) / slot_seconds) + TOLERANCE_BLOCKS


def judge(
    claim: Claim, *, others: Sequence[Claim], anchor: Anchor | None, now: float, slot_seconds: float
) -> Anchor | None:
    """Return the anchor that holds after an endpoint's claim; None if the claim is not believed.

    The claim of most endpoints is believed, if at least two agree on it. Otherwise the anchor decides, and without one
    the claim is believed. One endpoint alone does not move an anchor: it could do so a little each time.
    """

    def support(one: Claim) -> int:
        return sum(agree(one, each, slot_seconds=slot_seconds) for each in (claim, *others))

    own = support(claim)
    rival = max((support(each) for each in others if not agree(claim, each, slot_seconds=slot_seconds)), default=0)
    if own > max(rival, 1):
        return Anchor(claim, now, agreed=True)
    if rival > max(own, 1):
        return None
    if anchor is None or not anchor.counts(now):
        return Anchor(claim, now)
    if not agree(anchor.claim, claim, slot_seconds=slot_seconds):
        return None
    return anchor if anchor.agreed else replace(anchor, at=now)


def is_forgotten(seen: int, *, limit: int | None, agreed: bool, missing_seconds: float) -> bool:
    """Whether a height that was seen before is no longer believed, since no endpoint is that far.

    `limit` is the highest block that the chain can have reached, by an endpoint that is connected; `agreed` says
    whether others agree with it, and `missing_seconds` for how long no endpoint was at the height. One that the chain
    can have reached is never forgotten: the endpoint may be behind.
    """
    return limit is not None and seen > limit and (agreed or missing_seconds >= ALONE_SECONDS)
