"""Heights that contradict the times of their blocks, or most endpoints, are not believed."""

from __future__ import annotations

import pytest

from bitagent_validator.chain.agreement import (
    AGREED_SECONDS,
    ALONE_SECONDS,
    Anchor,
    Claim,
    Moment,
    Verdict,
    agree,
    credible,
    distrust,
    is_forgotten,
    judge,
    limit_of,
    needs_others,
    weigh,
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


LAG = 300.0
MOMENT = Moment(now=60.0, clock=NOW, lag_seconds=LAG, slot_seconds=SLOT)
TO_COME = at(1000 + 25, seconds=LAG + 1)
AGREED, ALONE = Anchor(TRUE, 0.0, agreed=True), Anchor(TRUE, 0.0)


@pytest.mark.parametrize(
    ("claim", "anchor", "asked"),
    [
        pytest.param(TRUE, None, True, id="nothing is known"),
        pytest.param(TRUE, ALONE, False, id="as before"),
        pytest.param(LIE, AGREED, True, id="another height"),
        pytest.param(at(1000, seconds=LAG), ALONE, False, id="the last second that is not to come"),
        pytest.param(TO_COME, ALONE, True, id="of a time to come, said by one before"),
        pytest.param(TO_COME, AGREED, False, id="of a time to come, and several agreed: the clock is behind"),
    ],
)
def test_when_the_others_are_asked(claim: Claim, anchor: Anchor | None, asked: bool) -> None:
    assert needs_others(claim, anchor=anchor, moment=MOMENT) is asked


@pytest.mark.parametrize(
    ("claim", "counted"),
    [
        pytest.param(TRUE, {"near"}, id="not those of a time to come"),
        pytest.param(at(1050, seconds=2 * LAG), {"near", "late"}, id="unless this one is as late"),
    ],
)
def test_which_claims_of_others_count(claim: Claim, counted: set[str]) -> None:
    others = {"near": TRUE, "late": TO_COME, "later": at(9, seconds=4 * LAG), "never": Claim(5, 0.0)}
    assert credible(claim, others, moment=MOMENT).keys() == counted


AHEAD = at(1100, seconds=1200)


@pytest.mark.parametrize(
    ("claim", "others", "anchor", "expected"),
    [
        pytest.param(TRUE, {}, None, Verdict(Anchor(TRUE, 60.0)), id="no other answers"),
        pytest.param(TRUE, {"b": TRUE}, None, Verdict(Anchor(TRUE, 60.0, agreed=True)), id="another agrees"),
        pytest.param(
            TRUE, {"b": LIE}, ALONE, Verdict(Anchor(TRUE, 60.0), contradicting={"b": LIE}), id="another contradicts"
        ),
        pytest.param(
            TRUE,
            {"b": LIE, "c": TRUE},
            ALONE,
            Verdict(Anchor(TRUE, 60.0, agreed=True), contradicting={"b": LIE}),
            id="one of two contradicts",
        ),
        pytest.param(LIE, {"b": TRUE}, ALONE, Verdict(), id="it contradicts what was believed"),
        pytest.param(TO_COME, {}, ALONE, Verdict(future=True), id="a block to come, and no other answers"),
        pytest.param(TO_COME, {"b": LIE}, ALONE, Verdict(future=True), id="a block to come, and another contradicts"),
        pytest.param(TO_COME, {}, AGREED, Verdict(AGREED), id="a block to come, which several agreed on"),
        pytest.param(
            TO_COME, {"b": TRUE}, ALONE, Verdict(Anchor(TO_COME, 60.0, agreed=True)), id="a block to come, confirmed"
        ),
        pytest.param(
            TRUE, {"b": AHEAD}, ALONE, Verdict(Anchor(TRUE, 60.0, agreed=True), ahead="b"), id="another is ahead"
        ),
        pytest.param(
            TRUE, {"c": AHEAD}, ALONE, Verdict(Anchor(TRUE, 60.0, agreed=True)), id="another is ahead, and must wait"
        ),
        pytest.param(
            TRUE,
            {"b": at(1020, seconds=240)},
            ALONE,
            Verdict(Anchor(TRUE, 60.0, agreed=True)),
            id="not far enough to be left for it",
        ),
    ],
)
def test_what_follows_from_a_claim(
    claim: Claim, others: dict[str, Claim], anchor: Anchor | None, expected: Verdict
) -> None:
    assert weigh(claim, others=others, usable={"b"}, anchor=anchor, moment=MOMENT) == expected


@pytest.mark.parametrize(
    ("verdict", "anchor", "words"),
    [
        pytest.param(Verdict(future=True), None, "301 s in the future", id="of a time to come"),
        pytest.param(Verdict(), AGREED, "block 1000 was believed before", id="another height"),
        pytest.param(Verdict(), None, "(b at 1000)", id="most say another"),
    ],
)
def test_why_a_claim_is_not_believed(verdict: Verdict, anchor: Anchor | None, words: str) -> None:
    claim = TO_COME if verdict.future else LIE
    assert words in distrust(claim, verdict, others={"b": TRUE}, anchor=anchor, clock=NOW)
