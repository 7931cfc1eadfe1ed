"""Namespaces of one page: what fails in one of them stops no other."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.virtual_time import VirtualTimePolicy

from bitagent_kube.parts import FIRST_DELAY
from bitagent_leaderboard.model.board import Board
from bitagent_leaderboard.pages.render import Settings
from bitagent_leaderboard.serving import app
from bitagent_leaderboard.serving.app import Serving
from bitagent_leaderboard.serving.following import READY_SECONDS, Following
from bitagent_leaderboard.serving.metrics import Metrics
from bitagent_leaderboard.site.several import documents_of
from bitagent_leaderboard.source.watch import Callbacks


@pytest.fixture
def event_loop_policy() -> VirtualTimePolicy:
    return VirtualTimePolicy()


class Namespace:
    """Shows a board as soon as it is begun, if it is listed, and works until `fail`."""

    def __init__(self, board: Board, *, listed: bool = True) -> None:
        self.fail, self.begins, self._listed = asyncio.Event(), 0, listed
        self._board, self._revisions = board, itertools.count(1)

    async def __call__(self, callbacks: Callbacks) -> None:
        self.begins += 1
        callbacks.beat()
        if self._listed:
            callbacks.show(replace(self._board, revision=next(self._revisions)))
            callbacks.ready()
        await self.fail.wait()
        self.fail.clear()
        raise KeyError("a bug")


class Page:
    """A page of namespaces, and its process."""

    def __init__(self, **namespaces: Namespace) -> None:
        self.serving = Serving(Settings(live=True), Metrics(), namespaces=tuple(namespaces))
        self.following = Following(namespaces, self.serving)
        self.running = asyncio.create_task(self.following.run())

    @property
    def restarts(self) -> float | None:
        return self.serving.metrics.registry.get_sample_value("bitagent_leaderboard_restarts_total")

    def serves(self, path: str) -> bool:
        return self.serving._site.find(path) is not None

    async def stop(self) -> None:
        self.running.cancel()
        await asyncio.wait([self.running])


async def test_a_namespace_that_fails_is_served_as_it_was_and_followed_again(demo: Board) -> None:
    bad, good = Namespace(demo), Namespace(demo)
    page = Page(bad=bad, good=good)
    await asyncio.sleep(1)
    assert page.following.unreadiness == ""
    bad.fail.set()
    await asyncio.sleep(FIRST_DELAY / 4)
    assert (page.following.unreadiness, page.following.alive, page.running.done()) == ("", True, False)
    assert page.serves("namespaces/bad/index.html")
    await asyncio.sleep(FIRST_DELAY)
    assert (bad.begins, good.begins, page.restarts) == (2, 1, 1)
    await page.stop()


async def test_one_that_never_works_delays_the_page_for_a_while_only(demo: Board) -> None:
    page = Page(good=Namespace(demo), unlisted=Namespace(demo, listed=False))
    await asyncio.sleep(READY_SECONDS / 2)
    assert page.following.unreadiness
    await asyncio.sleep(READY_SECONDS)
    assert page.following.unreadiness == ""
    await page.stop()


@pytest.mark.parametrize("others", [0, 1])
async def test_when_none_works_the_process_ends(demo: Board, others: int) -> None:
    last, rest = Namespace(demo), {f"n{number}": Namespace(demo) for number in range(others)}
    page = Page(last=last, **rest)
    await asyncio.sleep(1)
    for each in (*rest.values(), last):
        each.fail.set()
    with pytest.raises(KeyError):
        await page.running


async def test_a_board_that_cannot_be_shown_keeps_no_other_from_it(
    demo: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    poisoned = replace(demo, revision=66)
    found = documents_of

    def documents(boards: dict[str, Board | None], *more: Any) -> Any:
        if any(board is not None and board.revision == 66 for board in boards.values()):
            raise RecursionError("a bug")
        return found(boards, *more)

    monkeypatch.setattr(app, "documents_of", documents)
    serving = Serving(Settings(live=True), Metrics(), namespaces=("bad", "good"))
    with pytest.raises(RecursionError):
        serving.show(poisoned, "bad")
    serving.show(demo, "good")
    assert serving._site.find("namespaces/good/index.html") is not None
