"""The reader of everything that is fetched over HTTP: ranges, resumption, bounds, redirects, faults."""

from __future__ import annotations

from typing import Any

import pytest

from bitagent_crds.conditions import Reason
from bitagent_evaluator.support import http
from bitagent_evaluator.support.faults import FetchError
from bitagent_evaluator.support.http import ATTEMPTS
from bitagent_evaluator.support.http_resource import HttpErrors, HttpResource, Part

CONTENT = bytes(i * i % 251 for i in range(300_000))
ERRORS = HttpErrors(final=Reason.TASKS_FAILED, unavailable=Reason.HUB_UNAVAILABLE, advice="start the server")
RANGES = pytest.mark.parametrize("ranges", [True, False], ids=["server with ranges", "server without"])


def resource(website: Any, path: str = "/file", *, max_bytes: int = 1 << 30, key: str = "") -> HttpResource:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return HttpResource(f"{website.url}{path}", "the file", ERRORS, max_bytes, headers)


@pytest.fixture
def file(website: Any) -> HttpResource:
    website.files["/file"] = CONTENT
    return resource(website)


@RANGES
@pytest.mark.parametrize(("start", "end"), [(0, None), (7, None), (0, 100), (1000, 250_000), (5, 5)])
def test_stream_yields_what_is_asked_for(
    website: Any, file: HttpResource, ranges: bool, start: int, end: int | None
) -> None:
    website.ranges = ranges
    assert b"".join(file.stream(start, end)) == CONTENT[start:end]
    assert len(website.asked) == (0 if start == end else 1)


@RANGES
@pytest.mark.parametrize("end", [None, 290_000])
def test_broken_stream_is_resumed_where_it_broke(
    website: Any, file: HttpResource, ranges: bool, end: int | None
) -> None:
    website.ranges, website.breaks_after = ranges, 100_000
    assert b"".join(file.stream(1000, end)) == CONTENT[1000:end]
    start = int(website.asked[1][1].removeprefix("bytes=").partition("-")[0])
    assert 1000 < start <= 101_000


def test_a_connection_that_breaks_after_the_last_byte(website: Any, file: HttpResource) -> None:
    website.missing_end = True
    assert b"".join(file.stream()) == CONTENT
    assert [asked for _, asked in website.asked] == ["", f"bytes={len(CONTENT)}-"]


def test_attempts_are_counted_from_the_last_byte_that_arrived(website: Any, file: HttpResource) -> None:
    pieces = iter(file.stream())
    for _ in range(2 * ATTEMPTS):
        website.breaks_after = 1000
        next(pieces)
    website.breaks_after = None
    b"".join(pieces)
    assert len(website.asked) > ATTEMPTS


def test_a_file_shorter_than_asked_for_is_refused(file: HttpResource) -> None:
    with pytest.raises(FetchError) as error:
        b"".join(file.stream(0, len(CONTENT) + 10))
    assert error.value.reason is Reason.TASKS_FAILED


def test_other_bytes_than_asked_for_are_refused(website: Any, file: HttpResource) -> None:
    website.more = 5
    for action in (lambda: list(file.stream(1000, 2000)), lambda: file.read(1000, 2000), lambda: file.read_tail(1000)):
        with pytest.raises(FetchError, match="does not send the parts") as error:
            action()
        assert error.value.reason is Reason.TASKS_FAILED


def test_parts_are_read_by_ranges(website: Any, file: HttpResource) -> None:
    assert file.read(10, 20) == CONTENT[10:20]
    assert file.read_tail(30) == Part(CONTENT[-30:], len(CONTENT) - 30)
    assert file.read_tail(1 << 20) == Part(CONTENT, 0)
    assert [asked for _, asked in website.asked] == ["bytes=10-19", "bytes=-30", f"bytes=-{1 << 20}"]


def test_a_broken_part_is_read_again(website: Any, file: HttpResource) -> None:
    website.breaks_after = 100
    assert file.read(0, 1000) == CONTENT[:1000]
    assert len(website.asked) == 2


def test_a_server_without_ranges_has_no_parts(website: Any, file: HttpResource) -> None:
    website.ranges = False
    assert file.read_tail(30) is None
    with pytest.raises(FetchError):
        file.read(10, 20)


