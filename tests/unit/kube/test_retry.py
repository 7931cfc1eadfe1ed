"""Which requests are repeated, and when."""

from __future__ import annotations

import pytest

from bitagent_kube.retry import Backoff, asks_to_repeat, is_repeatable, retry_after


def test_delays_double_up_to_the_longest_and_start_again_after_a_success() -> None:
    backoff = Backoff(first=1, longest=5)
    for limit in (1, 2, 4, 5, 5):
        assert limit / 2 <= backoff.next() <= limit
    backoff.reset()
    assert 0.5 <= backoff.next() <= 1


def test_a_very_long_outage_is_no_overflow() -> None:
    backoff = Backoff(first=1, longest=5)
    assert max(backoff.next() for _ in range(5000)) <= 5


@pytest.mark.parametrize(
    ("code", "headers", "expected"),
    [
        (429, {}, True),
        (503, {"Retry-After": "1"}, True),
        (500, {"Retry-After": "1"}, True),
        (503, {}, False),
        (409, {"Retry-After": "1"}, False),
        (403, {}, False),
    ],
)
def test_what_the_server_asks_for(code: int, headers: dict[str, str], expected: bool) -> None:
    assert asks_to_repeat(code, headers) is expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(None, True, id="read"),
        pytest.param({"metadata": {"name": "a"}}, True, id="create or apply by name"),
        pytest.param({"spec": {"suspend": True}}, True, id="merge"),
        pytest.param({"preconditions": {"uid": "u"}}, True, id="delete of a uid"),
        pytest.param({"metadata": {"name": "a", "resourceVersion": "7"}}, False, id="under a lock"),
    ],
)
def test_a_second_time_does_no_harm(body: object, expected: bool) -> None:
    assert is_repeatable(body) is expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, 5.0),
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "2"}, 5.0),
        ({"Retry-After": "0"}, 5.0),
        ({"Retry-After": "-1"}, 5.0),
        ({"Retry-After": "nan"}, 5.0),
        ({"Retry-After": "inf"}, float("inf")),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, 5.0),
    ],
)
def test_retry_after_lengthens_the_pause_and_never_shortens_it(headers: dict[str, str], expected: float) -> None:
    assert retry_after(headers, 5.0) == expected
