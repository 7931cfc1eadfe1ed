"""Batches of token ids for the models that read, memorise and reword.

The questions of a lesson follow its functions in one row. Attention masks hide them from each other, and each has the
positions that it would have when asked alone: the functions, the longest part, are computed once for all questions.

`Copying` makes rows for the first steps of models that have to copy: texts that mix tokens of the whole vocabulary with
strings of few different characters, in which only two characters together identify the place.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from bitagent_local.models.training.generators import STRING_CHARACTERS
from bitagent_local.models.training.lessons import Lesson
from bitagent_local.models.training.qwen2 import END, IGNORED, SPECIAL
from bitagent_local.models.training.tokenizer import functions_part, question_part

SHORTEST_COPY, LONGEST_COPY = 16, 72
"""Tokens of a text to copy."""
STRING = 8
"""Tokens of a string, as in masked names."""
STRINGS = 0.7
"""Share of strings among the pieces of a text."""


@dataclass(frozen=True)
class Row:
    """A lesson as token ids."""

    functions: list[int]
    exchanges: list[tuple[list[int], list[int]]]
    """Questions and answers; an answer includes its end token."""

    def __len__(self) -> int:
        return len(self.functions) + sum(len(question) + len(answer) for question, answer in self.exchanges)


@dataclass(frozen=True)
class Batch:
    """Rows padded to one length, as tensors of shape (rows, tokens)."""

    ids: Any
    positions: Any
    visible: Any
    """Attention mask, (rows, 1, tokens, tokens): a token attends to its own exchange so far, and to the functions."""
    answers: Any
    """Labels of the answers' tokens; `IGNORED` elsewhere."""
    prompts: Any
    """Labels of all other tokens; `IGNORED` elsewhere."""


class Encoder:
    """Turns lessons into rows."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    def row(self, lesson: Lesson) -> Row:
        """Return the ids of the prompts that the chat template makes, and of the answers."""
        exchanges = [
            (self._ids(question_part(self._tokenizer, each.question)), self._ids(each.answer + END))
            for each in lesson.exchanges
        ]
        return Row(self._ids(functions_part(self._tokenizer, lesson)), exchanges)

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids


def batch(rows: Sequence[Row], *, padding: int) -> Batch:
    """Stack rows into tensors, padded to the longest."""
    size, width = len(rows), max(map(len, rows))
    ids = torch.full((size, width), padding)
    positions = torch.zeros(size, width, dtype=torch.long)
    answers, prompts = (torch.full((size, width), IGNORED) for _ in range(2))
    parts = torch.full((size, width), -1)
    for number, row in enumerate(rows):
        start = len(row.functions)
        ids[number, :start] = torch.tensor(row.functions, dtype=torch.long)
        positions[number, :start] = torch.arange(start)
        parts[number, :start] = 0
        prompts[number, 1:start] = ids[number, 1:start]
        at = start
        for part, (question, answer) in enumerate(row.exchanges, start=1):
            end = at + len(question) + len(answer)
            ids[number, at:end] = torch.tensor(question + answer)
            positions[number, at:end] = torch.arange(start, start + end - at)
            answers[number, end - len(answer) : end] = torch.tensor(answer)
            prompts[number, at + 1 : end - len(answer)] = torch.tensor(question[1:])
            parts[number, at:end] = part
            at = end
    before = torch.ones(width, width, dtype=torch.bool).tril()
    same = (parts[:, :, None] == parts[:, None, :]) | (parts[:, None, :] == 0)
    return Batch(ids, positions, (same & before)[:, None], answers, prompts)


class Copying:
    """Draws rows whose answer repeats their text."""

    def __init__(self, tokenizer: Any) -> None:
        self._any = list(range(len(SPECIAL), len(tokenizer)))
        self._characters: list[int] = tokenizer.convert_tokens_to_ids(list(STRING_CHARACTERS))
        self._end: int = tokenizer.convert_tokens_to_ids(END)

    def row(self, random_: random.Random, length: int) -> Row:
        """Draw a text of so many tokens, followed by an end token and the text again."""
        text: list[int] = []
        while len(text) < length:
            text += random_.choices(self._characters if random_.random() < STRINGS else self._any, k=STRING)
        text = text[:length]
        return Row(text, [([self._end], [*text, self._end])])

    def rows(self, random_: random.Random, count: int) -> list[Row]:
        """Draw rows of one length."""
        length = random_.randint(SHORTEST_COPY, LONGEST_COPY)
        return [self.row(random_, length) for _ in range(count)]
