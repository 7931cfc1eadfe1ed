"""The three kinds by list and watch, as boards. Nothing is written."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bitagent_kube.client import Client
from bitagent_kube.informer import Informer
from bitagent_kube.resources import MODELS, ROUNDS, VALIDATORS
from bitagent_leaderboard.model.board import Board, Measures, board
from bitagent_leaderboard.model.objects import Round, Submission, ValidatorView
from bitagent_leaderboard.model.reading import RoundReader, read_model, read_validator
from bitagent_leaderboard.source.manifests import due, read_round

SETTLE_SECONDS = 0.2
"""Changes within this time become one board."""
PAGE_SIZE = 10
"""Rounds of one answer to a list; each may have more than a megabyte."""
BEAT_SECONDS = 20.0
"""Time after which the work is reported to proceed, also without a change."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Callbacks:
    """What is called with what was found."""

    show: Callable[[Board], None]
    ready: Callable[[], None]
    """Called once all kinds were listed."""
    beat: Callable[[], None]
    """Called while the work proceeds."""
    manifests: Callable[[dict[str, int]], None]
    """Called with the number of manifests by outcome, after those of a round were looked for."""


class Watch:
    """Follows the three kinds in a namespace, and reads manifests of rounds that complete."""

    def __init__(
        self,
        client: Client,
        callbacks: Callbacks,
        *,
        artifacts: Path | None = None,
        revisions: Iterator[int] | None = None,
    ) -> None:
        """`revisions`: those of the boards, for a namespace that is followed again: no two of it may have the same."""
        self._callbacks, self._artifacts = callbacks, artifacts
        self._changed = asyncio.Event()
        self._reader = RoundReader()
        wake = self._changed.set
        self._models = Informer[Submission](client, MODELS, parse=read_model, changed=wake)
        self._rounds = Informer[Round](client, ROUNDS, parse=self._reader, changed=wake, page_size=PAGE_SIZE)
        self._validators = Informer[ValidatorView](client, VALIDATORS, parse=read_validator, changed=wake)
        self._measures: dict[str, Measures] = {}
        self._revisions = revisions or itertools.count(1)
        self._current = Board()
        self._shown = asyncio.Event()

    async def run(self) -> None:
        """Follow until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for informer in (self._models, self._rounds, self._validators):
                tasks.create_task(informer.run())
            tasks.create_task(self._boards())
            if self._artifacts is not None:
                # Apart, since a volume may hang: boards are shown all the same.
                tasks.create_task(self._manifests(self._artifacts))

    async def _boards(self) -> None:
        while True:
            self._callbacks.beat()
            try:
                async with asyncio.timeout(BEAT_SECONDS):
                    await self._changed.wait()
            except TimeoutError:
                continue
            await asyncio.sleep(SETTLE_SECONDS)  # a burst becomes one board
            self._changed.clear()
            if not all(each.synced for each in (self._models, self._rounds, self._validators)):
                continue
            found = self._board()
            self._reader.forget(frozenset(each.uid for each in self._rounds.objects.values()))
            self._callbacks.show(found)
            self._callbacks.ready()
            self._current = found
            self._shown.set()

    def _board(self) -> Board:
        return board(
            revision=next(self._revisions),
            models=dict(self._models.objects),
            rounds=dict(self._rounds.objects),
            validators=dict(self._validators.objects),
            measures=dict(self._measures),
        )

    async def _manifests(self, folder: Path) -> None:
        while True:
            await self._shown.wait()
            self._shown.clear()
            await self._read_manifests(folder, self._current)

    async def _read_manifests(self, folder: Path, current: Board) -> None:
        """Read the manifests of one round, in a thread; the next one follows with the next board."""
        kept = {each.uid for each in due(current, {})}
        self._measures = {uid: found for uid, found in self._measures.items() if uid in kept}
        rounds = due(current, {uid: found.version for uid, found in self._measures.items()})
        if not rounds:
            return
        read, counts = await asyncio.to_thread(read_round, folder, rounds[0])
        self._callbacks.manifests(counts)
        # What was read once stays when the volume has it no longer: scores of a complete round do not change.
        before = current.measures_of(rounds[0]).by_key
        self._measures[rounds[0].uid] = Measures(rounds[0].version, {**before, **read})
        self._changed.set()
