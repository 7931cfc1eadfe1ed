"""The newest Event about an object: which it is, and how often it is read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from bitagent_kube.client import Client
from bitagent_kube.errors import ApiError
from bitagent_kube.resources import ApiResource
from bitagent_operator.plan.inputs import EVENTS_AGAIN, LastEvent
from bitagent_operator.reconcilers.object_events import LastEvents

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def event(reason: str, version: int = 1, **more: Any) -> dict[str, Any]:
    return {"metadata": {"resourceVersion": str(version)}, "reason": reason, "message": "m", "type": "Warning"} | more


class Server:
    """Events by the uid of their object, and what was asked for."""

    def __init__(self, **events: list[dict[str, Any]] | ApiError) -> None:
        self.events, self.asked = events, list[str]()

    async def list(self, resource: ApiResource, *, labels: str = "", fields: str = "") -> list[dict[str, Any]]:
        assert resource.kind == "Event"
        uid = fields.removeprefix("involvedObject.uid=")
        self.asked.append(uid)
        found = self.events.get(uid, [])
        if isinstance(found, ApiError):
            raise found
        return found

    @property
    def client(self) -> Client:
        return cast(Client, self)


@pytest.mark.parametrize(
    ("events", "newest"),
    [
        pytest.param(
            [event("A", lastTimestamp="2026-01-01T00:00:02Z"), event("B", lastTimestamp="2026-01-01T00:00:01Z")],
            "A",
            id="counted up",
        ),
        pytest.param(
            [event("A", eventTime="2026-01-01T00:00:02.500000Z"), event("B", lastTimestamp="2026-01-01T00:00:01Z")],
            "A",
            id="of another recorder",
        ),
        pytest.param(
            [
                event("A", eventTime="2026-01-01T00:00:00Z", series={"lastObservedTime": "2026-01-01T00:00:09.1Z"}),
                event("B", lastTimestamp="2026-01-01T00:00:05Z"),
            ],
            "A",
            id="of a series",
        ),
        pytest.param(
            [
                event("B", 9, lastTimestamp="2026-01-01T00:00:02Z"),
                event("A", 10, eventTime="2026-01-01T00:00:02.1Z", lastTimestamp=None),
            ],
            "A",
            id="within a second the later one",
        ),
        pytest.param([], None, id="none"),
    ],
)
async def test_the_newest(events: list[dict[str, Any]], newest: str | None) -> None:
    found = await LastEvents().read(Server(x=events).client, ["x"], now=NOW)
    assert found == {"x": LastEvent(newest, "m", warning=True) if newest else None}


async def test_an_object_is_read_seldom() -> None:
    server, last = Server(x=[event("A")], y=[event("B", type="Normal")]), LastEvents()
    await last.read(server.client, ["x"], now=NOW)
    server.events["x"] = [event("C")]
    found = await last.read(server.client, ["x", "y"], now=NOW + EVENTS_AGAIN - timedelta(seconds=1))
    assert found == {"x": LastEvent("A", "m", warning=True), "y": LastEvent("B", "m", warning=False)}
    assert server.asked == ["x", "y"]
    later = await last.read(server.client, ["x"], now=NOW + EVENTS_AGAIN)
    assert later == {"x": LastEvent("C", "m", warning=True)}


async def test_what_is_not_asked_for_again_is_forgotten() -> None:
    last = LastEvents()
    await last.read(Server().client, ["x"], now=NOW)
    await last.read(Server().client, ["y"], now=NOW + EVENTS_AGAIN)
    assert set(last._known) == {"y"}


async def test_a_read_that_fails_stops_nothing() -> None:
    error = ApiError(code=403, reason="Forbidden", message="no")
    assert await LastEvents().read(Server(x=error).client, ["x"], now=NOW) == {"x": None}
