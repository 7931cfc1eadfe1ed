"""The first lessons of models that shall copy: say again what stood there before, whatever it was.

Texts mix words of the whole vocabulary with strings of few different characters, in which only two characters together tell the place.
"""

from __future__ import annotations

import random
from typing import Any

from bitagent_local.models.classroom import Row
from bitagent_local.models.reading import STRING_CHARACTERS
from bitagent_local.models.train import END, SPECIAL

SHORTEST, LONGEST = 16, 72
STRING = 8
"""Tokens of a string, as in masked names."""
STRINGS = 0.7
"""Share of strings among the pieces of a text."""


class Copying:
    """Makes rows of a tokenizer's ids."""

    def __init__(self, tokenizer: Any) -> None:
        self._any = list(range(len(SPECIAL), len(tokenizer)))
        self._characters: list[int] = tokenizer.convert_tokens_to_ids(list(STRING_CHARACTERS))
        self._end: int = tokenizer.convert_tokens_to_ids(END)

    def row(self, random_: random.Random, length: int) -> Row:
        """A text, its end, and the text again."""
        text: list[int] = []
        while len(text) < length:
            text += random_.choices(self._characters if random_.random() < STRINGS else self._any, k=STRING)
        text = text[:length]
        return Row(text, [([self._end], [*text, self._end])])

    def rows(self, random_: random.Random, count: int) -> list[Row]:
        """Rows of one length."""
        length = random_.randint(SHORTEST, LONGEST)
        return [self.row(random_, length) for _ in range(count)]
