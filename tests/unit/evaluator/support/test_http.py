"""Addresses of specs, and the rule for repeating requests."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from bitagent_crds.conditions import Reason
from bitagent_evaluator.support import http
from bitagent_evaluator.support.faults import FetchError
from bitagent_evaluator.support.http import (
    ATTEMPTS,
    LONGEST_RETRY_AFTER_SECONDS,
    Backoff,
    TransientError,
    backoff_delay,
    check_address,
    parse_retry_after,
    retry,
)

NOW = datetime(2026, 11, 21, 20, 0, 0, tzinfo=UTC)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were made, none of which takes time."""
    made: list[float] = []
    monkeypatch.setattr(http.time, "sleep", made.append)
    return made


def failing(*failures: Exception | None) -> Callable[[], int]:
    """An action that fails in these ways, one a call, and then returns the number of calls."""
    calls = iter([*failures, None])
    count = 0

    def action() -> int:
        nonlocal count
        count += 1
        failure = next(calls)
        if failure is not None:
            raise failure
        return count

    return action


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None), ("2.5", 2.5), ("-1", None), ("0", None), ("soon", None), ("nan", None), ("inf", None),
        ("Sat, 21 Nov 2026 20:00:07 GMT", 7.0), ("Sat, 21 Nov 2026 19:00:07 GMT", None),
    ],
)  # fmt: skip
def test_retry_after_is_a_number_or_a_date(header: str | None, seconds: float | None) -> None:
    assert parse_retry_after(header, now=NOW) == seconds


@pytest.mark.parametrize(
    ("failures", "retry_after", "jitter", "seconds"),
    [
        (1, None, 0.0, 0.5), (2, None, 0.0, 1.0), (3, None, 1.0, 1.0), (9, None, 0.0, 8.0), (9, None, 1.0, 4.0),
        (1, 2.5, 1.0, 2.5), (4, 2.5, 0.0, 2.5), (1, 3600.0, 0.0, LONGEST_RETRY_AFTER_SECONDS),
    ],
)  # fmt: skip
def test_pauses_grow_within_bounds(failures: int, retry_after: float | None, jitter: float, seconds: float) -> None:
    assert backoff_delay(failures, retry_after=retry_after, jitter=jitter) == pytest.approx(seconds)


def test_pauses_are_jittered(pauses: list[float]) -> None:
    for _ in range(20):
        retry(failing(TransientError("busy")), "asking")
    assert len(set(pauses)) > 10
    assert all(0.25 <= pause <= 0.5 for pause in pauses)


def test_an_action_is_repeated_while_it_fails_transiently(pauses: list[float]) -> None:
    assert retry(failing(*[TransientError("busy")] * (ATTEMPTS - 1)), "asking") == ATTEMPTS
    assert len(pauses) == ATTEMPTS - 1


def test_the_server_says_how_long_to_wait(pauses: list[float]) -> None:
    retry(failing(TransientError("busy", retry_after="7")), "asking")
    assert pauses == [7.0]


def test_another_error_is_raised_at_once(pauses: list[float]) -> None:
    with pytest.raises(OSError, match="full"):
        retry(failing(OSError("full")), "asking")
    assert not pauses


@pytest.mark.usefixtures("pauses")
@pytest.mark.parametrize(
    ("error", "reason", "message"),
    [
        pytest.param(
            TransientError("the hub answers 503"), Reason.HUB_UNAVAILABLE,
            "asking: the hub answers 503 (5 attempts); is the hub up and reachable?", id="the hub",
        ),
        pytest.param(
            TransientError("403", reason=Reason.ACCESS_DENIED, advice=""), Reason.ACCESS_DENIED,
            "asking: 403 (5 attempts)", id="a reason of its own",
        ),
    ],
)  # fmt: skip
def test_what_does_not_pass_is_a_fetch_error(error: TransientError, reason: Reason, message: str) -> None:
    with pytest.raises(FetchError) as caught:
        retry(failing(*[error] * ATTEMPTS), "asking")
    assert (caught.value.reason, caught.value.message) == (reason, message)


@pytest.mark.usefixtures("pauses")
def test_progress_starts_the_count_again() -> None:
    action = failing(*[TransientError("cut")] * 20)
    assert retry(action, "downloading", progressed=lambda: True) == 21


def test_the_last_attempt_has_no_pause_after_it() -> None:
    backoff = Backoff(2)
    assert backoff.next_delay() is not None
    assert backoff.next_delay("3") is None
    backoff.reset()
    assert backoff.next_delay("3") == 3.0


@pytest.mark.parametrize("url", ["http://h/x", "https://h:8443/v1", "http://bücher.example/x"])
def test_web_addresses(url: str) -> None:
    check_address(url)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("ftp://h/x", "begins with http"), ("http:///x", "begins with http"), ("http://[::1/x", "not a web address"),
        ("http://h:99999/x", "Port out of range"), ("http://a..b/x", "not a web address"),
        ("https://user@h/x", "user name"), ("https://user:word@h/x", "password"),
    ],
)  # fmt: skip
def test_other_addresses_are_refused(url: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        check_address(url)
