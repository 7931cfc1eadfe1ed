"""Heights that contradict the times of their blocks, or most endpoints, are not believed."""

from __future__ import annotations

import pytest

from bitagent_validator.chain.agreement import (
    AGREED_SECONDS,
    ALONE_SECONDS,
    Anchor,
    Claim,
    agree,
    is_forgotten,
    judge,
    limit_of,
)

SLOT = 12.0
NOW = 1_800_000_000.0


def at(height: int, *, seconds: float = 0.0) -> Claim:
    """A claim to a height, by a block that is made so many seconds after NOW."""
    return Claim(height, NOW + seconds)


@pytest.mark.parametrize(
    ("one", "other", "agreeing"),
    [
        pytest.param(at(1000), at(1000), True, id="the same block"),
        pytest.param(at(1000), at(1020), True, id="within the tolerance"),
        pytest.param(at(1000), at(1021), False, id="beyond it, at the same time"),
        pytest.param(at(1000), at(1120, seconds=1200), True, id="a node that is 100 slots behind"),
        pytest.param(at(1000), at(1121, seconds=1200), False, id="more blocks than slots"),
        pytest.param(at(1000), at(1001, seconds=36000), True, id="the chain stood still"),
        pytest.param(at(1000), at(979, seconds=60), False, id="a later block of a lower number"),
        pytest.param(at(1000), at(980, seconds=60), True, id="a reorganisation of a few blocks"),
    ],
)
def test_which_blocks_can_be_of_one_chain(one: Claim, other: Claim, agreeing: bool) -> None:
    assert agree(one, other, slot_seconds=SLOT) is agreeing
    assert agree(other, one, slot_seconds=SLOT) is agreeing


TRUE, LIE = at(1000), at(1_000_000)


@pytest.mark.parametrize(
    ("steps", "believed"),
    [
        pytest.param([(TRUE, [], 0)], [True], id="the first"),
        pytest.param([(TRUE, [], 0), (LIE, [], 60)], [True, False], id="an invented height after it"),
        pytest.param([(TRUE, [], 0), (LIE, [TRUE], 60)], [True, False], id="while the first contradicts it"),
        pytest.param([(TRUE, [LIE], 0), (TRUE, [LIE], 60)], [True, True], id="it keeps the first not away"),
        pytest.param([(LIE, [], 0), (TRUE, [], 60)], [True, False], id="the invented one came first: not known which"),
        pytest.param([(LIE, [], 0), (TRUE, [], ALONE_SECONDS)], [True, True], id="and is not said any more"),
        pytest.param(
            [(LIE, [], 0), (LIE, [], 1000), (TRUE, [], ALONE_SECONDS + 999)], [True, True, False], id="and is said"
        ),
        pytest.param([(LIE, [], 0), (TRUE, [TRUE, LIE], 60)], [True, True], id="two agree that it was invented"),
        pytest.param([(LIE, [TRUE, TRUE], 0), (TRUE, [TRUE, LIE], 1)], [False, True], id="at the first connection"),
        pytest.param([(TRUE, [TRUE], 0), (LIE, [], AGREED_SECONDS - 1)], [True, False], id="two agreed before"),
        pytest.param([(TRUE, [TRUE], 0), (LIE, [], AGREED_SECONDS)], [True, True], id="long before"),
        pytest.param([(TRUE, [TRUE, LIE, LIE], 0)], [True], id="two of four: the first is believed"),
        pytest.param([(TRUE, [], 0), (TRUE, [LIE, LIE], 1)], [True, False], id="most endpoints invent the same"),
        pytest.param([(TRUE, [], 0), (TRUE, [LIE, at(5)], 1)], [True, True], id="others contradict each other, too"),
        pytest.param([(TRUE, [], 0), (at(1100, seconds=1200), [], 1)], [True, True], id="as many blocks as slots"),
        pytest.param([(TRUE, [], 0), (at(1200, seconds=1200), [], 1)], [True, False], id="faster than the chain"),
    ],
)
def test_sequences_of_claims(steps: list[tuple[Claim, list[Claim], float]], believed: list[bool]) -> None:
    anchor: Anchor | None = None
    found = []
    for claim, others, now in steps:
        judged = judge(claim, others=others, anchor=anchor, now=now, slot_seconds=SLOT)
        found.append(judged is not None)
        anchor = judged or anchor
    assert found == believed


@pytest.mark.parametrize("agreed", [True, False])
def test_one_endpoint_alone_does_not_move_an_anchor_little_by_little(agreed: bool) -> None:
    anchor: Anchor | None = Anchor(at(1000), 0.0, agreed=agreed)
    for step in range(1, 10):
        claim = at(1000 + 15 * step)
        judged = judge(claim, others=[], anchor=anchor, now=60.0 * step, slot_seconds=SLOT)
        assert (judged is not None) is (15 * step <= 20)
        anchor = judged or anchor


@pytest.mark.parametrize(
    ("seconds", "limit"), [(0.0, 1020), (1199.0, 1119), (-600.0, 1020)], ids=["now", "older", "the clock is behind"]
)
def test_the_highest_block_that_the_chain_can_have_reached(seconds: float, limit: int) -> None:
    assert limit_of(at(1000), seconds=seconds, slot_seconds=SLOT) == limit


@pytest.mark.parametrize(
    ("seen", "limit", "agreed", "missing", "forgotten"),
    [
        pytest.param(1_000_000, 1020, True, 0.0, True, id="several agree"),
        pytest.param(1_000_000, 1020, False, 60.0, False, id="one endpoint alone, for a while"),
        pytest.param(1_000_000, 1020, False, ALONE_SECONDS, True, id="and for long"),
        pytest.param(1020, 1020, True, 10 * ALONE_SECONDS, False, id="the chain can be there: the node is behind"),
        pytest.param(1_000_000, None, True, 10 * ALONE_SECONDS, False, id="nothing is known about the node"),
    ],
)
def test_when_a_height_is_forgotten(
    seen: int, limit: int | None, agreed: bool, missing: float, forgotten: bool
) -> None:
    assert is_forgotten(seen, limit=limit, agreed=agreed, missing_seconds=missing) is forgotten
