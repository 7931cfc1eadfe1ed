"""Readers who are informed of changes, by server-sent events.

An event names what has changed, and no more: a reader fetches the document, which is cached. So a slow reader costs
nothing but what it has missed: names are put together until it takes them.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable

NAMES = 100
"""Names of one event; with more of them it says that all may have changed."""
HEARTBEAT_SECONDS = 20.0
"""A comment is sent after this time without an event, so that proxies keep the connection."""


class TooManyReaders(Exception):
    """Raised when no further reader is admitted."""


class Reader:
    """What one reader has not been sent yet, of the names that begin with `folder`; it gets what follows of them."""

    def __init__(self, folder: str = "") -> None:
        self._folder = folder
        self._names: set[str] = set()
        self._all = False
        self._wake = asyncio.Event()
        self.ended = False

    def add(self, names: Iterable[str]) -> None:
        """Remember changes."""
        of_folder = {each.removeprefix(self._folder) for each in names if each.startswith(self._folder)}
        if not of_folder:
            return
        self._names |= of_folder
        if len(self._names) > NAMES:
            self._all = True
            self._names.clear()
        self._wake.set()

    def end(self) -> None:
        """Have the reader's stream end."""
        self.ended = True
        self._wake.set()

    async def next(self, seconds: float = HEARTBEAT_SECONDS) -> str:
        """Return the next part of the stream: an event, or a comment if there is none for so long."""
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return ": alive\n\n"
        self._wake.clear()
        content = json.dumps({"all": self._all, "names": [] if self._all else sorted(self._names)})
        self._names.clear()
        self._all = False
        return f"event: change\ndata: {content}\n\n"


class Streams:
    """All readers."""

    def __init__(self, limit: int = 1000) -> None:
        self._limit = limit
        self._readers: set[Reader] = set()

    def __len__(self) -> int:
        return len(self._readers)

    def join(self, folder: str = "") -> Reader:
        """Admit a reader of what changes in a folder. Raises TooManyReaders."""
        if len(self._readers) >= self._limit:
            raise TooManyReaders
        reader = Reader(folder)
        self._readers.add(reader)
        return reader

    def leave(self, reader: Reader) -> None:
        """Forget a reader."""
        self._readers.discard(reader)

    def announce(self, names: Iterable[str]) -> None:
        """Tell all readers what has changed, as in `rounds/demo-tools-3`."""
        names = list(names)
        for reader in self._readers:
            reader.add(names)

    def end(self) -> None:
        """End all streams; browsers connect again."""
        for reader in self._readers:
            reader.end()