def test_an_empty_file_has_no_tail(website: Any) -> None:
    website.files["/file"] = b""
    assert resource(website).read_tail(30) is None


@RANGES
def test_a_file_without_end_is_cut_off(website: Any, file: HttpResource, ranges: bool) -> None:
    website.ranges = ranges
    small = resource(website, max_bytes=100_000)
    with pytest.raises(FetchError) as error:
        list(small.stream())
    assert error.value.reason is Reason.TASKS_FAILED
    assert len(website.asked) == 1


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_busy_server_is_asked_again(website: Any, file: HttpResource, status: int) -> None:
    website.statuses = [status] * (ATTEMPTS - 1)
    assert b"".join(file.stream()) == CONTENT


def test_a_server_that_stays_busy_is_unavailable(website: Any, file: HttpResource) -> None:
    website.statuses = [503] * 99
    with pytest.raises(FetchError, match=r"the file: the server answers 503 .*start the server") as error:
        list(file.stream())
    assert error.value.reason is Reason.HUB_UNAVAILABLE
    assert len(website.asked) == ATTEMPTS


def test_the_pause_is_the_one_that_the_server_asks_for(
    website: Any, file: HttpResource, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float | None] = []

    def delay(failures: int, *, retry_after: float | None, jitter: float) -> float:
        asked.append(retry_after)
        return 0.0

    monkeypatch.setattr(http, "backoff_delay", delay)
    website.statuses, website.retry_after = [429], {"Retry-After": "7"}
    b"".join(file.stream())
    assert asked == [7.0]


def test_no_server_is_unavailable(website: Any) -> None:
    with pytest.raises(FetchError) as error:
        list(HttpResource("http://127.0.0.1:1/x", "the file", ERRORS, 100).stream())
    assert error.value.reason is Reason.HUB_UNAVAILABLE


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 451])
def test_a_final_answer_is_not_repeated(website: Any, file: HttpResource, status: int) -> None:
    website.statuses = [status]
    with pytest.raises(FetchError, match=f"the file: the server answers {status}: ") as error:
        list(file.stream())
    assert error.value.reason is Reason.TASKS_FAILED
    assert len(website.asked) == 1


def test_redirects_are_followed_and_keep_the_credential_on_the_same_host(website: Any, file: HttpResource) -> None:
    website.redirects = {"/old": "/older", "/older": "/file"}
    assert b"".join(resource(website, "/old", key="secret").stream()) == CONTENT
    assert {credential for _, credential in website.credentials} == {"Bearer secret"}
    assert len(website.credentials) == 3


def test_a_credential_is_not_sent_to_another_host(website: Any, file: HttpResource) -> None:
    other = website.url.replace("127.0.0.1", "localhost")
    website.redirects = {"/old": f"{other}/file"}
    old = resource(website, "/old", key="secret")
    assert b"".join(old.stream()) == CONTENT
    assert old.read(5, 10) == CONTENT[5:10]
    hosts = [website.url.removeprefix("http://"), other.removeprefix("http://")]
    assert website.credentials == [(hosts[0], "Bearer secret"), (hosts[1], "")] * 2


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "/old"], ids=["file", "ftp", "circle"])
def test_redirects_lead_nowhere_else(website: Any, target: str) -> None:
    website.redirects = {"/old": target}
    with pytest.raises(FetchError, match="only http and https addresses") as error:
        list(resource(website, "/old").stream())
    assert error.value.reason is Reason.TASKS_FAILED


def test_json_is_asked_and_bounded(website: Any) -> None:
    website.answer = lambda body, credential: {"twice": body["number"] * 2, "credential": credential}
    website.statuses = [502]
    answer = resource(website, key="secret").post_json({"number": 4})
    assert answer == {"twice": 8, "credential": "Bearer secret"}
    with pytest.raises(FetchError) as error:
        resource(website, max_bytes=10).post_json({"number": 4})
    assert error.value.reason is Reason.TASKS_FAILED


@pytest.mark.parametrize("answer", [b"<html>", b"[" * 100_000], ids=["another form", "deep"])
def test_an_answer_that_is_not_json_is_refused(website: Any, answer: bytes) -> None:
    website.answer = lambda body, credential: answer
    with pytest.raises(FetchError, match="does not answer in JSON"):
        resource(website).post_json({})
