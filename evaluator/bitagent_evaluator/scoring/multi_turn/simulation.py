"""The near side: calls are executed and checked in a bounded child, which starts with the first of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from bitagent_crds.results import Conversation
from bitagent_evaluator.bounded.process import BoundedProcess, ChildLost, InputFault, Limits

_WORKER = "bitagent_evaluator.scoring.multi_turn.worker:SimulationWorker"
LIMITS = Limits(memory_bytes=1 << 30, cpu_seconds=1.0, answer_bytes=32 << 20)
"""An honest conversation takes some milliseconds and a few megabytes."""


class Runaway(Exception):
    """The calls took more time or memory than they are given, or broke the simulation; the text says which."""


class Simulation:
    """A context manager. Requests do not know of each other: one that kills the child harms no other."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self._limits = limits
        self._child: BoundedProcess | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def execute(self, conversation: Conversation, steps: Sequence[Sequence[str]]) -> list[str]:
        """The results of the last step's calls, after all steps before it on fresh systems. Raises Runaway, or ChildLost."""
        results: list[str] = self._ask({"do": "execute", "steps": steps}, conversation)["results"]
        return results

    def check(self, conversation: Conversation, turns: Sequence[Sequence[Sequence[str]]]) -> tuple[str, str]:
        """Official error type, empty when passed, and what was wrong. Raises Runaway, or ChildLost."""
        answer = self._ask({"do": "check", "turns": turns}, conversation)
        return answer["error"], answer["detail"]

    def _ask(self, request: dict[str, Any], conversation: Conversation) -> dict[str, Any]:
        request |= {
            "conversation": conversation.model_dump(mode="json", exclude={"turns", "held_back"}) | {"turns": []}
        }
        try:
            return self._call(request)
        except ChildLost:  # killed from outside, or starved: worth one more try
            return self._call(request)

    def _call(self, request: dict[str, Any]) -> dict[str, Any]:
        if self._child is None:
            self._child = BoundedProcess(_WORKER, self._limits)
        try:
            return self._child.call(request)
        except InputFault as fault:
            self.close()
            raise Runaway(f"executing the calls: {fault.message}") from None
        except ChildLost:
            self.close()
            raise

    def close(self) -> None:
        """End the child, if one runs; a later request starts another."""
        if self._child is not None:
            self._child.close()
            self._child = None
