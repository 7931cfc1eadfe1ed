"""Ages and durations."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bitagent_cli.objects.ages import age, duration, seconds_of


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (45, "45s"), (200, "3m20s"), (7500, "2h5m"), (7200, "2h"), (3605, "1h"), (532800, "6d4h"), (-5, "0s")],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_age() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert age(now - timedelta(seconds=90), now) == "1m30s"
    assert age(None, now) == ""


@pytest.mark.parametrize(("text", "seconds"), [("", 0), ("90s", 90), ("10m", 600), ("2h30m", 9000), ("1d", 86400)])
def test_seconds(text: str, seconds: int) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["10", "m", "1w", "1.5h", "-3s"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="cannot be read as a duration"):
        seconds_of(text)
