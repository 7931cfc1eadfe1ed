"""The chain's state: encoded values under hashed keys, read and written as Python data through the runtime.

A sealed block's state is a ``View``; the block under construction has a ``Storage``. Reads and writes name the pallet,
the item and the map parameters, as the SDK does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bitagent_local.chain.runtime import Runtime
from bitagent_local.chain.scale import blake2_256


class View:
    """State that cannot be written."""

    def __init__(self, runtime: Runtime, entries: Mapping[bytes, bytes]) -> None:
        self.runtime = runtime
        self.entries = entries

    def get(self, pallet: str, item: str, *params: Any) -> Any:
        """Return the stored value; without one, the item's default, or ``None`` if the item is optional."""
        entry = self.runtime.core.storage_entry(pallet, item)
        raw = self.entries.get(self.runtime.storage_key(pallet, item, params))
        if raw is None:
            if entry.modifier == "Optional":
                return None
            raw = bytes(entry.default_bytes)
        return self.runtime.decode(entry.value_type, raw)

    def has(self, pallet: str, item: str, *params: Any) -> bool:
        """Return whether a value is stored."""
        return self.runtime.storage_key(pallet, item, params) in self.entries

    def raw(self, key: bytes) -> bytes | None:
        """Return the bytes under a key."""
        return self.entries.get(key)

    def keys(self, *, prefix: bytes, after: bytes, count: int) -> list[bytes]:
        """Return at most ``count`` keys with the prefix that come after ``after``, in order."""
        return sorted(key for key in self.entries if key.startswith(prefix) and key > after)[:count]

    def root(self) -> bytes:
        """Return a hash over the whole state; unlike a real trie root, but it changes whenever the state does."""
        return blake2_256(b"".join(key + value for key, value in sorted(self.entries.items())))


class Storage(View):
    """State of the block under construction."""

    def __init__(self, runtime: Runtime) -> None:
        self._own: dict[bytes, bytes] = {}
        super().__init__(runtime, self._own)

    def put(self, pallet: str, item: str, params: tuple[Any, ...], value: Any) -> None:
        """Store a value; the runtime encodes it and refuses one that does not fit the type."""
        entry = self.runtime.core.storage_entry(pallet, item)
        self._own[self.runtime.storage_key(pallet, item, params)] = self.runtime.encode(entry.value_type, value)

    def delete(self, pallet: str, item: str, *params: Any) -> None:
        """Remove a value, so that reads give the item's default."""
        self._own.pop(self.runtime.storage_key(pallet, item, params), None)

    def delete_raw(self, key: bytes) -> None:
        """Remove the value under a hashed key."""
        self._own.pop(key, None)

    def freeze(self) -> View:
        """Return the current state, unaffected by later writes."""
        return View(self.runtime, dict(self._own))

    def restore(self, view: View) -> None:
        """Make the state that of a sealed block again, and drop what was written since."""
        self.runtime = view.runtime
        self._own.clear()
        self._own.update(view.entries)
