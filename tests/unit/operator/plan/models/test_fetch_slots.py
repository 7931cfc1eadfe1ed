"""The order in which fetches start."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bitagent_crds.conditions import Reason
from bitagent_operator.plan.models.fetch_slots import Turn, Waiting, in_turn
from bitagent_operator.plan.models.hub import HubPause

T0 = datetime(2026, 1, 1, tzinfo=UTC)


def waiting(*names: str) -> list[Waiting]:
    """`a1` is the first model of hotkey `a`, `-1` one without a hotkey; `!` marks one that a round waits for."""
    made = []
    for second, name in enumerate(names):
        hotkey = name[0].replace("-", "")
        made.append(Waiting(name.rstrip("!"), hotkey, T0 + timedelta(seconds=second), urgent=name.endswith("!")))
    return made


@pytest.mark.parametrize(
    ("names", "running", "order"),
    [
        pytest.param(["a1", "a2", "b1"], [], ["a1", "b1", "a2"], id="hotkeys take turns"),
        pytest.param(["a1", "a2", "b1", "b2", "c1"], [], ["a1", "b1", "c1", "a2", "b2"], id="several turns"),
        pytest.param(["a1", "b1"], ["a"], ["b1", "a1"], id="running ones count"),
        pytest.param(["-1", "-2", "a1"], [], ["-1", "a1", "-2"], id="those without a hotkey are one party"),
        pytest.param(["a1", "a2!", "b1"], [], ["a2", "b1", "a1"], id="what a round waits for comes first"),
        pytest.param(["a1!", "a2!", "b1!"], ["a", "a"], ["b1", "a1", "a2"], id="also among those a round waits for"),
        pytest.param([], ["a"], [], id="none"),
    ],
)
def test_order(names: list[str], running: list[str], order: list[str]) -> None:
    assert [w.model for w in in_turn(waiting(*names), running)] == order
    assert [w.model for w in in_turn(reversed(waiting(*names)), running)] == order, "whatever order they came in"


def test_many_of_one_hotkey_delay_another_by_one() -> None:
    crowd = waiting(*(f"a{i}" for i in range(300)), "b1")
    assert [w.model for w in in_turn(crowd, [])].index("b1") == 1


@pytest.mark.parametrize(
    ("turn", "reason", "says"),
    [
        pytest.param(Turn(8, 40, 3), Reason.WAITING_FOR_FETCH_SLOT, "place 3 of 40", id="place"),
        pytest.param(Turn(8, 900), Reason.WAITING_FOR_FETCH_SLOT, "more than 64", id="long queue"),
        pytest.param(
            Turn(pause=HubPause(Reason.HUB_RATE_LIMITED, T0)), Reason.HUB_RATE_LIMITED, "00:00:00 UTC", id="pause"
        ),
    ],
)
def test_what_is_said(turn: Turn, reason: Reason, says: str) -> None:
    assert turn.reason is reason
    assert says in turn.message
