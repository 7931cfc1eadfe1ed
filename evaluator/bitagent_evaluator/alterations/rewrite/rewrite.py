"""Alteration `Rewrite`: have texts reworded by a language model, and accept rewordings that keep the meaning."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from bitagent_crds.alterations import Rewrite
from bitagent_crds.task_set import Task
from bitagent_evaluator.alterations.base import AlterationContext, AlterationError, Altered, Skipped, SkipReason
from bitagent_evaluator.alterations.rewrite.acceptance import Accepted, Bounds, OriginalText, Rejection
from bitagent_evaluator.alterations.rewrite.descriptions import (
    descriptions_of,
    has_descriptions,
    replace_descriptions,
)
from bitagent_evaluator.alterations.rewrite.passages import DESCRIPTION, USER_TURN, Passage, Turn
from bitagent_evaluator.alterations.rewrite.values import ground_truth_values
from bitagent_evaluator.support.embedding import CachedEmbedding, Embedding, MiniLM
from bitagent_evaluator.support.http import check_address


class RewordTurns:
    """Reword every user turn that is text, and with `descriptions` every description of a function or parameter.

    A task of which some passages are reworded is altered; its other passages stay.

    Up to `concurrency` requests are in flight. They depend on the round's seed, so that each round gets other
    rewordings. A model need not answer the same way twice, which is why responses are cached.
    """

    def __init__(self, parameters: Rewrite) -> None:
        self.parameters = parameters
        self._bounds = Bounds(Decimal(parameters.min_similarity), Decimal(parameters.max_similarity))
        if self._bounds.minimum >= self._bounds.maximum:
            raise AlterationError(
                f"minSimilarity {parameters.min_similarity} is not below maxSimilarity {parameters.max_similarity}"
            )
        try:
            if parameters.url is not None:
                check_address(parameters.url)
        except ValueError as error:
            raise AlterationError(str(error)) from None
        self._embedding: Embedding = CachedEmbedding(MiniLM())
        self.version = f"{self._embedding.version}, prompt {USER_TURN.version}"
        if parameters.descriptions:
            self.version += f", prompt {DESCRIPTION.version}"

    def skip_reason(self, task: Task) -> str | None:
        """Return a reason for a task that has no text to reword."""
        described = self.parameters.descriptions and has_descriptions(task)
        return None if described or _user_texts(task) else SkipReason.NO_USER_TEXT

    def apply_all(
        self, tasks: Sequence[Task], *, seed: str, index: int, context: AlterationContext
    ) -> list[Altered | Skipped]:
        """Return the tasks with reworded passages.

        Record: `turns`, for each reworded one its place among the messages, `from`, `to`, `similarity` and `try`; with
        the parameter `descriptions` also `descriptions`, likewise.

        Raises InfrastructureFault if the endpoint cannot be reached, or returns no response at all.
        """
        from bitagent_evaluator.alterations.rewrite.requests import reword  # here: takes a second to import

        by_task = [self._passages_of(task) for task in tasks]
        passages: list[Passage] = [passage for turns, described in by_task for passage in (*turns, *described)]
        reword(passages, self.parameters, self._bounds, seed=seed, index=index, context=context)
        return [self._altered(task, *own) for task, own in zip(tasks, by_task, strict=True)]

    def _passages_of(self, task: Task) -> tuple[list[Turn], list[Passage]]:
        """Return the turns and descriptions to reword.

        No rewording may name a function that is, or was before an alteration, offered.
        """
        values = ground_truth_values(task.ground_truth)
        names = {function["name"] for known in (task, task.parent) if known is not None for function in known.functions}
        turns = [
            Turn(place=place, original=OriginalText(text, values, names, self._embedding))
            for place, text in _user_texts(task)
        ]
        return turns, descriptions_of(task, names, self._embedding) if self.parameters.descriptions else []

    def _altered(self, task: Task, turns: Sequence[Turn], described: Sequence[Passage]) -> Altered | Skipped:
        """Return the task with its reworded passages, or why none was reworded."""
        messages = list(task.messages)
        for turn in turns:
            if isinstance(turn.result, Accepted):
                messages[turn.place] = {**messages[turn.place], "content": turn.result.text}
        record: dict[str, Any] = {
            "turns": [{"message": turn.place, **content} for turn in turns if (content := turn.record())]
        }
        changes: dict[str, Any] = {"messages": messages}
        if self.parameters.descriptions:
            record["descriptions"] = [content for passage in described if (content := passage.record())]
            changes["functions"] = replace_descriptions(task.functions, described)
        if not any(record.values()):
            return Skipped(next(p.result for p in (*turns, *described) if isinstance(p.result, Rejection)))
        parts = {kind: len(reworded) for kind, reworded in record.items()} if self.parameters.descriptions else {}
        return Altered(task.model_copy(update=changes), record, parts)


def _user_texts(task: Task) -> list[tuple[int, str]]:
    """Return place and text of the user messages that have text."""
    return [
        (place, message["content"])
        for place, message in enumerate(task.messages)
        if message.get("role") == "user" and isinstance(message.get("content"), str) and message["content"].strip()
    ]
