"""List and watch, against a script of answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bitagent_validator import mirror as module
from bitagent_validator.kube import ApiError
from bitagent_validator.mirror import Mirror


def obj(name: str, value: int = 0) -> dict[str, Any]:
    return {"metadata": {"name": name}, "value": value}


class Script:
    """Lists in turn, with the events that follow each; an error in either place is raised."""

    def __init__(self, *turns: tuple[list[dict[str, Any]] | ApiError, list[dict[str, Any] | ApiError]]) -> None:
        self.turns = list(turns)
        self.events: list[dict[str, Any] | ApiError] = []
        self.done = asyncio.Event()

    async def list(self, at: str, **selectors: str) -> tuple[list[dict[str, Any]], str]:
        assert selectors == {"labelSelector": "x=y"}
        if not self.turns:
            self.done.set()
            await asyncio.Event().wait()
        items, self.events = self.turns.pop(0)
        if isinstance(items, ApiError):
            raise items
        return items, "7"

    async def watch(self, at: str, *, version: str, **selectors: str) -> AsyncIterator[dict[str, Any]]:
        assert version == "7"
        for event in self.events:
            if isinstance(event, ApiError):
                raise event
            yield event


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BACKOFF_SECONDS", (0.001, 0.002))


async def follow(script: Script) -> tuple[dict[str, int], int]:
    changes = 0

    def changed() -> None:
        nonlocal changes
        changes += 1

    mirror = Mirror[int](script, "/x", parse=lambda o: int(o["value"]), changed=changed, labelSelector="x=y")  # type: ignore[arg-type]
    assert not mirror.synced
    task = asyncio.create_task(mirror.run())
    await asyncio.wait_for(script.done.wait(), 5)
    task.cancel()
    assert mirror.synced
    return mirror.objects, changes


async def test_events_follow_the_list() -> None:
    events = [
        {"type": "ADDED", "object": obj("b", 2)},
        {"type": "MODIFIED", "object": obj("a", 3)},
        {"type": "DELETED", "object": obj("c")},
    ]
    assert await follow(Script(([obj("a", 1), obj("c")], events))) == ({"a": 3, "b": 2}, 4)


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"type": "ERROR", "object": {"code": 410, "message": "too old"}}, id="version too old"),
        pytest.param({"type": "ERROR", "object": {"code": 500, "message": "etcd"}}, id="the server's own error"),
        pytest.param(ApiError("connection lost", status=0), id="connection lost"),
    ],
)
async def test_a_broken_watch_starts_over_from_a_list(fault: Any) -> None:
    assert (await follow(Script(([obj("a", 1)], [fault]), ([obj("b", 2)], []))))[0] == {"b": 2}


async def test_a_list_that_fails_keeps_what_is_known() -> None:
    script = Script(([obj("a", 1)], []), (ApiError("away", status=503), []))
    assert (await follow(script))[0] == {"a": 1}
