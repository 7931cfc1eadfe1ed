"""An engine that hangs is noticed, one that works is not."""

from __future__ import annotations

import threading

from bitagent_evaluator.evaluation.watchdog import Watchdog


def test_silence_is_reported_once() -> None:
    causes: list[str] = []
    noticed = threading.Event()

    def on_stall(cause: str) -> None:
        causes.append(cause)
        noticed.set()

    with Watchdog(on_stall, seconds=0.02):
        assert noticed.wait(60)
    assert len(causes) == 1


def test_a_block_that_ends_in_time_is_not_reported() -> None:
    causes: list[str] = []
    with Watchdog(causes.append, seconds=600) as watchdog:
        watchdog.beat()
    assert causes == []
