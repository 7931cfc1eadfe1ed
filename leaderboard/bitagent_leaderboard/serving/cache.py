"""Rendered documents: each is rendered once per change of what it depends on, with its ETag and compressed form."""

from __future__ import annotations

import gzip
import hashlib
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

from bitagent_leaderboard.site.documents import Source

_SMALLEST = 512
"""Bytes from which on a document is compressed."""
_LEVEL = 5
_OWN = 400
"""Bytes of an entry beside its content, about."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A document as it is sent."""

    content: bytes
    compressed: bytes | None
    """By gzip; None if it is too small to be worth it."""
    kind: str
    etag: str
    """Weak, since both forms have the same one."""
    depends: Hashable

    @property
    def size(self) -> int:
        """Bytes that it takes in memory, about."""
        return len(self.content) + len(self.compressed or b"") + _OWN


def rendered(source: Source) -> Rendered:
    """Render a document."""
    text = source.render()
    content = text.encode() if isinstance(text, str) else text
    small = gzip.compress(content, _LEVEL, mtime=0) if len(content) >= _SMALLEST else None
    etag = f'W/"{hashlib.sha256(content).hexdigest()[:32]}"'
    return Rendered(content, small, source.kind, etag, source.depends)


class DocumentCache:
    """The documents that were asked for last, up to so many bytes."""

    def __init__(self, limit: int = 96 << 20) -> None:
        self._limit, self._size = limit, 0
        self._kept: OrderedDict[str, Rendered] = OrderedDict()
        self.misses = 0
        """Number of documents that were rendered."""

    def get(self, path: str, source: Source) -> Rendered:
        """Return the document at a path, rendered if what it depends on has changed."""
        kept = self._kept.get(path)
        if kept is not None and kept.depends == source.depends:
            self._kept.move_to_end(path)
            return kept
        self.misses += 1
        if kept is not None:
            self._size -= kept.size
        fresh = self._kept[path] = rendered(source)
        self._kept.move_to_end(path)
        self._size += fresh.size
        while self._size > self._limit and len(self._kept) > 1:
            _, oldest = self._kept.popitem(last=False)
            self._size -= oldest.size
        return fresh
