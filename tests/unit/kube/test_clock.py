"""The API server's clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from bitagent_kube.clock import ServerClock

T0 = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


def answer(clock: ServerClock, *, at: float, skew: float, took: float = 0.1) -> None:
    """An answer of a server whose clock is `skew` seconds ahead, in the middle of a request that ends `at` seconds."""
    received = T0 + timedelta(seconds=at)
    moment = received - timedelta(seconds=took / 2) + timedelta(seconds=skew)
    date = format_datetime(moment.replace(microsecond=0), usegmt=True)
    clock.observe(date, sent=received - timedelta(seconds=took), received=received)


@pytest.mark.parametrize("skew", [-600, -2.5, 0, 0.3, 2.5, 600])
def test_skew_is_found_to_a_fraction_of_a_second(skew: float) -> None:
    clock = ServerClock()
    for tenth in range(20):
        answer(clock, at=tenth / 10, skew=skew)
    assert abs(clock.offset.total_seconds() - skew) < 0.35


def test_clocks_that_agree_are_not_corrected() -> None:
    clock = ServerClock()
    for tenth in range(100):
        answer(clock, at=tenth / 10, skew=0.0, took=0.001)
        assert clock.offset == timedelta()


def test_a_clock_that_is_set_is_followed_at_once() -> None:
    clock = ServerClock()
    answer(clock, at=0, skew=600)
    answer(clock, at=1, skew=0)
    assert abs(clock.offset.total_seconds()) < 1


@pytest.mark.parametrize("date", [None, "", "yesterday"], ids=["none", "empty", "no date"])
def test_an_answer_without_a_date_is_ignored(date: str | None) -> None:
    clock = ServerClock()
    answer(clock, at=0, skew=600)
    clock.observe(date, sent=T0, received=T0)
    assert abs(clock.offset.total_seconds() - 600) < 1
    assert abs((clock.now() - datetime.now(UTC)).total_seconds() - 600) < 60
