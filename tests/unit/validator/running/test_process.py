"""The process: when its probes are red."""

from __future__ import annotations

import time

from bitagent_validator.running.process import HEARTBEAT_SECONDS, loop_health


def test_health_goes_red_only_when_the_loop_has_stopped() -> None:
    now = 0.0
    health = loop_health()
    health.clock = lambda: now
    health.beat()
    now = HEARTBEAT_SECONDS - 1
    assert health.alive
    health.beat()
    now += HEARTBEAT_SECONDS - 1
    assert health.alive
    now += 1
    assert not health.alive


def test_a_loop_that_never_begins_is_dead_too() -> None:
    health = loop_health()
    health.clock = lambda: time.monotonic() + HEARTBEAT_SECONDS + 1
    assert not health.alive
    assert not health.ready
