"""Boards from list and watch, against a client that answers from memory."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bitagent_kube.client import Listing
from bitagent_kube.watch import EventType, WatchEvent
from bitagent_leaderboard.model.board import Board
from bitagent_leaderboard.source import watch as module
from bitagent_leaderboard.source.watch import Callbacks, Watch
from tests import leaderboard_objects as objects


class Server:
    """Lists what it is given, and then sends what is put into its queue."""

    def __init__(self, given: list[objects.Obj]) -> None:
        self.objects = given
        self.events: asyncio.Queue[objects.Obj] = asyncio.Queue()

    async def listing(self, resource: Any, **_: str) -> Listing:
        return Listing([each for each in self.objects if each["kind"] == resource.kind], "10")

    async def pages(self, resource: Any, **_: Any) -> AsyncGenerator[Listing, None]:
        for each in self.objects:
            yield Listing([each] if each["kind"] == resource.kind else [], "10")

    async def watch(self, resource: Any, **_: str) -> AsyncGenerator[WatchEvent, None]:
        if resource.kind != "EvalRound":
            await asyncio.Event().wait()
        while True:
            yield WatchEvent(EventType.MODIFIED, await self.events.get())


class Seen:
    def __init__(self) -> None:
        self.boards: asyncio.Queue[Board] = asyncio.Queue()
        self.ready = 0
        self.manifests: list[dict[str, int]] = []

    def callbacks(self) -> Callbacks:
        def ready() -> None:
            self.ready += 1

        return Callbacks(self.boards.put_nowait, ready, lambda: None, self.manifests.append)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SETTLE_SECONDS", 0)


async def test_a_change_becomes_another_board() -> None:
    server, seen = Server([objects.model(1), objects.round_("x", [], phase="Running"), objects.validator()]), Seen()
    task = asyncio.create_task(Watch(server, seen.callbacks()).run())  # type: ignore[arg-type]
    async with asyncio.timeout(60):
        first = await seen.boards.get()
        while not (first.models and first.rounds and first.validators):
            first = await seen.boards.get()
        server.events.put_nowait(objects.round_("x", [objects.pending(1, 1, 2)], phase="Running", version=20))
        second = await seen.boards.get()
        while not second.rounds["x"].results:
            second = await seen.boards.get()
    assert second.revision > first.revision
    assert seen.ready >= 1
    task.cancel()


async def test_manifests_come_after_the_scores_and_stay(tmp_path: Path) -> None:
    done = objects.round_("x", [objects.scored(1, 0.5, 1)])
    objects.put_manifest(tmp_path, done, 1, objects.manifest(1, 0.5))
    server, seen = Server([done]), Seen()
    task = asyncio.create_task(Watch(server, seen.callbacks(), artifacts=tmp_path).run())  # type: ignore[arg-type]
    async with asyncio.timeout(60):
        board = await seen.boards.get()
        while not board.measures:
            board = await seen.boards.get()
        assert board.measures_of(board.rounds["x"]).by_key[objects.key(1)].interval == (0.46, 0.54)
        (tmp_path / "rounds").rename(tmp_path / "removed")
        done["metadata"]["resourceVersion"] = "20"
        server.events.put_nowait(done)
        while len(seen.manifests) < 2:
            board = await seen.boards.get()
    assert board.measures_of(board.rounds["x"]).by_key[objects.key(1)].interval == (0.46, 0.54)
    assert seen.manifests == [{"read": 1, "missing": 0, "refused": 0}, {"read": 0, "missing": 1, "refused": 0}]
    task.cancel()


async def test_a_volume_that_hangs_holds_no_board_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does the work count as stalled: a pod that is started again would hang again."""
    hangs, reads, beats = threading.Event(), threading.Event(), asyncio.Queue[None]()

    def read_round(*_: object) -> tuple[dict[str, Any], dict[str, int]]:
        reads.set()
        hangs.wait(600)
        return {}, {}

    monkeypatch.setattr(module, "read_round", read_round)
    monkeypatch.setattr(module, "BEAT_SECONDS", 0.01)
    server, seen = Server([objects.round_("x", [objects.scored(1, 0.5, 1)])]), Seen()
    callbacks = replace(seen.callbacks(), beat=lambda: beats.put_nowait(None))
    task = asyncio.create_task(Watch(server, callbacks, artifacts=tmp_path).run())  # type: ignore[arg-type]
    try:
        async with asyncio.timeout(60):
            assert await asyncio.to_thread(reads.wait, 60)
            server.events.put_nowait(objects.round_("y", [], phase="Running", version=20))
            while "y" not in (await seen.boards.get()).rounds:
                pass
            while not beats.empty():
                beats.get_nowait()
            await beats.get()
    finally:
        hangs.set()
        task.cancel()
