"""Which heights are believed, by the times of their blocks and by what several endpoints say. Pure.

A chain makes at most one block in a slot of time. Of two of its blocks, the later one is therefore the higher one, by
no more blocks than there are slots between their timestamps: that holds for a node that is behind and for one whose
blocks are not final for hours, and not for a node that serves an invented height.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

TOLERANCE_BLOCKS = 20
"""Blocks by which two heights may differ in any case."""
ALONE_SECONDS = 1800.0
"""For how long a height counts that one endpoint alone has said, since it was said last."""
AGREED_SECONDS = 86400.0
"""For how long a height counts that several endpoints have agreed on."""
AHEAD_BLOCKS = 20
"""By how many finalised blocks another endpoint must be ahead for this one to count as behind."""


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


@dataclass(frozen=True)
class Verdict:
    """What follows from an endpoint's claim, and from those of the others."""

    anchor: Anchor | None = None
    """The anchor that holds from now on; None if the claim is not believed."""
    future: bool = False
    """Whether it is not believed because its block is of a time to come, which no other endpoint confirms."""
    contradicting: Mapping[str, Claim] = field(default_factory=dict)
    """By endpoint: claims that contradict this one, although it is believed."""
    ahead: str = ""
    """An endpoint that agrees and is far ahead; empty if there is none that may be used."""


@dataclass(frozen=True)
class Moment:
    """When claims are compared."""

    now: float
    """By a clock that only advances."""
    clock: float
    """The machine's, which may be wrong, in seconds since the Unix epoch."""
    lag_seconds: float
    """By how much a block's time may be after the clock's without being of a time to come."""
    slot_seconds: float

    def is_future(self, claim: Claim) -> bool:
        """Whether a claim's block is of a time to come."""
        return claim.stamp > self.clock + self.lag_seconds


def needs_others(claim: Claim, *, anchor: Anchor | None, moment: Moment) -> bool:
    """Whether the other endpoints are to be asked before a claim is judged, as it differs from what is known.

    A block of a time to come is believed without them only if several have agreed on what it agrees with: the machine's
    clock may be wrong.
    """
    if anchor is None or not agree(anchor.claim, claim, slot_seconds=moment.slot_seconds):
        return True
    return moment.is_future(claim) and not anchor.agreed


def credible(claim: Claim, others: Mapping[str, Claim], *, moment: Moment) -> dict[str, Claim]:
    """Return the claims of others that count: not of blocks of a time to come, unless this one's is late, too."""
    latest = max(moment.clock, claim.stamp) + moment.lag_seconds
    return {endpoint: each for endpoint, each in others.items() if 0 < each.stamp <= latest}


def weigh(
    claim: Claim, *, others: Mapping[str, Claim], usable: Collection[str], anchor: Anchor | None, moment: Moment
) -> Verdict:
    """Return what follows from an endpoint's claim and from those of others that count, by endpoint.

    `usable` are the endpoints that need not wait.
    """
    slot = moment.slot_seconds
    agreeing = {endpoint for endpoint, each in others.items() if agree(claim, each, slot_seconds=slot)}
    if moment.is_future(claim) and not agreeing and needs_others(claim, anchor=anchor, moment=moment):
        return Verdict(future=True)
    judged = judge(claim, others=list(others.values()), anchor=anchor, now=moment.now, slot_seconds=slot)
    if judged is None:
        return Verdict()
    ahead = [e for e in others if e in agreeing and e in usable and others[e].height - claim.height > AHEAD_BLOCKS]
    contradicting = {endpoint: each for endpoint, each in others.items() if endpoint not in agreeing}
    return Verdict(judged, contradicting=contradicting, ahead=ahead[0] if ahead else "")


def distrust(
    claim: Claim, verdict: Verdict, *, others: Mapping[str, Claim], anchor: Anchor | None, clock: float
) -> str:
    """Return why a claim is not believed, as the end of a sentence; `others` are by what endpoints are shown as."""
    if verdict.future:
        ahead = f"has a block of a time that is {claim.stamp - clock:.0f} s in the future by this machine's clock"
        return f"{ahead}, which no other endpoint confirms"
    said = ", ".join(f"{endpoint} at {each.height}" for endpoint, each in others.items()) or "no other answers"
    before = f"; block {anchor.claim.height} was believed before" if anchor else ""
    return f"is at block {claim.height} ({said}{before})"


def is_forgotten(seen: int, *, limit: int | None, agreed: bool, missing_seconds: float) -> bool:
    """Whether a height that was seen before is no longer believed, since no endpoint is that far.

    `limit` is the highest block that the chain can have reached, by an endpoint that is connected; `agreed` says
    whether others agree with it, and `missing_seconds` for how long no endpoint was at the height. One that the chain
    can have reached is never forgotten: the endpoint may be behind.
    """
    return limit is not None and seen > limit and (agreed or missing_seconds >= ALONE_SECONDS)
