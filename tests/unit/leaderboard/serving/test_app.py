"""The handlers over HTTP."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application, Request

from bitagent_leaderboard.model.board import Board
from bitagent_leaderboard.pages.render import Settings
from bitagent_leaderboard.serving.app import Serving
from bitagent_leaderboard.serving.metrics import Metrics
from bitagent_leaderboard.source.documents import board_of
from tests import leaderboard_objects as objects

Client = TestClient[Request, Application]


@pytest.fixture
def serving(demo: Board) -> Serving:
    made = Serving(Settings(live=True), Metrics(), readers=2)
    made.show(demo)
    return made


@pytest.fixture
async def client(serving: Serving) -> AsyncIterator[Client]:
    async with TestClient(TestServer(serving.application())) as found:
        yield found


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html"),
        ("/index.html", "text/html"),
        ("/rounds/demo-tools-2/", "text/html"),
        ("/rounds/demo-tools-2/index.html", "text/html"),
        ("/static/board.js", "text/javascript"),
        ("/static/board.css", "text/css"),
        ("/api/v1/rounds/demo-tools-2.json", "application/json"),
        ("/api/v1/rounds/demo-tools-2.csv", "text/csv"),
        ("/feed.atom", "application/atom+xml"),
        ("/badges/model-0.svg", "image/svg+xml"),
    ],
)
async def test_documents(client: Client, path: str, kind: str) -> None:
    answer = await client.get(path)
    assert (answer.status, answer.content_type) == (200, kind)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    again = await client.get(path, headers={"If-None-Match": f'"x", {answer.headers["ETag"]}'})
    assert (again.status, await again.read(), again.headers["ETag"]) == (304, b"", answer.headers["ETag"])
    head = await client.head(path)
    assert (head.status, await head.read()) == (200, b"")


@pytest.mark.parametrize("path", ["/none", "/rounds/none/", "/rounds/%2e%2e/x", "/%00", "/rounds/" + "x" * 300])
async def test_no_document(client: Client, path: str) -> None:
    answer = await client.get(path)
    assert answer.status in (404, 414)
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


async def test_only_reading(client: Client) -> None:
    assert (await client.post("/")).status == 405
    assert (await client.head("/events")).status in (404, 405), "a stream without a body would never end"


@pytest.mark.parametrize("path", ["/rounds/demo-tools-2", "/models/model-0", "/validators/demo"])
async def test_a_folder_without_its_slash(client: Client, path: str) -> None:
    answer = await client.get(path, allow_redirects=False)
    assert (answer.status, answer.headers["Location"]) == (308, path.rpartition("/")[2] + "/")


async def test_compression(client: Client) -> None:
    plain = await client.get("/", headers={"Accept-Encoding": "identity"})
    packed = await client.get("/", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert await plain.read() == await packed.read()
    assert plain.headers["Vary"] == packed.headers["Vary"] == "Accept-Encoding"


@pytest.mark.parametrize(
    ("path", "shared"),
    [("/api/v1/board.json", True), ("/badges/model-0.svg", True), ("/", False), ("/rounds/demo-tools-2/", False)],
)
async def test_data_is_for_other_pages_too(client: Client, path: str, shared: bool) -> None:
    assert ((await client.get(path)).headers.get("Access-Control-Allow-Origin") == "*") is shared


async def test_a_change_is_announced_and_served(client: Client, serving: Serving, demo: Board) -> None:
    before = (await client.get("/api/v1/rounds.json")).headers["ETag"]
    async with client.get("/events") as events:
        assert events.content_type == "text/event-stream"
        assert await events.content.readline() == b"retry: 5000\n"
        await events.content.readline()
        serving.show(board_of([objects.round_("fresh", [])]))
        assert await events.content.readline() == b"event: change\n"
        names = json.loads((await events.content.readline()).removeprefix(b"data: "))["names"]
    assert "rounds/fresh" in names
    assert "rounds/demo-tools-2" in names
    after = await client.get("/api/v1/rounds.json", headers={"If-None-Match": before})
    assert (after.status, [each["name"] for each in (await after.json())["rounds"]]) == (200, ["fresh"])


async def test_readers_are_bounded(client: Client, serving: Serving) -> None:
    async with client.get("/events") as one, client.get("/events") as two:
        assert (one.status, two.status) == (200, 200)
        assert (await client.get("/events")).status == 503
    assert len(serving.streams) <= 2


async def test_below_a_path(demo: Board) -> None:
    serving = Serving(Settings(), Metrics(), base="/board")
    serving.show(demo)
    async with TestClient(TestServer(serving.application())) as client:
        assert (await client.get("/board/rounds/demo-tools-2/")).status == 200
        answer = await client.get("/board", allow_redirects=False)
        assert (answer.status, answer.headers["Location"]) == (308, "/board/")
        assert (await client.get("/")).status == 404


@pytest.fixture
def several() -> Serving:
    """A page of two namespaces, each with a round of the same name; the second one was not read yet."""
    made = Serving(Settings(live=True), Metrics(), namespaces=["a", "b"], base="/board")
    made.show(board_of([objects.round_("same", [objects.scored(1, 0.5, 1)])]), "a")
    return made


async def test_each_namespace_has_a_folder(several: Serving) -> None:
    async with TestClient(TestServer(several.application())) as client:
        assert (await client.get("/board/namespaces/a/rounds/same/")).status == 200
        assert (await client.get("/board/namespaces/b/")).status == 404
        unread = several.metrics.registry.get_sample_value("bitagent_leaderboard_unread_namespaces")
        assert unread == 1
        several.show(board_of([objects.round_("same", [], phase="Running")]), "b")
        assert "Running" in await (await client.get("/board/namespaces/b/rounds/same/")).text()
        assert "Running" not in await (await client.get("/board/namespaces/a/rounds/same/")).text()
        answer = await client.get("/board/namespaces/a", allow_redirects=False)
        assert (answer.status, answer.headers["Location"]) == (308, "a/")
        assert (await client.get("/board/rounds/same/")).status == 404
        static = await client.get("/board/namespaces/a/static/board.css")
        assert "max-age=86400" in static.headers["Cache-Control"]
        data = await client.get("/board/namespaces/a/api/v1/rounds.json")
        assert data.headers["Access-Control-Allow-Origin"] == "*"
    registry = several.metrics.registry
    assert registry.get_sample_value("bitagent_leaderboard_unread_namespaces") == 0
    assert registry.get_sample_value("bitagent_leaderboard_requests_total", {"document": "api", "code": "200"}) == 1


async def test_readers_of_a_namespace_are_sent_its_changes(several: Serving) -> None:
    async with TestClient(TestServer(several.application())) as client:
        assert (await client.get("/board/namespaces/none/events")).status == 404
        async with client.get("/board/namespaces/b/events") as own, client.get("/board/events") as all_of_them:
            for events in (own, all_of_them):
                await events.content.readuntil(b"\n\n")
            several.show(board_of([]), "a")
            several.show(board_of([objects.round_("other", [])]), "b")
            assert await names(own) == ["rounds/other"]
            assert await names(all_of_them) == ["namespaces/a/rounds/same", "namespaces/b/rounds/other"]


async def names(events: ClientResponse) -> list[str]:
    """The names of the next event."""
    assert await events.content.readline() == b"event: change\n"
    found: list[str] = json.loads((await events.content.readline()).removeprefix(b"data: "))["names"]
    return found


async def test_a_page_of_one_namespace_has_no_folder_for_it(client: Client) -> None:
    assert (await client.get("/namespaces/a/events")).status == 404
    assert (await client.get("/api/v1/namespaces.json")).status == 404


async def test_metrics(client: Client, serving: Serving) -> None:
    await client.get("/")
    await client.get("/none")
    registry = serving.metrics.registry
    assert registry.get_sample_value("bitagent_leaderboard_requests_total", {"document": "lists", "code": "200"}) == 1
    assert registry.get_sample_value("bitagent_leaderboard_requests_total", {"document": "missing", "code": "404"}) == 1
    assert registry.get_sample_value("bitagent_leaderboard_request_seconds_count") == 2
    assert (registry.get_sample_value("bitagent_leaderboard_changes_total") or 0) > 10
    assert (registry.get_sample_value("bitagent_leaderboard_last_change_timestamp_seconds") or 0) > 1e9
