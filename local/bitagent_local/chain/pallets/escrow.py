"""What is sealed until a drand round, as it was handed to the chain in the open, under the hash of the sealed bytes."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from bitagent_local.chain.scale import blake2_256

KEPT = 4096


@dataclass(frozen=True)
class OpenRow:
    """The content of a sealed commit of weights."""

    hotkey: str
    targets: tuple[int, ...]
    values: tuple[int, ...]
    version_key: int


Content = OpenRow | bytes
"""A row of weights, or the data of a commitment."""


class Escrow:
    """Contents by the hash of their sealed bytes; the oldest of too many go."""

    def __init__(self) -> None:
        self._contents: OrderedDict[bytes, Content] = OrderedDict()

    def put(self, sealed: bytes, content: Content) -> None:
        """Keep what is inside sealed bytes."""
        self._contents[blake2_256(sealed)] = content
        while len(self._contents) > KEPT:
            self._contents.popitem(last=False)

    def row(self, sealed: bytes) -> OpenRow | None:
        """Return the row in sealed bytes, if it was handed over."""
        content = self._contents.get(blake2_256(sealed))
        return content if isinstance(content, OpenRow) else None

    def data(self, sealed: bytes) -> bytes | None:
        """Return the data in sealed bytes, if they were handed over."""
        content = self._contents.get(blake2_256(sealed))
        return content if isinstance(content, bytes) else None

    def __len__(self) -> int:
        return len(self._contents)
