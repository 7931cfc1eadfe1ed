"""Requests against a server that fails as API servers do."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest

from bitagent_kube.client import Client
from bitagent_kube.errors import ApiError
from bitagent_kube.resources import JOBS, LEASES, MODELS
from bitagent_kube.watch import EventType

if TYPE_CHECKING:
    from tests.unit.kube.conftest import Server

JOB = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}}
LOCKED = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j", "resourceVersion": "7"}}
FAULTS = ["429", "503 with Retry-After", "503", "cut", "cut in the middle of the body"]
"""A locked write is repeated after the first two only: after the others the first attempt may have been carried out."""


def fault(server: Server, name: str) -> Any:
    return {
        "429": server.refuse(429, "TooManyRequests"),
        "503 with Retry-After": server.refuse(503, **{"Retry-After": "1"}),
        "503": server.refuse(503, "Unavailable"),
        "cut": server.hang_up,
        "cut in the middle of the body": server.cut_short,
    }[name]


async def send(client: Client, verb: str) -> Any:
    match verb:
        case "get":
            return await client.get(JOBS, "j")
        case "create":
            return await client.create(JOB)
        case "apply":
            return await client.apply(JOB)
        case "merge":
            return await client.merge(JOBS, "j", {"spec": {}})
        case "delete":
            return await client.delete(JOBS, "j", uid="u")
        case "replace under a lock":
            return await client.replace(LOCKED)
        case _:
            return await client.apply(LOCKED)


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("verb", ["get", "create", "apply", "merge", "delete"])
async def test_passing_faults_are_tried_again(server: Server, verb: str, name: str) -> None:
    server.answers = [fault(server, name), fault(server, name), server.say(200, JOB)]
    await send(server.client, verb)
    assert len(server.requests) == 3
    assert len(server.slept) == len(server.observed) - 1 >= 1, "aiohttp itself sends a GET or DELETE again at once"


VERBS = ["create", "apply", "merge", "delete", "replace under a lock", "apply under a lock"]


@pytest.mark.parametrize("verb", VERBS)
async def test_a_process_that_may_not_write_sends_nothing(server: Server, verb: str) -> None:
    client = Client(server.configuration, namespace="ns", field_manager="m", may_write=lambda: False)
    server.answers = [server.say(200, JOB)]
    await client.get(JOBS, "j")
    with pytest.raises(ApiError) as caught:
        await send(client, verb)
    await client.close()
    assert (server.methods, caught.value.reason) == (["GET"], "NotSent")


async def test_a_write_that_was_withheld_is_sent_once_the_process_may_write_again(server: Server) -> None:
    """As after a Lease that was renewed late."""
    may = iter([False, False, True])
    client = Client(server.configuration, namespace="ns", field_manager="m", may_write=lambda: next(may))
    server.answers = [server.say(200, JOB)]
    await client.create(JOB)
    await client.close()
    assert (server.methods, len(server.slept)) == (["POST"], 2)


async def test_a_write_is_not_repeated_by_a_process_that_may_not_write_any_more(server: Server) -> None:
    client = Client(server.configuration, namespace="ns", field_manager="m", may_write=lambda: not server.requests)
    server.answers = [server.refuse(429, "TooManyRequests"), server.say(200, JOB)]
    with pytest.raises(ApiError, match="not sent"):
        await client.create(JOB)
    await client.close()
    assert server.methods == ["POST"]


async def test_the_servers_clock_is_known_from_its_answers(server: Server) -> None:
    server.answers = [server.say(200, JOB, Date="Thu, 01 Jan 2099 00:00:00 GMT")]
    await server.client.get(JOBS, "j")
    assert server.client.clock.now().year == 2099
    other = Client(server.configuration, namespace="ns", field_manager="m", clock=server.client.clock)
    await other.close()
    assert other.clock.now().year == 2099, "a client that asks seldom learns it from one that asks often"


@pytest.mark.parametrize(
    ("answer", "served"),
    [
        pytest.param({"resources": [{"name": "jobs"}, {"name": "jobs/status"}]}, True, id="it is listed"),
        pytest.param({"resources": [{"name": "jobs", "verbs": ["create", "get"]}]}, True, id="with its verbs"),
        pytest.param({"resources": [{"name": "jobs", "verbs": ["get"]}]}, False, id="its definition is being deleted"),
        pytest.param({"resources": [{"name": "cronjobs"}]}, False, id="others are"),
        pytest.param({}, False, id="none is"),
    ],
)
async def test_whether_a_kind_is_served(server: Server, answer: dict[str, Any], served: bool) -> None:
    server.answers = [server.say(200, answer)]
    assert await server.client.served(JOBS) is served
    assert server.requests[0][1] == "/apis/batch/v1"
    server.answers = [server.refuse(404, "NotFound")]
    assert not await server.client.served(JOBS)
    server.answers = [server.refuse(403, "Forbidden")]
    with pytest.raises(ApiError):
        await server.client.served(JOBS)


@pytest.mark.parametrize("verb", ["apply under a lock", "replace under a lock"])
@pytest.mark.parametrize(("name", "attempts"), [(name, 2 if number < 2 else 1) for number, name in enumerate(FAULTS)])
async def test_a_write_under_a_lock_never_conflicts_with_itself(
    server: Server, verb: str, name: str, attempts: int
) -> None:
    if (verb, name) == ("replace under a lock", "cut"):
        attempts = 2  # aiohttp itself sends a PUT again at once: see Client.replace
    server.answers = [fault(server, name), server.refuse(409, "Conflict")]
    with pytest.raises(ApiError) as caught:
        await send(server.client, verb)
    assert len(server.requests) == attempts
    assert caught.value.conflict is (attempts == 2)


async def test_retry_after_is_waited_for(server: Server) -> None:
    server.answers = [server.refuse(429, **{"Retry-After": "17"}), server.say(200, JOB)]
    await server.client.get(JOBS, "j")
    assert server.slept == [17.0]


async def test_a_server_that_asks_for_no_pause_is_not_overrun(server: Server) -> None:
    server.answers = [server.refuse(429, **{"Retry-After": "0"})]
    with pytest.raises(ApiError):
        await server.client.get(JOBS, "j")
    assert len(server.slept) == 5
    assert all(before < after for before, after in itertools.pairwise(server.slept))


async def test_a_server_that_is_away_for_longer_is_not_waited_for(server: Server) -> None:
    server.answers = [server.refuse(429, "TooManyRequests", **{"Retry-After": "3600"})]
    with pytest.raises(ApiError) as caught:
        await server.client.get(JOBS, "j")
    assert (caught.value.code, server.slept) == (429, [])


async def test_a_fault_that_stays_is_raised(server: Server) -> None:
    server.answers = [server.refuse(503, "Unavailable")]
    with pytest.raises(ApiError) as caught:
        await server.client.get(JOBS, "j")
    assert (caught.value.code, caught.value.reason, len(server.requests)) == (503, "Unavailable", 6)
    assert str(caught.value) == "503 Unavailable: no"


async def test_no_answer_names_the_request(server: Server) -> None:
    server.answers = [server.hang_up]
    with pytest.raises(ApiError, match="GET /apis/batch/v1/namespaces/ns/jobs/j") as caught:
        await server.client.get(JOBS, "j")
    assert (caught.value.code, caught.value.reason) == (0, "NoAnswer")


@pytest.mark.parametrize("code", [400, 401, 403, 422])
async def test_a_refusal_is_not_tried_again(server: Server, code: int) -> None:
    server.answers = [server.refuse(code, "Forbidden")]
    with pytest.raises(ApiError) as caught:
        await server.client.apply(JOB)
    assert (caught.value.code, len(server.requests)) == (code, 1)


async def test_every_answer_is_observed(server: Server) -> None:
    server.answers = [server.hang_up, server.refuse(503), server.say(200, JOB)]
    await server.client.create(JOB)
    assert server.observed == [("POST", 0), ("POST", 503), ("POST", 200)]


async def test_an_answer_that_is_not_json_is_an_error(server: Server) -> None:
    server.answers = [server.text(400, "proxy says no")]
    with pytest.raises(ApiError, match="400 NoStatus: GET /apis/batch/v1/namespaces/ns/jobs/j: proxy says no"):
        await server.client.get(JOBS, "j")


@pytest.mark.parametrize("text", ["<html>log in first</html>", "[]", ""])
async def test_a_success_without_an_object_is_an_error(server: Server, text: str) -> None:
    """As from a proxy in between."""
    server.answers = [server.text(200, text)]
    with pytest.raises(ApiError, match="GET /apis/batch/v1/namespaces/ns/jobs/j") as caught:
        await server.client.get(JOBS, "j")
    assert (caught.value.code, len(server.requests)) == (0, 1)
    assert repr(text) in str(caught.value)


async def test_lists_are_read_in_pages(server: Server) -> None:
    items = [{"metadata": {"name": n, "managedFields": []}} for n in "ab"]
    server.answers = [
        server.say(200, {"metadata": {"continue": "next"}, "items": items}),
        server.say(200, {"metadata": {"resourceVersion": "9"}, "items": None}),
    ]
    found = await server.client.listing(MODELS, labels="a=b", fields="c=d")
    assert found == ([{"metadata": {"name": n}} for n in "ab"], "9")
    assert [q.get("continue") for q in server.queries] == [None, "next"]
    assert (server.queries[0]["labelSelector"], server.queries[0]["fieldSelector"]) == ("a=b", "c=d")
    assert server.requests[0][1] == "/apis/bitagent.io/v1alpha1/namespaces/ns/minermodels"


async def test_the_next_page_is_requested_while_one_is_read(server: Server) -> None:
    pages = [{"metadata": {"continue": str(n)}, "items": [{"metadata": {}}]} for n in range(3)]
    server.answers = [server.say(200, page) for page in pages]
    reading = server.client.pages(MODELS)
    assert len((await anext(reading)).items) == 1
    await server.asked(2)
    await reading.aclose()
    assert [q.get("continue") for q in server.queries] == [None, "0"], "and none after the reader has left"


async def test_creating_what_exists_is_a_conflict_or_returns_it_untouched(server: Server) -> None:
    server.answers = [server.refuse(409, "AlreadyExists")]
    with pytest.raises(ApiError) as caught:
        await server.client.create(JOB)
    assert caught.value.conflict
    server.answers = [server.refuse(409, "AlreadyExists"), server.say(200, {"metadata": {"uid": "old"}})]
    found, created = await server.client.create_or_get(JOB)
    assert (found["metadata"]["uid"], created) == ("old", False)
    assert server.methods == ["POST", "POST", "GET"]


async def test_a_creation_whose_answer_was_lost_finds_its_own_object(server: Server) -> None:
    server.answers = [server.hang_up, server.refuse(409, "AlreadyExists"), server.say(200, JOB)]
    assert await server.client.create_or_get(JOB) == (JOB, False)
    assert server.methods == ["POST", "POST", "GET"]


async def test_writes_name_the_manager_and_refuse_unknown_fields(server: Server) -> None:
    server.answers = [server.say(200, JOB)]
    await server.client.apply(JOB, subresource="status")
    await server.client.create(JOB)
    await server.client.merge(JOBS, "j", {})
    await server.client.replace(LOCKED)
    strict = {"fieldManager": "some-controller", "fieldValidation": "Strict"}
    assert server.queries == [strict | {"force": "true"}, strict, strict, strict]
    assert [h["Content-Type"] for h in server.headers] == [
        "application/apply-patch+yaml",
        "application/json",
        "application/merge-patch+json",
        "application/json",
    ]
    assert {h["User-Agent"] for h in server.headers} == {"some-controller"}
    assert server.requests[0][1].endswith("/jobs/j/status")


async def test_a_status_is_written_under_a_lock(server: Server) -> None:
    server.answers = [server.say(200, {"metadata": {"resourceVersion": "8"}})]
    assert await server.client.write_status(MODELS, "m", {"a": 1}, version=7)
    method, path, body = server.requests[0]
    assert (method, path) == ("PATCH", "/apis/bitagent.io/v1alpha1/namespaces/ns/minermodels/m/status")
    assert body == {
        "apiVersion": "bitagent.io/v1alpha1",
        "kind": "MinerModel",
        "metadata": {"name": "m", "namespace": "ns", "resourceVersion": "7"},
        "status": {"a": 1},
    }
    await server.client.write_status(MODELS, "m", {"a": 1})
    assert "resourceVersion" not in server.requests[1][2]["metadata"]


@pytest.mark.parametrize(("code", "raised"), [(404, False), (409, False), (422, True)])
async def test_a_status_of_a_changed_or_deleted_object_is_void(server: Server, code: int, raised: bool) -> None:
    server.answers = [server.refuse(code)]
    if raised:
        with pytest.raises(ApiError):
            await server.client.write_status(MODELS, "m", {}, version=7)
    else:
        assert await server.client.write_status(MODELS, "m", {}, version=7) is None


@pytest.mark.parametrize("code", [404, 409])
async def test_deleting_what_is_gone_or_another_is_fine(server: Server, code: int) -> None:
    server.answers = [server.refuse(code)]
    await server.client.delete(JOBS, "j", uid="u")
    assert server.requests[0][2] == {"preconditions": {"uid": "u"}, "propagationPolicy": "Background"}


async def test_a_deletion_that_is_repeated_names_the_uid_again(server: Server) -> None:
    server.answers = [server.hang_up, server.refuse(409, "Conflict")]
    await server.client.delete(JOBS, "j", uid="u")
    assert [body["preconditions"] for _, _, body in server.requests] == [{"uid": "u"}] * 2


async def test_a_refused_deletion_is_raised(server: Server) -> None:
    server.answers = [server.refuse(403, "Forbidden")]
    with pytest.raises(ApiError):
        await server.client.delete(JOBS, "j", uid="u")


async def test_what_is_not_there_is_none(server: Server) -> None:
    server.answers = [server.refuse(404, "NotFound")]
    assert await server.client.get(JOBS, "j") is None
    assert await server.client.merge(JOBS, "j", {}) is None


async def test_the_token_is_looked_at_before_every_attempt(server: Server) -> None:
    tokens = iter(["Bearer old", "Bearer new"])
    server.configuration.refresh_api_key_hook = lambda c: c.api_key.update(BearerToken=next(tokens))
    server.answers = [server.refuse(503), server.say(200, JOB)]
    await server.client.get(JOBS, "j")
    assert [h["Authorization"] for h in server.headers] == ["Bearer old", "Bearer new"]


def event(kind: str, name: str, version: str) -> dict[str, Any]:
    return {"type": kind, "object": {"metadata": {"name": name, "resourceVersion": version}}}


async def test_a_watch_yields_what_changes(server: Server) -> None:
    server.answers = [server.watch(event("ADDED", "a", "8"), event("INVENTED", "x", "9"), event("BOOKMARK", "", "10"))]
    watch = server.client.watch(LEASES, version="7", labels="a=b", fields="c=d")
    found = [(e.type, e.object["metadata"]["name"]) async for e in watch]
    assert found == [(EventType.ADDED, "a"), (EventType.BOOKMARK, "")]
    query = server.queries[0]
    assert (query["watch"], query["resourceVersion"], query["allowWatchBookmarks"]) == ("1", "7", "true")
    assert (query["labelSelector"], query["fieldSelector"]) == ("a=b", "c=d")
    assert server.observed == [("WATCH", 200)]


async def test_an_event_may_be_as_large_as_an_object(server: Server) -> None:
    """An API server stores objects of 1.5 MB, far more than a line has by default."""
    large = event("MODIFIED", "a", "8")
    large["object"]["status"] = {"message": "m" * 1_500_000}
    server.answers = [server.watch(large)]
    found = [e.object async for e in server.client.watch(LEASES, version="7")]
    assert [len(each["status"]["message"]) for each in found] == [1_500_000]


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        pytest.param("error event", 410, id="version too old, said in the watch"),
        pytest.param("refused", 410, id="version too old, said at once"),
        pytest.param("cut line", 0, id="cut in the middle of an event"),
        pytest.param("status", 0, id="a Status in place of an event"),
        pytest.param("number", 0, id="JSON that is not an object"),
        pytest.param("hang up", 0, id="no answer"),
    ],
)
async def test_a_watch_that_breaks_raises_after_what_it_brought(server: Server, answer: str, code: int) -> None:
    first = event("ADDED", "a", "8")
    expired = {"code": 410, "reason": "Expired", "message": "too old"}
    server.answers = [
        {
            "error event": server.watch(first, {"type": "ERROR", "object": expired}),
            "refused": server.say(410, expired),
            "cut line": server.watch(first, '{"type": "ADD'),
            "status": server.watch(first, {"kind": "Status", "code": 500, "message": "said by a proxy"}),
            "number": server.watch(first, "7\n"),
            "hang up": server.hang_up,
        }[answer]
    ]
    found: list[str] = []

    async def follow() -> None:
        async for each in server.client.watch(JOBS, version="7"):
            found.append(each.object["metadata"]["name"])  # noqa: PERF401 - what came before the error counts

    with pytest.raises(ApiError) as caught:
        await follow()
    assert caught.value.code == code
    assert found == ([] if answer in ("refused", "hang up") else ["a"])
    assert len(server.requests) == (2 if answer == "hang up" else 1), "aiohttp sends a GET again, we do not"
