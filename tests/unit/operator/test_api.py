"""Requests against a server that fails as API servers do."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web
from kubernetes.aio.client.configuration import Configuration

from bitagent_operator.api import JOBS, MODELS, Api, ApiError
from bitagent_operator.events import Events
from bitagent_operator.observed import Meta
from bitagent_operator.plan.notices import Happening, Notice

Answer = Callable[[web.Request], web.StreamResponse]
JOB = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}}


def say(status: int, body: Any = None, **headers: str) -> Answer:
    return lambda _request: web.json_response(body if body is not None else {}, status=status, headers=headers)


def refuse(status: int, reason: str = "") -> Answer:
    return say(status, {"reason": reason, "message": "no"})


def hang_up(request: web.Request) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.close()
    return web.Response()


def cut_short(request: web.Request) -> web.StreamResponse:
    """An API server that dies while it answers: fewer bytes come than were announced."""
    if request.transport is not None:
        request.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
        request.transport.close()
    return web.Response()


class Double:
    """Gives the answers in their order, then keeps giving the last one."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.seen: list[tuple[str, str, Any]] = []
        self.queries: list[dict[str, str]] = []
        self.api: Api

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.text()
        self.seen.append((request.method, request.path, json.loads(body) if body else None))
        self.queries.append(dict(request.query))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return answer(request)


@pytest.fixture
async def double(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Double]:
    async def at_once(_seconds: float) -> None:
        return

    monkeypatch.setattr("bitagent_operator.api.asyncio.sleep", at_once)
    made = Double()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    configuration = Configuration(host=f"http://127.0.0.1:{port}")
    configuration.retries = 1
    made.api = Api(configuration, namespace="ns")
    yield made
    await made.api.close()
    await runner.cleanup()


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(refuse(429, "TooManyRequests"), id="429"),
        pytest.param(say(503, None, **{"Retry-After": "1"}), id="503"),
        pytest.param(hang_up, id="cut"),
        pytest.param(cut_short, id="cut in the middle of the body"),
    ],
)
async def test_passing_faults_are_tried_again(double: Double, fault: Answer) -> None:
    double.answers = [fault, fault, say(200, {"metadata": {"name": "j"}})]
    assert await double.api.get(JOBS, "j") == {"metadata": {"name": "j"}}
    assert len(double.seen) == 3


async def test_a_fault_that_stays_is_raised(double: Double) -> None:
    double.answers = [refuse(503, "Unavailable")]
    with pytest.raises(ApiError, match="503 Unavailable: no"):
        await double.api.get(JOBS, "j")


async def test_a_refusal_is_not_tried_again(double: Double) -> None:
    double.answers = [refuse(403, "Forbidden")]
    with pytest.raises(ApiError) as caught:
        await double.api.apply(JOB)
    assert (caught.value.code, len(double.seen)) == (403, 1)


async def test_an_answer_that_is_not_json_is_an_error(double: Double) -> None:
    double.answers = [lambda _request: web.Response(status=400, text="proxy says no")]
    with pytest.raises(ApiError, match="400 NoStatus: GET /apis/batch/v1/namespaces/ns/jobs/j: proxy says no"):
        await double.api.get(JOBS, "j")


async def test_lists_are_read_in_pages(double: Double) -> None:
    double.answers = [
        say(
            200,
            {"metadata": {"continue": "next"}, "items": [{"metadata": {"name": n, "managedFields": []}} for n in "ab"]},
        ),
        say(200, {"metadata": {}, "items": None}),
    ]
    assert await double.api.list(MODELS, labels="a=b") == [{"metadata": {"name": n}} for n in "ab"]
    assert [q.get("continue") for q in double.queries] == [None, "next"]
    assert double.queries[0]["labelSelector"] == "a=b"
    assert double.seen[0][1] == "/apis/bitagent.io/v1alpha1/namespaces/ns/minermodels"


async def test_creating_what_exists_returns_it_untouched(double: Double) -> None:
    double.answers = [refuse(409, "AlreadyExists"), say(200, {"metadata": {"uid": "old"}})]
    assert (await double.api.create(JOB))["metadata"]["uid"] == "old"
    assert [m for m, _, _ in double.seen] == ["POST", "GET"]


async def test_apply_names_the_manager_and_refuses_unknown_fields(double: Double) -> None:
    double.answers = [say(200, JOB)]
    await double.api.apply(JOB, subresource="status")
    assert double.queries[0] == {"fieldManager": "bitagent-operator", "fieldValidation": "Strict", "force": "true"}
    assert double.seen[0][1].endswith("/jobs/j/status")


@pytest.mark.parametrize("code", [404, 409])
async def test_deleting_what_is_gone_or_another_is_fine(double: Double, code: int) -> None:
    double.answers = [refuse(code)]
    await double.api.delete(JOBS, "j", uid="u")
    assert double.seen[0][2] == {"preconditions": {"uid": "u"}, "propagationPolicy": "Background"}


async def test_what_is_not_there_is_none(double: Double) -> None:
    double.answers = [refuse(404, "NotFound")]
    assert await double.api.get(JOBS, "j") is None
    assert await double.api.merge(JOBS, "j", {}) is None


async def test_the_same_event_has_the_same_name(double: Double) -> None:
    double.answers = [say(201, {}), refuse(409, "AlreadyExists"), refuse(403, "Forbidden")]
    events = Events(double.api, instance="pod-1")
    raw = {"name": "r", "uid": "u", "resourceVersion": "1", "creationTimestamp": "2026-01-01T00:00:00Z"}
    meta, notice = Meta.parse({"metadata": raw}), Notice(Happening.ROUND_FAILED, "x" * 5000, warning=True)
    for _ in range(3):  # posted, posted again after a kill, refused: never an exception
        await events.post("EvalRound", meta, [notice])
    bodies = [body for _, _, body in double.seen]
    assert len({b["metadata"]["name"] for b in bodies}) == 1
    assert (bodies[0]["type"], bodies[0]["reason"], len(bodies[0]["note"]) <= 1024) == ("Warning", "RoundFailed", True)
