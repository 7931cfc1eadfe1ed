"""Shares of the slots that all rounds use: never more than the bound, by weight, in turn, and none starves."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitagent_operator.plan.shares import Claim, Share, in_turn, rooms

T0 = datetime(2026, 1, 1, tzinfo=UTC)


def claim(name: str, holds: int = 0, waits: int = 100, *, weight: int = 1, served: float = 0) -> Claim:
    return Claim(name, weight, holds, waits, T0 + timedelta(seconds=served))


@pytest.mark.parametrize(
    ("claims", "bound", "expected"),
    [
        pytest.param([claim("a")], 4, {"a": 4}, id="one round takes all"),
        pytest.param([claim("a", waits=1), claim("b")], 4, {"a": 1, "b": 3}, id="what one does not need, another has"),
        pytest.param([claim("a"), claim("b")], 4, {"a": 2, "b": 2}, id="two share"),
        pytest.param([claim("a", 4), claim("b")], 4, {"a": 0, "b": 0}, id="nothing is taken away"),
        pytest.param([claim("a", 3), claim("b")], 4, {"a": 0, "b": 1}, id="the next slot goes to who has fewer"),
        pytest.param([claim("a", 5), claim("b")], 4, {"a": 0, "b": 0}, id="more than a smaller bound"),
        pytest.param([claim("a", weight=3), claim("b")], 8, {"a": 6, "b": 2}, id="by weight"),
        pytest.param([claim("a", weight=100), claim("b")], 2, {"a": 1, "b": 1}, id="a weight never keeps another out"),
        pytest.param([claim("a", served=9), claim("b", served=5)], 1, {"a": 0, "b": 1}, id="in turn"),
        pytest.param([claim("b"), claim("a")], 1, {"a": 1, "b": 0}, id="by name at last"),
        pytest.param([claim("a", 2, 0), claim("b")], 4, {"a": 0, "b": 2}, id="one that only holds"),
        pytest.param([], 4, {}, id="no round"),
    ],
)
def test_rooms(claims: list[Claim], bound: int, expected: dict[str, int]) -> None:
    assert rooms(claims, bound) == expected


CLAIMS = st.lists(
    st.builds(
        claim,
        st.sampled_from("abcdefghij"),
        st.integers(0, 6),
        st.integers(0, 12),
        weight=st.integers(1, 100),
        served=st.integers(0, 9),
    ),
    unique_by=lambda found: found.round,
)


@given(CLAIMS, st.integers(0, 30))
def test_the_bound_is_kept_and_nothing_is_left_unused(claims: list[Claim], bound: int) -> None:
    found, held = rooms(claims, bound), sum(each.holds for each in claims)
    assert all(0 <= found[each.round] <= each.waits for each in claims)
    assert sum(found.values()) == max(0, min(bound - held, sum(each.waits for each in claims)))


@given(CLAIMS, st.integers(1, 30))
def test_shares_are_fair_by_weight(claims: list[Claim], bound: int) -> None:
    """Who was given a slot had, before its last one, not more for its weight than any that still waits."""
    found = rooms(claims, bound)
    has = {each.round: each.holds + found[each.round] for each in claims}
    waiting = [each for each in claims if found[each.round] < each.waits]
    for got in (each for each in claims if found[each.round]):
        before = (has[got.round] - 1) / got.weight
        assert all(before <= has[each.round] / each.weight for each in waiting)


@given(CLAIMS, st.integers(1, 30), st.integers(0, 100))
def test_what_a_round_asks_for_does_not_change_what_comes_first(claims: list[Claim], bound: int, more: int) -> None:
    """So a pass may ask for all that its round could ever use, before it knows how much that is."""
    for each in claims:
        others = [other for other in claims if other is not each]
        asked = rooms([replace(each, waits=each.waits + more), *others], bound)[each.round]
        assert min(asked, each.waits) == rooms(claims, bound)[each.round]


@given(CLAIMS, st.integers(1, 5))
def test_no_round_starves(claims: list[Claim], bound: int) -> None:
    """Jobs end one by one, the oldest first; within as many ends as there are Jobs each round has had a turn."""
    state = {each.round: each for each in claims}
    running = [each.round for each in claims for _ in range(each.holds)]
    served, clock = {each.round for each in claims if each.waits == 0}, 100
    for _ in range(len(running) + 13 * len(claims) + 1):
        for name, room in rooms(state.values(), bound).items():
            for _ in range(room):
                clock += 1
                known = state[name]
                now = T0 + timedelta(seconds=clock)
                state[name] = replace(known, holds=known.holds + 1, waits=known.waits - 1, served=now)
                running.append(name)
                served.add(name)
        if not running:
            break
        ended = running.pop(0)
        state[ended] = replace(state[ended], holds=state[ended].holds - 1)
    assert served == set(state)


def test_a_round_sees_its_room_and_its_place() -> None:
    others = (claim("a", served=1), claim("b", 2), claim("c", waits=0))
    share = Share(3, claim("r", waits=0, served=5), others)
    assert (share.room(holds=0, waits=8), share.room(holds=1, waits=8)) == (0, 0)
    assert "number 2" in share.message(holds=0, waits=1)
    assert in_turn((replace(share.own, waits=1), *others)) == ["a", "r", "b"]
    assert (share.message(holds=0, waits=0), "number" in share.message(holds=1, waits=1)) == ("", False)
    assert Share(4, share.own, others).room(holds=0, waits=8) == 1
