"""What an alteration may choose, and how: every choice is a SHA-256 of round seed, place in the spec, task id and the choice's name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass

_LETTERS = "bcdfghjklmnpqrstvwxz"
_DIGITS = "23456789"
_NAME_LENGTH = 8


@dataclass(frozen=True)
class Choices:
    """The choices of one alteration for one task. Asking twice gives the same answer; differently named choices are independent."""

    seed: str
    """The round's seed."""
    index: int
    """The alteration's place in the spec, from 0."""
    task_id: str

    def number(self, low: int, high: int, *what: str) -> int:
        """A number from `low` to `high`, both included. Raises ValueError when there is none."""
        if high < low:
            raise ValueError(f"no number from {low} to {high}")
        found = hashlib.sha256(json.dumps(["alter", self.seed, self.index, self.task_id, *what]).encode())
        return low + int.from_bytes(found.digest(), "big") % (high - low + 1)

    def applies(self, percent: int) -> bool:
        """Whether this task is among the `percent` of all that are altered."""
        return self.number(0, 99, "percent") < percent

    def order(self, count: int, *what: str) -> list[int]:
        """The numbers below `count`, mixed."""
        return self.mixed(range(count), *what)

    def mixed(self, places: Iterable[int], *what: str) -> list[int]:
        """Different numbers in the order that they have among all of `order`."""
        return sorted(places, key=lambda i: (self.number(0, 2**256 - 1, "order", *what, str(i)), i))

    def name(self, *what: str, avoid: Collection[str]) -> str:
        """A random identifier that is no word or keyword of any language, and none of `avoid` (in lower case)."""
        for attempt in range(len(avoid) + 1):
            name = "".join(
                self._pick(_LETTERS if place % 4 < 3 else _DIGITS, "name", *what, str(attempt), str(place))
                for place in range(_NAME_LENGTH)
            )
            if name not in avoid:
                return name
        raise ValueError("every name is to be avoided")

    def letter_like(self, character: str, *what: str) -> str:
        """An ASCII letter or digit for an ASCII letter or digit, of the same case and never a leading zero; anything else as it is."""
        if character.isascii() and character.isdigit():
            return self._pick(_DIGITS, *what)
        if character.isascii() and character.isalpha():
            return self._pick(_LETTERS if character.islower() else _LETTERS.upper(), *what)
        return character

    def _pick(self, alphabet: str, *what: str) -> str:
        return alphabet[self.number(0, len(alphabet) - 1, *what)]
