from __future__ import annotations

from bitagent_miner.rates import HOTKEYS_MAX, RateLimit


def test_a_bucket_is_emptied_at_once_and_filled_steadily() -> None:
    now = 0.0
    rate = RateLimit(per_minute=60, burst=2, clock=lambda: now)
    assert [rate.allows("a") for _ in range(3)] == [True, True, False]
    assert rate.allows("b")
    now = 1.0
    assert [rate.allows("a") for _ in range(2)] == [True, False]
    now = 100.0
    assert [rate.allows("a") for _ in range(3)] == [True, True, False]


def test_the_hotkeys_that_are_remembered_are_bounded() -> None:
    rate = RateLimit(per_minute=1, burst=1, clock=lambda: 0.0)
    for number in range(HOTKEYS_MAX + 10):
        assert rate.allows(str(number))
    assert not rate.allows(str(HOTKEYS_MAX + 9))
    assert rate.allows("0")
