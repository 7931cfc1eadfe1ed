"""List and watch, against a script of answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from bitagent_kube import informer as module
from bitagent_kube.client import Listing
from bitagent_kube.errors import ApiError
from bitagent_kube.informer import Informer
from bitagent_kube.resources import PODS
from bitagent_kube.retry import Backoff
from bitagent_kube.watch import EventType, WatchEvent

Obj = dict[str, Any]


def obj(name: str, value: int = 0, *, version: int = 1) -> Obj:
    return {"metadata": {"name": name, "uid": f"uid-{name}", "resourceVersion": str(version)}, "value": value}


def event(kind: str, name: str, value: int = 0, *, version: int) -> WatchEvent:
    return WatchEvent(EventType(kind), obj(name, value, version=version))


def error(code: int) -> ApiError:
    return ApiError(code=code, reason="", message="broken")


class Script:
    """What the API server answers, in order: a list, or the events of a watch; an error in either place is raised.

    `asked` has one entry for each request: "list", or the version that a watch began from.
    """

    def __init__(self, *turns: Listing | ApiError | list[WatchEvent | ApiError]) -> None:
        self.turns = list(turns)
        self.asked: list[str] = []
        self.done = asyncio.Event()

    async def listing(self, resource: object, *, labels: str, fields: str) -> Listing:
        assert (resource, labels, fields) == (PODS, "x=y", "")
        turn = await self._next("list")
        if isinstance(turn, ApiError):
            raise turn
        assert isinstance(turn, Listing), "a list was not expected here"
        return turn

    async def pages(self, resource: object, *, labels: str, fields: str, size: int) -> AsyncGenerator[Listing, None]:
        listing = await self.listing(resource, labels=labels, fields=fields)
        for first in range(0, len(listing.items), size):
            yield Listing(listing.items[first : first + size], listing.version)

    async def watch(
        self, resource: object, *, version: str, labels: str, fields: str
    ) -> AsyncGenerator[WatchEvent, None]:
        assert (resource, labels, fields) == (PODS, "x=y", "")
        turn = await self._next(version)
        for each in turn if isinstance(turn, list) else [turn]:
            if isinstance(each, ApiError):
                raise each
            assert isinstance(each, WatchEvent), "a watch was not expected here"
            yield each

    async def _next(self, asked: str) -> Any:
        if not self.turns:
            self.done.set()
            await asyncio.Event().wait()
        self.asked.append(asked)
        return self.turns.pop(0)


class Pauses(Backoff):
    """Counts, and takes no time."""

    def __init__(self) -> None:
        super().__init__(first=1, longest=1)
        self.failures, self.most = 0, 0

    def next(self) -> float:
        self.failures += 1
        self.most = max(self.most, self.failures)
        return 0.0

    def reset(self) -> None:
        self.failures = 0


class Followed:
    """An informer that has worked through a script."""

    def __init__(self, script: Script, page_size: int | None = None) -> None:
        self.script, self.changes, self.pauses = script, 0, Pauses()
        self.informer: Informer[int] = Informer(
            script,  # type: ignore[arg-type]
            PODS,
            parse=lambda o: int(o["value"]),
            changed=self._changed,
            labels="x=y",
            backoff=self.pauses,
            page_size=page_size,
        )

    def _changed(self) -> None:
        self.changes += 1

    async def run(self) -> None:
        assert not self.informer.synced
        task = asyncio.create_task(self.informer.run())
        await asyncio.wait_for(self.script.done.wait(), 60)
        task.cancel()
        assert self.informer.synced


async def follow(*turns: Any) -> Followed:
    followed = Followed(Script(*turns))
    await followed.run()
    return followed


async def test_events_follow_the_list() -> None:
    events = [
        event("ADDED", "b", 2, version=8),
        event("MODIFIED", "a", 3, version=9),
        event("DELETED", "c", version=10),
    ]
    followed = await follow(Listing([obj("a", 1), obj("c")], "7"), events)
    assert (followed.informer.objects, followed.changes) == ({"a": 3, "b": 2}, 4)
    assert followed.script.asked[:2] == ["list", "7"]


async def test_a_list_by_pages_takes_in_and_drops_the_same() -> None:
    script = Script(
        Listing([obj(name, 1) for name in "abc"], "7"),
        [error(410)],
        Listing([obj("c", 3, version=8), obj("d", 4)], "9"),
        [event("MODIFIED", "d", 5, version=10)],
    )
    followed = Followed(script, page_size=2)
    await followed.run()
    assert (followed.informer.objects, script.asked) == ({"c": 3, "d": 5}, ["list", "7", "list", "9"])


async def test_a_watch_that_ends_is_resumed_where_it_was() -> None:
    followed = await follow(
        Listing([obj("a", 1)], "7"),
        [event("MODIFIED", "a", 2, version=8), event("BOOKMARK", "", version=12)],
        [event("MODIFIED", "a", 3, version=13)],
        [event("ADDED", "b", 1, version=14)],
    )
    assert followed.script.asked == ["list", "7", "12", "13"]
    assert followed.informer.objects == {"a": 3, "b": 1}
    assert (followed.changes, followed.pauses.most) == (4, 0), "a bookmark is not a change, nor an end a failure"


@pytest.mark.parametrize("code", [0, 429])
async def test_a_watch_that_is_cut_is_resumed_too(code: int) -> None:
    followed = await follow(
        Listing([obj("a", 1)], "7"),
        [event("MODIFIED", "a", 2, version=8), error(code)],
        [event("DELETED", "a", version=9)],
    )
    assert followed.script.asked == ["list", "7", "8"]
    assert followed.informer.objects == {}


@pytest.mark.parametrize("code", [410, 500])
async def test_a_watch_that_the_server_breaks_starts_over_from_a_list(code: int) -> None:
    followed = await follow(
        Listing([obj("a", 1)], "7"), [error(code)], Listing([obj("b", 2)], "9"), [event("MODIFIED", "b", 3, version=10)]
    )
    assert followed.script.asked == ["list", "7", "list", "9"]
    assert followed.informer.objects == {"b": 3}


async def test_a_list_that_fails_keeps_what_is_known() -> None:
    followed = await follow(Listing([obj("a", 1)], "7"), [error(410)], error(503), error(0))
    assert followed.script.asked == ["list", "7", "list", "list"]
    assert followed.informer.objects == {"a": 1}


async def test_failures_in_a_row_are_paused_for_longer_until_something_comes() -> None:
    followed = await follow(
        error(0), error(0), Listing([], "7"), [error(0)], [event("ADDED", "a", version=8), error(0)]
    )
    assert (followed.pauses.most, followed.pauses.failures) == (3, 1)


async def test_a_watch_that_ends_at_once_is_a_failure() -> None:
    followed = await follow(Listing([obj("a", 1)], "7"), [], [], [event("DELETED", "a", version=8)])
    assert followed.script.asked == ["list", "7", "7", "7"]
    assert followed.pauses.most == 2


@pytest.mark.parametrize(
    "repeated",
    [event("BOOKMARK", "", version=7), event("MODIFIED", "a", 1, version=1), event("DELETED", "b", version=7)],
)
async def test_a_watch_that_ends_at_once_with_nothing_new_is_a_failure_too(repeated: WatchEvent) -> None:
    """Else a server that ends every watch after the same event is asked without a pause."""
    followed = await follow(Listing([obj("a", 1)], "7"), [repeated], [repeated], [repeated])
    assert (followed.pauses.most, followed.changes) == (3, 1)


async def test_a_watch_that_is_cut_after_long_is_not_one_more_failure_in_a_row(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A proxy may cut quiet connections every minute: the pauses must not grow to the longest one."""
    monkeypatch.setattr(module, "STEADY_WATCH_SECONDS", 0.0)
    followed = await follow(Listing([obj("a", 1)], "7"), [error(0)], [error(0)], [error(0)])
    assert (followed.script.asked, followed.pauses.most) == (["list", "7", "7", "7"], 1)


async def test_a_quiet_watch_that_ends_later_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SHORTEST_WATCH_SECONDS", 0.0)
    followed = await follow(Listing([], "7"), [], [])
    assert (followed.script.asked, followed.pauses.most) == (["list", "7", "7"], 0)


async def test_what_was_just_written_is_known_before_its_event() -> None:
    followed = Followed(Script(Listing([obj("a", 1)], "7")))
    await followed.run()
    informer = followed.informer
    informer.put(obj("b", 5, version=9))
    assert informer.objects == {"a": 1, "b": 5}
    informer.put(obj("b", 4, version=8))
    assert informer.objects["b"] == 5, "an older event changes nothing"
    informer.drop("uid-a")
    informer.put(obj("a", 1, version=2))
    assert informer.objects == {"b": 5}
